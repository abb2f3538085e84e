package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// child is a Conveyor in a process of its own: `conveyor serve`, which can be killed.
type child struct {
	h     *house
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
}

// serve starts the built binary on the house's data, and returns when it is ready.
func (h *house) serve(env ...string) *child {
	h.t.Helper()
	c := h.config
	cmd := exec.Command(binary(h.t, "conveyor"), "serve")
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.t.TempDir(),
		"CONVEYOR_LISTEN=" + c.Listen, "CONVEYOR_PUBLIC_URL=" + c.PublicURL, "CONVEYOR_DATA_DIR=" + c.DataDir,
		"CONVEYOR_GITHUB_URL=" + c.GitHubURL, "CONVEYOR_GITHUB_API_URL=" + c.GitHubAPIURL, fmt.Sprintf("CONVEYOR_APP_ID=%d", c.AppID),
		"CONVEYOR_PRIVATE_KEY=" + c.PrivateKey.Reveal(), "CONVEYOR_WEBHOOK_SECRET=" + c.WebhookSecrets[0].Reveal(),
		"CONVEYOR_REDIS_URL=" + c.RedisURL.Reveal(), "CONVEYOR_SANDBOX=" + c.Sandbox, fmt.Sprintf("CONVEYOR_WORKERS=%d", c.Workers),
		"CONVEYOR_OPEN_PAGES=true", "CONVEYOR_GRACE=" + c.Grace.String(),
		"CONVEYOR_SWEEP_EVERY=" + c.SweepEvery.String(), "CONVEYOR_SWEEP_HEADS=" + c.SweepHeads.String(),
	}, env...)
	cmd.Stdout, cmd.Stderr = h.log, h.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // when the test dies first
	child := &child{h: h, cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal above comes when this thread ends
		defer runtime.UnlockOSThread()
		defer close(child.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is asked of its state
		}
	}()
	if err := <-started; err != nil {
		h.t.Fatal(err)
	}
	h.rests = child.rests
	h.stop = child.stop
	h.until("the server to be ready", func() bool {
		select {
		case <-child.ended:
			h.t.Fatalf("the server ended at once: %s", cmd.ProcessState)
		default:
		}
		res, err := http.Get(c.PublicURL + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close() // the status is all there is to know
		return res.StatusCode == http.StatusOK
	})
	return child
}

// kill ends the process as a crash does. It may be repeated.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may be gone already
	<-c.ended
}

// terminate asks the process to end, and does not wait for it.
func (c *child) terminate() {
	c.h.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.h.t.Fatal(err)
	}
}

// exited waits for the end of the process, and returns its exit code.
func (c *child) exited() int {
	c.h.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.h.t.Errorf("the server does not end")
		c.kill()
	}
	return c.cmd.ProcessState.ExitCode()
}

// stop ends the process as a service manager does, and wants it to end well. It may be repeated.
func (c *child) stop() {
	c.h.t.Helper()
	c.terminate()
	if code := c.exited(); code != 0 {
		c.h.t.Errorf("the server ended with %s", c.cmd.ProcessState)
	}
}

func (c *child) rests(context.Context) bool {
	return strings.Contains(c.h.page("/metrics"), "\nconveyor_streams_waiting 0\n")
}
