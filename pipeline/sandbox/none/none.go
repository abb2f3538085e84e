// Package none runs steps as plain processes of this machine, with everything that the server itself can reach.
//
// It keeps nothing apart: it is for an operator who chose it, and for code that is trusted. It bounds time and nothing
// else. A step's process group is killed at its end; a process that left the group on purpose (setsid) is not found.
// The server's environment is not handed down. Start reading at Run.
package none

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret/folder"
)

// Sandbox is a sandbox in name only.
type Sandbox struct {
	mu      sync.Mutex
	running map[string]bool
}

// New returns it.
func New() *Sandbox { return &Sandbox{running: map[string]bool{}} }

// Isolation says that there is none.
func (s *Sandbox) Isolation() sandbox.Isolation {
	return sandbox.Isolation{
		Level:   "none",
		Runtime: "plain processes",
		Detail:  "Steps run as plain processes with the rights of the server and with its network; only their time is limited. Only code of people with write access may run.",
	}
}

// Serves says that there is nothing here that could keep a service to its image, and its port to its step.
func (s *Sandbox) Serves() error {
	return errors.New("no service can run beside a step without a sandbox")
}

const (
	path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin"

	defaultWall = time.Hour

	// How long output is waited for that a process outside of the group still holds open.
	lastWords = time.Second
)

// Run runs a step. See sandbox.Sandbox, and the package for what is not kept of its promises.
func (s *Sandbox) Run(ctx context.Context, spec sandbox.Spec) (v sandbox.Verdict, err error) {
	if err := spec.Check(); err != nil {
		return v, err
	}
	if spec.Root != nil {
		return v, fmt.Errorf("sandbox/none: the image %s cannot be mounted without a sandbox", spec.Root.Name)
	}
	if len(spec.Services) > 0 {
		return v, fmt.Errorf("sandbox/none: %w", s.Serves())
	}
	l := spec.Limits.Or(sandbox.Limits{Wall: defaultWall})
	if ctx.Err() != nil {
		return sandbox.End{Cancelled: true, Limits: l}.Verdict(), nil
	}
	if !s.take(spec.ID) {
		return v, fmt.Errorf("sandbox/none: the id %s is running already", spec.ID)
	}
	defer s.release(spec.ID)
	own, err := os.MkdirTemp("", "conveyor-step-")
	if err != nil {
		return v, fmt.Errorf("sandbox/none: run %s: %w", spec.ID, err)
	}
	defer func() {
		if gone := removeAll(own); gone != nil && err == nil {
			v, err = sandbox.Verdict{}, fmt.Errorf("sandbox/none: remove the folder of %s: %w", spec.ID, gone)
		}
	}()
	home, tmp, script, secrets := filepath.Join(own, "home"), filepath.Join(own, "tmp"), filepath.Join(own, "step"), filepath.Join(own, "secrets")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Mkdir(tmp, 0o700), os.Mkdir(secrets, 0o700), os.WriteFile(script, []byte(spec.Script), 0o600)); err != nil {
		return v, fmt.Errorf("sandbox/none: run %s: %w", spec.ID, err)
	}
	hide, err := show(spec, home)
	defer hide()
	if err != nil {
		return v, fmt.Errorf("sandbox/none: run %s: %w", spec.ID, err)
	}
	env := spec.Environ(path, home, tmp, spec.Workspace, secrets)
	for _, g := range spec.Secrets {
		if g.Env {
			env = append(env, g.Name+"="+g.Value.Reveal())
		}
	}
	end, err := run(ctx, spec, l, env, script, secrets)
	if err != nil {
		return v, fmt.Errorf("sandbox/none: run %s: %w", spec.ID, err)
	}
	return end.Verdict(), nil
}

func run(ctx context.Context, spec sandbox.Spec, l sandbox.Limits, env []string, script, secrets string) (end sandbox.End, err error) {
	began := time.Now()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return end, err
	}
	defer func() { _ = ours.Close() }()
	args := append(shell(spec), script)
	program := find(args[0])
	if program == "" {
		_ = theirs.Close()
		_, err := fmt.Fprintln(spec.Output, sandbox.NoShell+args[0])
		return sandbox.End{ExitCode: 127, Limits: l}, err
	}
	cmd := &exec.Cmd{
		Path: program, Args: args, Dir: filepath.Join(spec.Workspace, spec.Dir), Env: env, Stdout: theirs, Stderr: theirs,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = folder.Start(cmd, secrets, spec.Secrets)
	_ = theirs.Close()
	if err != nil {
		return end, err
	}
	exit, read := make(chan struct{}), make(chan error, 1)
	go func() {
		// Seen but not taken away yet: as long as it is there, the group's number cannot become another group's.
		for unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
		close(exit)
	}()
	go func() { read <- pump(ours, spec) }()

	wall := time.NewTimer(l.Wall)
	defer wall.Stop()
	select {
	case <-exit:
	case <-ctx.Done():
		end.Cancelled = true
	case <-wall.C:
		end.TimedOut = true
	}
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	<-exit
	_ = cmd.Wait() // what came of it is in cmd.ProcessState
	_ = ours.SetReadDeadline(time.Now().Add(lastWords))
	if failed := <-read; failed != nil && !end.Cancelled && !end.TimedOut {
		return end, fmt.Errorf("write the output: %w", failed)
	}
	end.ExitCode, end.Limits, end.Wall = cmd.ProcessState.ExitCode(), l, time.Since(began)
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		end.ExitCode = 128 + int(w.Signal())
	}
	return end, nil
}

// shell is the command line that runs a script, up to its name.
func shell(spec sandbox.Spec) []string {
	if len(spec.Shell) > 0 {
		return slices.Clone(spec.Shell)
	}
	if _, err := os.Stat("/bin/bash"); err == nil {
		return []string{"/bin/bash", "-e", "-o", "pipefail"}
	}
	return []string{"/bin/sh", "-e"}
}

// find looks a program up where steps look for theirs, and not where the server does. It is empty when there is none.
func find(program string) string {
	if strings.Contains(program, "/") {
		if st, err := os.Stat(program); !filepath.IsAbs(program) || err != nil || st.IsDir() || st.Mode().Perm()&0o111 == 0 {
			return ""
		}
		return program
	}
	for dir := range strings.SplitSeq(path, ":") {
		if found := find(filepath.Join(dir, program)); found != "" {
			return found
		}
	}
	return ""
}

// pump hands the output on until its end. It goes on reading when the writer fails, so that the step is not stopped by it.
func pump(ours *os.File, spec sandbox.Spec) (failed error) {
	chunk := make([]byte, 256<<10)
	for {
		n, err := ours.Read(chunk)
		if n > 0 && failed == nil {
			_, failed = spec.Output.Write(chunk[:n])
		}
		if err != nil {
			return failed
		}
	}
}

func (s *Sandbox) take(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[id] {
		return false
	}
	s.running[id] = true
	return true
}

func (s *Sandbox) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, id)
}

// removeAll also removes what is in folders that were made read-only, as Go's module cache does.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o700) // not followed when it is a link: WalkDir does not call links folders
		}
		return nil
	})
	return os.RemoveAll(dir)
}
