// Package sandboxtest is the contract of sandbox.Sandbox as tests. Every adapter runs the same suite; what an adapter is
// able to do decides which parts of it apply. It never runs anything outside of the sandbox that it is given.
//
// Start reading at Run. The test binary is also the program that tries to break out; see Main.
package sandboxtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Case is one adapter and what it can do.
type Case struct {
	Sandbox   sandbox.Sandbox
	Workspace func(testing.TB) string // a fresh folder that steps may write

	Commands bool // it runs real commands with a shell; one that does not knows the scripts of this package
	Isolated bool // it keeps steps apart from this machine, and limits them; tests call Main

	// Rootless says that services are not root in their boxes, and write to /tmp and /dev/shm.
	Rootless bool

	// Remote says that steps have a copy of their workspace, which comes back when they end: what is written into it here
	// meanwhile they do not see.
	Remote bool

	// Image, when there is one, is for services, which the adapter runs beside steps: the root of an image with a shell, the
	// programs of test/images.Tools, and this test's own binary as /bin/probe. Tests call Main.
	Image func(testing.TB) *sandbox.Root

	// Coarse says that what services write is counted from time to time, and not bounded by a file system of their own.
	Coarse bool

	// OwnKernel says that steps have a kernel of their own in user space: it is the step's own that shows its devices, hands
	// out its namespaces and counts its processes, and it gives no way out of its network.
	OwnKernel bool

	// Unlimited says that no cgroup bounds the steps: the kernel will not count their memory and processors together. What
	// does not apply then is named in unbounded, and nowhere else.
	Unlimited bool

	Hidden []string                 // with Isolated: paths of this machine that steps must not see
	Shown  []string                 // with Isolated: paths that others hide, and that this adapter's runtime insists on
	User   int                      // with Isolated: the number of the step's user in its box; 1000 when 0, OwnUser when each run has another one
	Beside []string                 // with Isolated: network interfaces beside the loopback that are there, and lead nowhere
	Left   func(id string) []string // what is left of a run on this machine beside processes: mounts, cgroups, folders
}

// OwnUser is a user that is not known before, and is not root.
const OwnUser = -1

// The scripts of the part that every adapter passes.
const (
	Pass  = "true\n"
	Hello = "echo hello; echo hello >&2\n"
	Fail3 = "exit 3\n"
	Touch = "echo made >made\n"
	Name  = `printf '%s' "$NAME"` + "\n"
	Hang  = "trap '' TERM; echo ready; sleep 1000; sleep 1000\n"
)

// Run proves the contract.
func Run(t *testing.T, c Case) {
	t.Helper()
	basics(t, c)
	if c.Commands {
		commands(t, c)
		given(t, c)
	}
	if c.Image != nil {
		services(t, c)
	}
	if c.Isolated {
		isolation(t, c)
		limits(t, c)
	}
}

// step is a spec in the making.
type step struct {
	c      Case
	spec   sandbox.Spec
	output *output
}

// step prepares a run with an id of its own. The test's name is in its environment, so that its processes can be found.
func (c Case) step(t *testing.T, script string) *step {
	t.Helper()
	id := fmt.Sprintf("t-%x", []byte(rest(t.Name())))
	out := &output{grown: make(chan struct{})}
	return &step{c: c, output: out, spec: sandbox.Spec{
		ID: id[:min(len(id), 120)] + fmt.Sprintf("-%d", time.Now().UnixNano()), Script: script, Workspace: c.Workspace(t),
		Output: out, Limits: sandbox.Limits{Wall: time.Minute},
	}}
}

// rest is what of a test's name tells it from the others.
func rest(name string) string { return name[max(0, len(name)-40):] }

// run runs it to its end, and looks whether anything is left.
func (s *step) run(t *testing.T) sandbox.Verdict {
	t.Helper()
	return s.runUntil(t, t.Context())
}

func (s *step) runUntil(t *testing.T, ctx context.Context) sandbox.Verdict {
	t.Helper()
	s.spec.Env = append(s.spec.Env, marker(s.spec.ID))
	v, err := s.c.Sandbox.Run(ctx, s.spec)
	if err != nil {
		t.Errorf("the sandbox failed: %v; output: %.500q", err, s.output.String())
	}
	s.nothingIsLeft(t)
	return v
}

func (s *step) nothingIsLeft(t *testing.T) {
	t.Helper()
	if s.c.Commands {
		if left := processesWith(marker(s.spec.ID)); len(left) > 0 {
			t.Errorf("processes are left after the run: %q", left)
		}
	}
	if s.c.Left != nil {
		if left := s.c.Left(s.spec.ID); len(left) > 0 {
			t.Errorf("this is left after the run: %q", left)
		}
	}
}

// passes runs it and wants exit code 0.
func (s *step) passes(t *testing.T) string {
	t.Helper()
	if v := s.run(t); !v.Passed() || v.Reason != "" {
		t.Fatalf("it did not pass: %+v; output: %.2000q", v, s.output.String())
	}
	return s.output.String()
}

// exits runs it and wants it to end by itself with this code.
func (s *step) exits(t *testing.T, code int) sandbox.Verdict {
	t.Helper()
	v := s.run(t)
	if v.Outcome != sandbox.Exited || v.ExitCode != code || v.Passed() || v.Reason == "" {
		t.Fatalf("it should have ended with exit code %d and a reason: %+v; output: %.500q", code, v, s.output.String())
	}
	return v
}

func marker(id string) string { return "SANDBOXTEST=" + id }

// processesWith are the processes of this machine that were born with this variable, wherever they have gone since.
func processesWith(variable string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+variable+"\x00")) {
			name, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			found = append(found, dir+" "+strings.ReplaceAll(string(name), "\x00", " "))
		}
	}
	return found
}

// output keeps what a step writes, and lets a test wait for a part of it.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until part has been written. It reports false when ctx ends before.
func (o *output) await(ctx context.Context, part string) bool {
	for {
		o.mu.Lock()
		found, grown := bytes.Contains(o.text.Bytes(), []byte(part)), o.grown
		o.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return false
		}
	}
}
