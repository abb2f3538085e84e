package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

var noSandbox = Finding{
	Name: "Sandbox", Level: Warning, Says: "There is none: steps see this machine, because `CONVEYOR_SANDBOX=none` says so.",
	Fix: "Install `crun` and remove that setting, unless you trust all code that is pushed.",
}

// sandboxFinding shuts a step in, as the server does at its start, in a folder of its own.
func sandboxFinding(ctx context.Context, c Config) Finding {
	if c.Sandbox == "none" {
		return noSandbox
	}
	dir, remove, err := scratch(c)
	if err != nil {
		return Finding{Name: "Sandbox", Level: Unknown, Says: "It cannot be tried out without the data folder."}
	}
	defer remove()
	box, err := shutIn(ctx, c, dir, nil)
	if err != nil {
		fix := "Install `crun`, or `runc` for a server that is root; the sentence says what else. For trusted code only there is `CONVEYOR_SANDBOX=none`."
		if c.Sandbox == "docker" {
			fix = "Run the server as root, and a Docker engine on the same machine; `DOCKER_HOST` says where its socket is."
		}
		if c.Sandbox == "kubernetes" {
			fix = "Look at the namespace and the rights of `docs/kubernetes.yaml`, at `KUBECONFIG`, and at CONVEYOR_KUBERNETES_POD_IMAGE."
		}
		return Finding{Name: "Sandbox", Level: Failed, Says: "No step could be shut in: " + lower(err), Fix: fix}
	}
	in := box.Isolation()
	if err := box.Close(); err != nil {
		return Finding{Name: "Sandbox", Level: Warning, Says: "A step was shut in, and something of it was left: " + lower(err)}
	}
	return shutInFinding(in)
}

// shutInFinding says what is in force for steps, and what is not.
func shutInFinding(in sandbox.Isolation) Finding {
	if in.Level == "none" {
		return noSandbox
	}
	if !in.Limited {
		return Finding{Name: "Sandbox", Level: Warning, Says: fmt.Sprintf("A step was shut in by %s, at the level %s. It can use all of this machine's memory and processors, so code from outside is refused.", in.Runtime, in.Level),
			Fix: "Hand a cgroup over to the server's user (in a systemd unit: `Delegate=cpu memory pids`), or run the server as root."}
	}
	return Finding{Name: "Sandbox", Level: OK, Says: fmt.Sprintf("A step was shut in by %s, at the level %s.", in.Runtime, in.Level)}
}

// journalFinding asks a Redis whether it can lose what it acknowledges. A file is looked at only: it is the server's.
func journalFinding(ctx context.Context, c Config) []Finding {
	if url := c.RedisURL.Reveal(); url != "" {
		j, err := redis.Open(ctx, redis.Options{URL: url, AcceptLoss: c.AcceptLoss}, time.Now)
		if err == nil {
			err = j.Ready(ctx)
			_ = j.Close() // the answer is there
		}
		f := durable(err)
		if c.AcceptLoss && err == nil {
			f.Level, f.Says = Warning, "Redis answers, and may lose what it has acknowledged: `CONVEYOR_ACCEPT_LOSS` says that this is accepted."
			f.Fix = "Set `appendonly yes` and `appendfsync always` in redis.conf, and remove that setting."
		}
		return []Finding{f}
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, "journal.db")); err != nil {
		return []Finding{{Name: "Journal", Level: Unknown, Says: "There is none yet: the server makes it when it starts."}}
	}
	return nil // the server itself says below whether it can write
}

func durable(err error) Finding {
	if err != nil {
		return Finding{Name: "Journal", Level: Failed, Says: "Nothing can be made durable: " + lower(err), Fix: "Nothing is taken from GitHub until this is right. Look at the disk, or at the settings of Redis that the sentence names."}
	}
	return Finding{Name: "Journal", Level: OK, Says: "A write was made durable."}
}

// serverFinding asks the server that should run on this machine whether it is ready.
func serverFinding(ctx context.Context, c Config) Finding {
	host, port, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	f := Finding{Name: "Server", Level: OK, Says: "It runs, and is ready."}
	client := &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this machine
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		f.Level, f.Says = Unknown, "It cannot be asked: "+lower(err)
		return f
	}
	res, err := client.Do(req)
	if err != nil {
		f.Level, f.Says, f.Fix = Failed, "Nothing answers on "+c.Listen+".", "Start `conveyor serve`, and read its log when it ends at once."
		return f
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil || res.StatusCode != http.StatusOK {
		f.Level, f.Says = Failed, "It runs, and is not ready: "+strings.ReplaceAll(strings.Join(strings.Fields(string(body)), " "), "`", "'")
		f.Fix = "The sentence says what; `/readyz?verbose` lists the rest."
	}
	return f
}
