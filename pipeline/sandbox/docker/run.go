package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// Run runs one step. See sandbox.Sandbox for what it promises.
func (s *Sandbox) Run(ctx context.Context, spec sandbox.Spec) (v sandbox.Verdict, err error) {
	if err := spec.Check(); err != nil {
		return v, err
	}
	if spec.Root == nil || spec.Root.Ref == "" {
		return v, errors.New("sandbox/docker: a container needs an image, and the step names none")
	}
	if spec.Superuser { // root of a container is root of the machine, unless the engine has a user namespace
		return v, errors.New("sandbox/docker: no step is root of its container")
	}
	began := time.Now()
	l := spec.Limits.Or(s.options.Limits).Within(s.options.Limits)
	if ctx.Err() != nil {
		return sandbox.End{Cancelled: true, Limits: l}.Verdict(), nil
	}
	defer func() {
		if err != nil {
			v, err = sandbox.Verdict{}, fmt.Errorf("sandbox/docker: run %s: %w", spec.ID, err)
		}
	}()
	s.forgetLost(ctx)
	if len(spec.Services) > 0 {
		out := sandbox.NewOutput(spec.Output)
		spec.Output = out
		defer func() {
			if failed := out.Close(); failed != nil && err == nil {
				err = fmt.Errorf("write the output: %w", failed)
			}
		}()
	}
	r, err := s.layOut(spec, l)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, r.remove()) }()
	name := "conveyor-" + s.instance.Name + "-" + spec.ID
	defer func() { err = errors.Join(err, s.forget(ctx, name)) }()
	b, err := s.start(ctx, name, spec, l, r)
	if b != nil {
		defer b.stream.close()
	}
	if err != nil {
		if v, is := unfitVerdict(err); is {
			return v, nil
		}
		return v, fmt.Errorf("start it: %w", err)
	}
	net, err := s.openNetwork(ctx, name, spec)
	if errors.Is(err, errGone) {
		return s.watch(ctx, began, spec, l, b, &network{}) // it says why
	}
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, net.close()) }()
	if len(spec.Services) > 0 {
		return s.beside(ctx, began, spec, l, b, net)
	}
	return s.watch(ctx, began, spec, l, b, net)
}

// running is a container that has been started, and waits for the server's word.
type running struct {
	name   string
	stream *stream
	exit   client.ContainerWaitResult
}

// start makes the container and starts it. It is not cut short: what is asked of an engine may come to be after nobody
// waits for it any more. With an error, there may be a container.
func (s *Sandbox) start(ctx context.Context, name string, spec sandbox.Spec, l sandbox.Limits, r *room) (*running, error) {
	steady, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	image, err := s.look(steady, spec.Root)
	if err != nil {
		return nil, err
	}
	root := *spec.Root
	root.Env = image.env
	spec.Root = &root
	if err := s.nameUser(steady, name, spec, r); err != nil {
		return nil, err
	}
	if err := s.create(steady, name, spec, l, r, image); err != nil {
		return nil, err
	}
	attached, err := s.engine.ContainerAttach(steady, name, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("attach to it: %w", err)
	}
	b := &running{name: name, stream: newStream(attached.HijackedResponse, spec.Output)}
	if _, err := s.engine.ContainerStart(steady, name, client.ContainerStartOptions{}); err != nil {
		if broken := brokenShell(&root, err.Error()); broken != nil {
			return b, broken
		}
		return b, err
	}
	b.exit = s.engine.ContainerWait(context.WithoutCancel(ctx), name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	return b, r.hide()
}

// watch gives the word, and waits for the end, whoever brings it about.
func (s *Sandbox) watch(ctx context.Context, began time.Time, spec sandbox.Spec, l sandbox.Limits, b *running, net *network) (v sandbox.Verdict, err error) {
	b.stream.begin()
	end := sandbox.End{Limits: l}
	wall := time.NewTimer(l.Wall - time.Since(began))
	defer wall.Stop()
	full, done := box.WatchDisk(ctx, spec, l)
	defer done()
	var exited *container.WaitResponse
	select {
	case e := <-b.exit.Result:
		exited = &e
	case err := <-b.exit.Error:
		return v, fmt.Errorf("the engine was lost while it ran: %w", err)
	case <-ctx.Done():
		end.Cancelled = true
	case <-wall.C:
		end.TimedOut = true
	case <-full:
		end.Disk = true
	}
	done()
	if exited == nil {
		if exited, err = s.kill(ctx, b); err != nil {
			return v, err
		}
	}
	if err := net.close(); err != nil {
		return v, err
	}
	said, failed := b.stream.finish()
	killed, err := s.killedByMemory(ctx, b.name)
	if err != nil {
		return v, err
	}
	end.ExitCode, end.Wall = int(exited.StatusCode), time.Since(began)
	end.OOM, end.PIDs, end.Memory = said.used.OOM || killed, said.used.PIDs, said.used.Memory
	switch {
	case end.Cancelled, end.TimedOut, end.Disk:
	case !said.stood && !end.OOM:
		if v, is := unfitVerdict(brokenShell(spec.Root, said.complaint)); is {
			return v, nil
		}
		return v, fmt.Errorf("it could not start: %s", box.OneLine(said.complaint))
	case failed != nil:
		return v, fmt.Errorf("its output: %w", failed)
	case exited.Error != nil:
		return v, fmt.Errorf("the engine says: %s", box.OneLine(exited.Error.Message))
	case !said.ended && !end.OOM:
		return v, errors.New("it was ended from outside, and not by the sandbox")
	}
	return end.Verdict(), nil
}

// kill ends the container, with all that is in it, and waits until it is over.
func (s *Sandbox) kill(ctx context.Context, b *running) (*container.WaitResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := s.engine.ContainerKill(ctx, b.name, client.ContainerKillOptions{Signal: "KILL"})
	if err != nil && !strings.Contains(err.Error(), "is not running") && !strings.Contains(err.Error(), "can only kill running") {
		return nil, fmt.Errorf("kill it: %w", err)
	}
	select {
	case e := <-b.exit.Result:
		return &e, nil
	case err := <-b.exit.Error:
		return nil, fmt.Errorf("the engine was lost while it ran: %w", err)
	case <-ctx.Done():
		return nil, errors.New("it was killed, and has not ended")
	}
}

// killedByMemory asks the engine whether the kernel ended processes of the box for want of memory. The first process says
// so, too, unless it was one of them.
func (s *Sandbox) killedByMemory(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	found, err := s.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return false, fmt.Errorf("ask how it ended: %w", err)
	}
	return found.Container.State != nil && found.Container.State.OOMKilled, nil
}
