// Package dockerd starts a real Docker engine for tests, alone: on a unix socket in a folder of its own, with its own
// containerd, without a bridge and without a rule in this machine's packet filter. It only ever ends what it started, and
// an engine that runs on this machine already is neither asked nor touched.
//
// Start reading at Start.
package dockerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long an engine may take to start, or to end.
const patience = 60 * time.Second

// Engine is one dockerd.
type Engine struct {
	dir     string
	output  bytes.Buffer
	process *exec.Cmd
	life    io.Closer
	ended   chan struct{}
}

// The shell ends the engine when this process is gone, however it has gone.
const keeper = `"$@" & engine=$!; read -r word; kill $engine; wait $engine`

// Start starts an engine. More arguments, such as "--userns-remap=…", are its own.
func Start(args ...string) (*Engine, error) {
	program, err := find("dockerd")
	if err != nil {
		return nil, fmt.Errorf("%w (test/setup/packages.sh docker installs it)", err)
	}
	dir, err := os.MkdirTemp("", "dockerd-") // short: the path of a socket has room for 107 bytes only
	if err != nil {
		return nil, err
	}
	e := &Engine{dir: dir, ended: make(chan struct{})}
	if err := os.Chmod(dir, 0o711); err != nil { // the users of a user namespace pass through it
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	own := filepath.Base(dir)
	args = append([]string{"-c", keeper, "sh", program, "--data-root", dir + "/data", "--exec-root", dir + "/exec", "--host", e.Host(), "--pidfile", dir + "/pid", "--config-file", dir + "/none",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
		"--containerd-namespace=" + own, "--containerd-plugins-namespace=" + own + "-plugins", "--cgroup-parent=/" + own}, args...)
	e.process = exec.Command("/bin/sh", args...)
	e.process.Dir, e.process.Stdout, e.process.Stderr = dir, &e.output, &e.output
	e.process.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	e.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a signal to the tests' group is not for the engine
	if e.life, err = e.process.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.WriteFile(dir+"/none", []byte("{}"), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := e.process.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		_ = e.process.Wait()
		close(e.ended)
	}()
	if err := e.answers(); err != nil {
		return nil, errors.Join(err, e.Stop(), fmt.Errorf("dockerd said: %s", tail(e.output.String())))
	}
	return e, nil
}

// Host is the engine's address, as DOCKER_HOST has it.
func (e *Engine) Host() string { return "unix://" + e.dir + "/s" }

func (e *Engine) answers() error {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", e.dir+"/s")
	}}}
	tick, over := time.NewTicker(20*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer over.Stop()
	for {
		if r, err := c.Get("http://engine/_ping"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-e.ended:
			return errors.New("dockerd has ended")
		case <-over.C:
			return errors.New("dockerd does not answer")
		}
	}
}

// Stop ends the engine and what it runs, and removes all of it. Its error says what is left, which is nothing.
func (e *Engine) Stop() error {
	_ = e.life.Close()
	over := time.NewTimer(patience)
	defer over.Stop()
	var err error
	select {
	case <-e.ended:
	case <-over.C:
		err = errors.New("dockerd does not end; it is killed")
		_ = unix.Kill(-e.process.Process.Pid, unix.SIGKILL)
		<-e.ended
	}
	for _, mount := range e.mounts() {
		err = errors.Join(err, unix.Unmount(mount, unix.MNT_DETACH))
	}
	err = errors.Join(err, os.RemoveAll(e.dir))
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Base(e.dir))
	for _, group := range append(groups, "/sys/fs/cgroup/"+filepath.Base(e.dir)) {
		if gone := os.Remove(group); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// mounts are what is mounted below the engine's folder, the last one first.
func (e *Engine) mounts() (found []string) {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], e.dir+"/") {
			found = append([]string{f[4]}, found...)
		}
	}
	return found
}

func find(name string) (string, error) {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode()&0o111 != 0 {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("there is no %s", name)
}

func tail(text string) string { return text[max(0, len(text)-2000):] }
