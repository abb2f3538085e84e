package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Serves says whether services can run beside steps with this runtime.
func (s *Sandbox) Serves() error {
	if s.engine.name == "runsc" {
		return errors.New("no service can run beside a step with gVisor, which gives each box a network of its own: choose crun or runc")
	}
	return nil
}

// serving is a service that was started.
type serving struct {
	s       *Sandbox
	id      string
	service sandbox.Service
	limits  sandbox.Limits
	net     *network
	note    *note
	group   *group
	pipes   *pipes
	cmd     *exec.Cmd
	exit    chan struct{} // closed when it has ended
	says    io.WriteCloser
	asked   tail // what its ready command has said last
}

// beside runs a step with its services: they begin before it, and end after it.
func (s *Sandbox) beside(ctx context.Context, spec sandbox.Spec, l sandbox.Limits, began time.Time, note *note, net *network) (v sandbox.Verdict, err error) {
	out := sandbox.NewOutput(spec.Output)
	spec.Output = out
	defer func() {
		if failed := out.Close(); failed != nil && err == nil {
			err = fmt.Errorf("write the output: %w", failed)
		}
	}()
	var all []*serving
	defer func() {
		for _, b := range all {
			err = errors.Join(err, b.end())
		}
	}()
	for _, service := range spec.Services {
		b, err := s.serve(spec, service, net, out)
		if why, is := errors.AsType[*unfit](err); is {
			return service.Unready("cannot be started: " + why.why), nil
		}
		if err != nil {
			return v, fmt.Errorf("start the service %s: %w", service.Name, err)
		}
		all = append(all, b)
	}
	limited, cancel := context.WithDeadline(ctx, began.Add(l.Wall))
	defer cancel()
	v, err = allReady(limited, all, out)
	switch {
	case ctx.Err() != nil:
		return sandbox.End{Cancelled: true, Limits: l, Wall: time.Since(began)}.Verdict(), nil
	case err != nil:
		return v, err
	case v.Outcome == sandbox.Unready && limited.Err() != nil:
		v = sandbox.End{TimedOut: true, Limits: l}.Verdict()
	}
	v.Wall = time.Since(began)
	if v.Outcome != "" {
		return v, nil
	}
	v, err = s.step(ctx, spec, l, began, note, net, nil)
	return mentioned(v, all, out), err
}

// mentioned tells of services that have ended although the step was still there. It is the step's business whether that
// matters: when it fails, that may be why.
func mentioned(v sandbox.Verdict, all []*serving, out *sandbox.Output) sandbox.Verdict {
	for _, b := range all {
		select {
		case <-b.exit:
		default:
			continue
		}
		how := b.how()
		out.Say("The service %s ended while the step ran: %s.", b.service.Name, how)
		if v.Outcome == sandbox.Exited && v.ExitCode != 0 {
			v.Reason += fmt.Sprintf("; its service %s had ended: %s", b.service.Name, how)
		}
	}
	return v
}

// serve starts a service.
func (s *Sandbox) serve(spec sandbox.Spec, service sandbox.Service, net *network, out *sandbox.Output) (_ *serving, err error) {
	id := spec.ID + "_" + service.Name // no step's id has such a sign
	b := &serving{s: s, id: id, service: service, net: net, says: out.Service(service.Name)}
	b.limits = service.Limits.Or(sandbox.DefaultService).Within(s.options.Limits)
	defer func() {
		if err != nil {
			err = errors.Join(err, b.end())
		}
	}()
	if b.note, err = noteRun(s.options.Dir, id); err != nil {
		return nil, err
	}
	if b.group, err = s.cgroups.group(id, b.limits); err != nil {
		return nil, err
	}
	if b.pipes, err = newPipes(b.says); err != nil {
		return nil, err
	}
	b.cmd, err = s.start(net, b.group, func() (*exec.Cmd, error) {
		bundle, err := s.layOutService(b.note.path, spec, b)
		if err != nil {
			return nil, err
		}
		return &exec.Cmd{
			Args: s.engine.logged(bundle, "run", "--bundle", bundle, id), Stdout: b.pipes.output.theirs, Stderr: b.pipes.output.theirs,
			ExtraFiles: []*os.File{b.pipes.errors.theirs},
		}, nil
	})
	b.pipes.started()
	if err != nil {
		return nil, err
	}
	b.exit = waited(b.cmd)
	return b, nil
}

// end ends what there is of a service, and takes it away.
func (b *serving) end() (err error) {
	if b.cmd != nil {
		err = b.group.endAll(b.cmd, b.exit)
	}
	if b.pipes != nil {
		_, _ = b.pipes.finish() // what cannot be written is reported by the output itself
	}
	_ = b.says.Close()
	if b.group != nil {
		err = errors.Join(err, b.group.remove())
	}
	if b.note != nil {
		err = errors.Join(err, b.note.forget())
	}
	if err != nil {
		return fmt.Errorf("end the service %s: %w", b.service.Name, err)
	}
	return nil
}

// allReady waits until all services are ready, or one is known not to get there. Its verdict has no outcome when they are.
func allReady(ctx context.Context, all []*serving, out *sandbox.Output) (sandbox.Verdict, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		waits sync.WaitGroup
		once  sync.Once
		v     sandbox.Verdict
		err   error
	)
	for _, b := range all {
		waits.Go(func() {
			one, failed := b.ready(ctx, out)
			if one.Outcome == "" && failed == nil {
				return
			}
			once.Do(func() { v, err = one, failed }) // the others are stopped by it
			stop()
		})
	}
	waits.Wait()
	return v, err
}

// ready waits until a service is ready.
func (b *serving) ready(ctx context.Context, out *sandbox.Output) (v sandbox.Verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.service.Ready.Within())
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second/2) {
		passed := b.probe(ctx)
		select {
		case <-b.exit:
			return b.endedEarly()
		default:
		}
		if passed {
			return v, nil
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-b.exit:
		case <-ctx.Done():
			pause.Stop()
			if said := b.asked.String(); said != "" {
				out.Say("The ready command of the service %s said last: %s", b.service.Name, oneLine(said))
			}
			return b.service.NotReady(), nil
		}
		pause.Stop()
	}
}

// endedEarly sorts out why a service has ended before it was ready: that is its own doing, or that of the sandbox.
func (b *serving) endedEarly() (sandbox.Verdict, error) {
	if err := b.group.endAll(b.cmd, b.exit); err != nil {
		return sandbox.Verdict{}, err
	}
	_, _ = b.pipes.finish()
	if said := b.pipes.complaint(); said != nothingSaid {
		if low := strings.ToLower(said); strings.Contains(low, "exec") || strings.Contains(low, "chdir") {
			return b.service.Unready("cannot be started: " + said), nil // the program, or the folder, is not there
		}
		return sandbox.Verdict{}, fmt.Errorf("%s could not start the service %s: %s", b.s.engine.name, b.service.Name, said)
	}
	return b.service.Unready("ended before it was ready: " + b.how()), nil
}

// how is the way in which a service has ended.
func (b *serving) how() string {
	used := b.group.usage(b.limits)
	end := sandbox.End{ExitCode: exitCode(b.cmd.ProcessState), OOM: used.oom, PIDs: used.pids, Limits: b.limits}
	if v := end.Verdict(); v.Reason != "" {
		return v.Reason
	}
	return "exit code 0"
}

// probe asks once whether the service is ready.
func (b *serving) probe(ctx context.Context) bool {
	if b.service.Ready.Port > 0 {
		return b.net.listens(b.service.Ready.Port)
	}
	return b.s.runIn(ctx, b) == nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2 << 10 // bytes

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(p), nil
}

func (t *tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
