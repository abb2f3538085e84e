package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
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
	if err := s.Serves(); err != nil && len(spec.Services) > 0 {
		return v, err
	}
	if why := s.GivesRoot(); spec.Superuser && why != nil {
		return v, fmt.Errorf("sandbox/oci: %w", why)
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
	net, err := openNetwork(ctx, spec)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, net.close()) }()
	if len(spec.Services) > 0 {
		return s.beside(ctx, spec, l, began, note, net)
	}
	return s.step(ctx, spec, l, began, note, net, look)
}

// step runs the step itself.
func (s *Sandbox) step(ctx context.Context, spec sandbox.Spec, l sandbox.Limits, began time.Time, note *note, net *network, look func(pid int)) (v sandbox.Verdict, err error) {
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
	cmd, err := s.start(net, g, func() (*exec.Cmd, error) {
		bundle, err := s.layOut(note.path, spec, l, g, net)
		if err != nil {
			return nil, err
		}
		cmd := &exec.Cmd{Args: s.engine.args(bundle, spec.ID), Stdout: p.output.theirs, Stderr: p.errors.theirs}
		if s.engine.says == 0 {
			cmd.Stdin = p.ready.theirs
		} else {
			cmd.ExtraFiles = []*os.File{p.ready.theirs}
		}
		return cmd, nil
	})
	p.started()
	if err != nil {
		_, _ = p.finish() // the cause is known
		if v, is := unfitVerdict(err); is {
			return v, g.kill()
		}
		return v, errors.Join(err, g.kill())
	}
	end := sandbox.End{Limits: l}
	exit := waited(cmd)
	if look != nil {
		select {
		case <-p.stands:
			look(cmd.Process.Pid)
		case <-exit:
		}
	}
	wall := time.NewTimer(l.Wall - time.Since(began))
	defer wall.Stop()
	full, done := box.WatchDisk(ctx, spec, l)
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
	killed := g.endAll(cmd, exit)
	if err := net.close(); err != nil {
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

// start lays a bundle out and starts the runtime on it, both from a thread of their own: prepare is called there, in a
// mount namespace that goes with the runtime.
func (s *Sandbox) start(net *network, g *group, prepare func() (*exec.Cmd, error)) (cmd *exec.Cmd, err error) {
	kept, err := s.keeper.hold()
	if s.cgroups.version == 0 { // no group holds its processes: a namespace of its own does, until it is killed
		kept, err = keep()
		g.kept = kept
	}
	if err != nil {
		return nil, err
	}
	err = onOwnThread(func() error {
		if err := net.enter(); err != nil {
			return err
		}
		if err := kept.enter(); err != nil {
			return err
		}
		if s.engine.joins && s.cgroups.hybrid() {
			if err := s.hideUnified(); err != nil {
				return fmt.Errorf("hide %s: %w", s.cgroups.unified, err)
			}
		}
		if cmd, err = prepare(); err != nil {
			return err
		}
		return s.launch(g, cmd)
	})
	if err != nil {
		return nil, fmt.Errorf("start it: %w", err)
	}
	return cmd, nil
}

// hideUnified is for crun, which gives up when it sees both versions. Where it cannot see cgroup2 there is version 1 only.
// Who is root of a namespace may not take such a mount away, and lays another one over it.
func (s *Sandbox) hideUnified() error {
	if s.alone {
		return unix.Mount("conveyor", s.cgroups.unified, "tmpfs", unix.MS_RDONLY, "size=4k")
	}
	return unix.Unmount(s.cgroups.unified, unix.MNT_DETACH)
}

// launch starts the runtime in a group, from the calling thread.
func (s *Sandbox) launch(g *group, cmd *exec.Cmd) error {
	cmd.Path, cmd.Dir, cmd.Env = s.engine.program(), "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
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
}

// waited is closed when a command has ended. What came of it is in its ProcessState.
func waited(cmd *exec.Cmd) chan struct{} {
	exit := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exit)
	}()
	return exit
}

// endAll ends every process of the group, and the runtime: one that is not in the group may not see that its container
// is gone.
func (g *group) endAll(cmd *exec.Cmd, exit <-chan struct{}) error {
	killed := g.kill()
	if !waitFor(exit, 5*time.Second) {
		_ = cmd.Process.Kill()
		<-exit
		killed = errors.Join(killed, g.kill())
	}
	return killed
}

// enterGroup makes that what is started next on this thread is born in the group.
func (s *Sandbox) enterGroup(g *group, attr *syscall.SysProcAttr) (leave func() error, err error) {
	if !s.engine.joins || s.cgroups.version == 0 {
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

func runFolder(dir, id string) string { return filepath.Join(dir, "runs", id) }
