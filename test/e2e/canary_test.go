package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// canaries are secrets in the forms in which they could get out, by a name that may be shown.
func (h *house) canaries() map[string]string {
	all := map[string]string{
		"the webhook secret": h.config.WebhookSecrets[0].Reveal(),
		"a token":            "ghs_", // all of an App's tokens begin so
		"a token for git":    "eC1hY2Nlc3MtdG9rZW46",
		"a signed claim":     "eyJhbGciOi",
		"the environment":    "canary-of-the-environment",
	}
	for i, line := range strings.Split(h.config.PrivateKey.Reveal(), "\n") {
		if len(line) > 40 {
			all[fmt.Sprintf("line %d of the private key", i+1)] = line
		}
	}
	if file := h.config.ProvenanceKeyFile; file != "" {
		for i, line := range strings.Split(string(must(os.ReadFile(file))(h.t)), "\n") {
			if len(line) > 40 {
				all[fmt.Sprintf("line %d of the key that signs artifacts", i+1)] = line
			}
		}
	}
	return all
}

// shows reports which secrets a text holds.
func (h *house) shows(where string, text []byte) {
	h.t.Helper()
	for name, secret := range h.canaries() {
		if bytes.Contains(text, []byte(secret)) {
			h.t.Errorf("%s shows %s", where, name)
		}
	}
}

// snoop is a step that looks at everything it can reach.
const snoop = `env
for f in /proc/1/environ /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo /proc/keys /etc/passwd /etc/hosts; do echo "== $f"; cat $f 2>/dev/null | tr '\0' '\n'; done
find / -xdev \( -path /proc -o -path /sys -o -path /usr \) -prune -o -type f -print -exec head -c 4096 {} \; 2>/dev/null | head -c 500000
ls -la / /workspace /tmp /run /home /root /var 2>/dev/null
cat .git/config /workspace/.git/config 2>/dev/null
`

func TestNoSecretIsShownAnywhere(t *testing.T) {
	t.Parallel()
	h := found(t)
	h.config.ProvenanceKeyFile = filepath.Join(t.TempDir(), "signs.key")
	server := h.serve("CANARY=canary-of-the-environment", "CONVEYOR_PROVENANCE_KEY_FILE="+h.config.ProvenanceKeyFile)

	var watching sync.WaitGroup
	ctx, enough := context.WithCancel(context.Background())
	defer enough()
	seen, looks := map[string]bool{}, 0
	watching.Go(func() {
		look := time.NewTicker(2 * time.Millisecond)
		defer look.Stop()
		for ctx.Err() == nil {
			commandLines(server.cmd.Process.Pid, seen)
			looks++
			<-look.C
		}
	})

	files := withSites("one")
	files["snoop.sh"] = snoop
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "mkdir dist", "sh snoop.sh || true; mkdir dist", 1)
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "        artifact:", "        env: {STEP_VARIABLE: it-is-shown}\n        artifact:", 1)
	first := h.push("main", "author", "first", files)
	if run := h.concluded(first, "conveyor / test"); run.Conclusion != "success" {
		t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	h.deployed("staging", first)

	// What goes wrong is told in words, which must not tell more.
	token := h.gh.Inject(github.Fault{Method: "POST", Route: "/app/installations/{installation_id}/access_tokens", Status: 401, Times: 2})
	h.gh.Inject(github.Fault{Method: "POST", Route: "/repos/{owner}/{repo}/check-runs", Status: 401, Times: 2})
	h.gh.Inject(github.Fault{Method: "PATCH", Cut: true, Times: 2})
	pull := must(h.gh.OpenPull(repo, "author", "talk", h.topic(first), "main"))(t)
	token()
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	h.deployed("production", first)
	h.comment(pull, "reader", "/approve production")
	h.answered(pull, "Refused.")
	h.concluded(h.fetchInVain(), "conveyor / test")
	h.quiet()

	for _, path := range []string{"/", "/metrics", "/readyz", "/healthz", "/runs"} {
		h.shows("the page "+path, []byte(h.page(path)))
	}
	h.gh.Look(func(v *github.View) {
		for _, run := range v.CheckRuns(repo, "") {
			h.shows("a check", fmt.Appendf(nil, "%+v", run))
			h.shows("a run's page", []byte(h.page(strings.TrimPrefix(run.DetailsURL, h.config.PublicURL))))
		}
		for _, c := range v.Comments(repo, pull.Number) {
			h.shows("a comment", []byte(c.Body))
		}
		for _, d := range v.Deployments(repo, "") {
			h.shows("a deployment", fmt.Appendf(nil, "%+v", d))
		}
	})
	server.stop()
	enough()
	watching.Wait()
	if looks < 20 || len(seen) < 5 {
		t.Errorf("in %d looks %d command lines were seen", looks, len(seen))
	}
	for line := range seen {
		h.shows("a command line", []byte(line))
	}
	h.shows("the server's log", []byte(h.log.String()))
	h.filesShowNothing()
	h.stepSawNothing()
	h.holds()
}

