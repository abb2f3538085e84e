package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
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
	asked   box.Tail // what its ready command has said last
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
	services := make([]box.Service, len(all))
	for i, b := range all {
		services[i] = b
	}
	return box.Beside(ctx, began, l, services, out, func() (sandbox.Verdict, error) { return s.step(ctx, spec, l, began, note, net, nil) })
}

func (b *serving) Is() sandbox.Service   { return b.service }
func (b *serving) Exit() <-chan struct{} { return b.exit }
func (b *serving) Said() string          { return b.asked.String() }

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

// Early sorts out why a service has ended before it was ready: that is its own doing, or that of the sandbox.
func (b *serving) Early(ctx context.Context) (sandbox.Verdict, error) {
	if err := b.group.endAll(b.cmd, b.exit); err != nil {
		return sandbox.Verdict{}, err
	}
	_, _ = b.pipes.finish()
	if said := b.pipes.complaint(); said != box.NothingSaid {
		if low := strings.ToLower(said); strings.Contains(low, "exec") || strings.Contains(low, "chdir") {
			return b.service.Unready("cannot be started: " + said), nil // the program, or the folder, is not there
		}
		return sandbox.Verdict{}, fmt.Errorf("%s could not start the service %s: %s", b.s.engine.name, b.service.Name, said)
	}
	return b.service.Unready("ended before it was ready: " + b.How(ctx)), nil
}

// How is the way in which a service has ended.
func (b *serving) How(context.Context) string {
	used := b.group.usage(b.limits)
	end := sandbox.End{ExitCode: exitCode(b.cmd.ProcessState), OOM: used.oom, PIDs: used.pids, Limits: b.limits}
	if v := end.Verdict(); v.Reason != "" {
		return v.Reason
	}
	return "exit code 0"
}

// Probe asks once whether the service is ready.
func (b *serving) Probe(ctx context.Context) bool {
	if b.service.Ready.Port > 0 {
		return b.net.listens(b.service.Ready.Port)
	}
	return b.s.runIn(ctx, b) == nil
}
