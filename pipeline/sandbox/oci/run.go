package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Run runs one step. See sandbox.Sandbox for what it promises.
func (s *Sandbox) Run(ctx context.Context, spec sandbox.Spec) (sandbox.Verdict, error) {
	return s.run(ctx, spec, nil)
}

// run is Run. look, when it is there, is called with the runtime's process as soon as the box stands.
func (s *Sandbox) run(ctx context.Context, spec sandbox.Spec, look func(pid int)) (v sandbox.Verdict, err error) {
	if err := spec.Check(); err != nil {
		return v, err
	}
	if spec.Out != nil && s.engine.name == "runsc" {
		return v, errors.New("sandbox/oci: gVisor has a network of its own, in which a step gets no way out: choose crun or runc, or network: none")
	}
	began := time.Now()
	l := spec.Limits.Or(s.options.Limits).Within(s.options.Limits)
	if ctx.Err() != nil {
		return sandbox.End{Cancelled: true, Limits: l}.Verdict(), nil
	}
	defer func() {
		if err != nil {
			v, err = sandbox.Verdict{}, fmt.Errorf("sandbox/oci: run %s: %w", spec.ID, err)
		}
	}()

	note, err := noteRun(s.options.Dir, spec.ID)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, note.forget()) }()
	limits := l
	if s.engine.name == "runsc" {
		limits.PIDs = 1 << 22 // gVisor's own threads count, and it dies when it is refused one; memory bounds it
	}
	g, err := s.cgroups.group(spec.ID, limits)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, g.remove()) }()

	p, err := newPipes(spec.Output)
	if err != nil {
		return v, err
	}
	out := &wayOut{}
	defer func() { err = errors.Join(err, out.close()) }()
	cmd, err := s.start(ctx, note.path, spec, l, g, p, out)
	p.started()
	if err != nil {
		_, _ = p.finish() // the cause is known
		if v, is := unfitVerdict(err); is {
			return v, g.kill()
		}
		return v, errors.Join(err, g.kill())
	}
	end := sandbox.End{Limits: l}
	exit := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what came of it is in cmd.ProcessState
		close(exit)
	}()
	if look != nil {
		select {
		case <-p.stands:
			look(cmd.Process.Pid)
		case <-exit:
		}
	}
	wall := time.NewTimer(l.Wall - time.Since(began))
	defer wall.Stop()
	full, done := s.watchDisk(ctx, spec, l)
	defer done()
	select {
	case <-exit:
	case <-ctx.Done():
		end.Cancelled = true
	case <-wall.C:
		end.TimedOut = true
	case <-full:
		end.Disk = true
	}
	done()
	killed := g.kill()
	if !waitFor(exit, 5*time.Second) { // a runtime that is not in the group and does not see that its container is gone
		_ = cmd.Process.Kill()
		<-exit
		killed = errors.Join(killed, g.kill())
	}
	if err := out.close(); err != nil {
		return v, err
	}
	stood, failed := p.finish()
	used := g.usage(limits)
	end.ExitCode, end.OOM, end.PIDs, end.Memory, end.Wall = exitCode(cmd.ProcessState), used.oom, used.pids, used.peak, time.Since(began)
	switch {
	case killed != nil:
		return v, killed
	case end.Cancelled, end.TimedOut, end.Disk:
	case !stood && !end.OOM:
		if v, is := unfitVerdict(s.brokenShell(spec.Root, p.complaint())); is {
			return v, nil
		}
		return v, fmt.Errorf("%s could not start it: %s", s.engine.name, p.complaint())
	case failed != nil:
		return v, fmt.Errorf("write the output: %w", failed)
	case signalled(cmd.ProcessState) && !end.OOM:
		return v, fmt.Errorf("%s was killed by %s, and not by the sandbox", s.engine.name, cmd.ProcessState)
	}
	return end.Verdict(), nil
}

// start lays the bundle out and starts the runtime on it, both from a thread of their own.
func (s *Sandbox) start(ctx context.Context, note string, spec sandbox.Spec, l sandbox.Limits, g *group, p *pipes, out *wayOut) (cmd *exec.Cmd, err error) {
	kept, err := s.keeper.hold()
	if err != nil {
		return nil, err
	}
	err = onOwnThread(func() error {
		if spec.Out != nil {
			if err := out.open(ctx, spec.Out); err != nil {
				return err
			}
		}
		if err := kept.enter(); err != nil {
			return err
		}
		if s.engine.joins && s.cgroups.hybrid() {
			// crun gives up when it sees both versions. Where it cannot see cgroup2 there is version 1 only.
			if err := unix.Unmount(s.cgroups.unified, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("hide %s: %w", s.cgroups.unified, err)
			}
		}
		bundle, err := s.layOut(note, spec, l, g)
		if err != nil {
			return err
		}
		args := s.engine.args(bundle, spec.ID)
		cmd = &exec.Cmd{
			Path: s.engine.program(), Args: args, Dir: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
			Stdout: p.output.theirs, Stderr: p.errors.theirs, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		}
		if s.engine.says == 0 {
			cmd.Stdin = p.ready.theirs
		} else {
			cmd.ExtraFiles = []*os.File{p.ready.theirs}
		}
		leave, err := s.enterGroup(g, cmd.SysProcAttr)
		if err != nil {
			return err
		}
		err = cmd.Start()
		if back := leave(); back != nil && err == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			err = back
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start it: %w", err)
	}
	return cmd, nil
}

// enterGroup makes that what is started next on this thread is born in the group.
func (s *Sandbox) enterGroup(g *group, attr *syscall.SysProcAttr) (leave func() error, err error) {
	if !s.engine.joins {
		return func() error { return nil }, nil
	}
	if s.cgroups.version == 1 {
		return g.enterV1()
	}
	dir, err := os.Open(g.v2())
	if err != nil {
		return nil, err
	}
	attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
	return dir.Close, nil
}

func waitFor(done <-chan struct{}, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

func signalled(s *os.ProcessState) bool {
	w, ok := s.Sys().(syscall.WaitStatus)
	return ok && w.Signaled()
}

func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// oneLine shortens what a runtime said to what an operator can read.
func oneLine(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	if text == "" {
		return "it said nothing"
	}
	return text
}

func runFolder(dir, id string) string { return filepath.Join(dir, "runs", id) }