// commandLines collects those of a process and of all that came of it.
func commandLines(pid int, seen map[string]bool) {
	at := fmt.Sprintf("/proc/%d/", pid)
	if line, err := os.ReadFile(at + "cmdline"); err == nil {
		seen[string(line)] = true
	}
	threads, _ := filepath.Glob(at + "task/*/children")
	for _, thread := range threads {
		children, _ := os.ReadFile(thread) // it may have ended
		for _, child := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				commandLines(n, seen)
			}
		}
	}
}

// fetchInVain lets git fail: the repository cannot be read for a while.
func (h *house) fetchInVain() (sha string) {
	h.t.Helper()
	lost := h.gh.InjectHook(github.HookFault{Event: "push", Drop: true, Times: 1})
	sha = h.push("main", "author", "second", map[string]string{"page.html": "two"})
	d := h.dropped("push")
	lost()
	move := func(from, to string) {
		for _, dir := range must(filepath.Glob(filepath.Join(h.github.Dir, "*"+from)))(h.t) {
			if err := os.Rename(dir, strings.TrimSuffix(dir, from)+to); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	move("", "-away")
	if err := h.gh.Redeliver(d.ID); err != nil {
		h.t.Fatal(err)
	}
	h.until("a failure of git", func() bool { return strings.Contains(h.log.String(), "effect=route") })
	move("-away", "")
	return sha
}

// filesShowNothing scans every byte that the server keeps: journal, logs, artifacts, mirrors.
func (h *house) filesShowNothing() {
	h.t.Helper()
	read := 0
	err := filepath.WalkDir(h.config.DataDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		read++
		h.shows(strings.TrimPrefix(path, h.config.DataDir), data)
		return err
	})
	if err != nil || read < 10 {
		h.t.Errorf("%d files were read: %v", read, err)
	}
}

// stepSawNothing reads what the snooping step has printed.
func (h *house) stepSawNothing() {
	h.t.Helper()
	logs := must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", "unit", "*.log")))(h.t)
	if len(logs) == 0 {
		h.t.Fatal("the step has no log")
	}
	text := string(must(os.ReadFile(logs[0]))(h.t))
	if !strings.Contains(text, "STEP_VARIABLE=it-is-shown") || !strings.Contains(text, "== /proc/1/environ") {
		h.t.Fatalf("the step did not look around:\n%.2000s", text)
	}
	for _, word := range []string{"CONVEYOR_PRIVATE_KEY", "CONVEYOR_WEBHOOK_SECRET", "CONVEYOR_DATA_DIR", "conveyor\nserve", "journal.db", "link.key"} {
		if strings.Contains(text, word) {
			h.t.Errorf("the step sees %q", word)
		}
	}
	for line := range strings.Lines(text) {
		// The kernel itself tells of what an overlay is made: names of folders, which the step cannot open.
		if strings.Contains(line, h.config.DataDir) && !strings.Contains(line, " - overlay conveyor ") {
			h.t.Errorf("the step sees where the server keeps its data: %s", line)
		}
	}
}
