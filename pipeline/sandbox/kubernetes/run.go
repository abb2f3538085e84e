package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// past is a deadline that is over: it ends what waits.
var past = time.Unix(1, 0)

// Run runs one step. See sandbox.Sandbox for what it promises.
func (s *Sandbox) Run(ctx context.Context, spec sandbox.Spec) (v sandbox.Verdict, err error) {
	if err := spec.Check(); err != nil {
		return v, err
	}
	if spec.Root == nil || spec.Root.Ref == "" {
		return v, errors.New("sandbox/kubernetes: a pod needs an image, and the step names none")
	}
	if err := s.GivesRoot(); spec.Superuser {
		return v, err
	}
	l := spec.Limits.Or(s.options.Limits).Within(s.options.Limits)
	if ctx.Err() != nil {
		return sandbox.End{Cancelled: true, Limits: l}.Verdict(), nil
	}
	defer func() {
		if err != nil {
			v, err = sandbox.Verdict{}, fmt.Errorf("sandbox/kubernetes: run %s: %w", spec.ID, err)
		}
	}()
	if err := checkFolders(spec); err != nil {
		return v, err
	}
	if v, is := unfitService(spec); is {
		return v, nil
	}
	v, err = s.inPod(ctx, spec, l)
	if ctx.Err() != nil { // whatever else went wrong, that is why
		return sandbox.End{Cancelled: true, Limits: l, Wall: v.Wall}.Verdict(), onlyLeft(err)
	}
	return v, err
}

// inPod makes the pod, and removes it when all is over.
func (s *Sandbox) inPod(ctx context.Context, spec sandbox.Spec, l sandbox.Limits) (v sandbox.Verdict, err error) {
	has := holds(spec)
	pod := s.pod(spec, l, has)
	name := pod.Name
	// It is not cut short when the step is cancelled: then nobody would know whether there is a pod.
	making, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := s.cluster.create(making, pod); err != nil {
		if isCode(err, 409) {
			return v, fmt.Errorf("make its pod (is the same id running?): %w", err)
		}
		return v, errors.Join(fmt.Errorf("make its pod: %w", err), s.leftIf(ctx, err, name))
	}
	defer func() { err = errors.Join(err, left(s.forget(ctx, name))) }()
	w := s.watch(ctx, name)
	defer w.stop()
	if v, err := w.stands(ctx, s.options.Patience, spec); v.Outcome != "" || err != nil {
		return v, err
	}
	standing, stop := context.WithTimeoutCause(ctx, s.options.Patience, errors.New("its keeper did not answer"))
	defer stop()
	line, err := s.dial(standing, name)
	if err != nil {
		return w.verdict(ctx, fmt.Errorf("reach its keeper: %w", err), l)
	}
	defer line.close()
	if err := line.fill(ctx, spec); err != nil {
		return w.verdict(ctx, err, l)
	}
	r := &run{s: s, spec: spec, limits: l, line: line, watch: w, out: sandbox.NewOutput(spec.Output), began: time.Now()}
	v, err = r.all(ctx)
	if err != nil || v.Outcome == sandbox.Cancelled || v.Outcome == sandbox.Unready {
		return v, err
	}
	limit := wire.Most{Bytes: has.Bytes + l.Disk + slack, Files: has.Files + l.Files + 1000}
	err = line.fetch(ctx, spec, limit)
	switch {
	case err == nil, v.Outcome != sandbox.Exited, ctx.Err() != nil:
		return v, nil
	case errors.Is(err, wire.ErrMost): // files that are larger than what they take on a disk
		return sandbox.End{Disk: true, Limits: l, ExitCode: v.ExitCode, Wall: v.Wall, Memory: v.Memory}.Verdict(), nil
	}
	return w.verdict(ctx, err, l)
}

// run is a step whose pod stands.
type run struct {
	s      *Sandbox
	spec   sandbox.Spec
	limits sandbox.Limits
	line   *line
	watch  *watch
	out    *sandbox.Output
	began  time.Time
}

// all starts the step, and hears it to its end.
func (r *run) all(ctx context.Context) (v sandbox.Verdict, err error) {
	defer func() {
		if failed := r.out.Close(); failed != nil && err == nil && v.Outcome == sandbox.Exited {
			err = fmt.Errorf("write the output: %w", failed)
		}
	}()
	stopOut := r.line.serveOut(ctx, r.spec.Out)
	defer func() { err = errors.Join(err, stopOut()) }()
	stream, err := r.line.open(wire.Request{Kind: wire.Start, Step: r.words()})
	if err != nil {
		return r.watch.verdict(ctx, err, r.limits)
	}
	defer func() { _ = stream.Close() }()
	heard := make(chan error, 1)
	var end wire.End
	go func() {
		var err error
		end, err = r.hear(wire.Frames{ReadWriter: stream})
		heard <- err
	}()
	wall := time.NewTimer(r.limits.Wall)
	defer wall.Stop()
	over := sandbox.End{Limits: r.limits}
	select {
	case err = <-heard:
	case <-ctx.Done():
		over.Cancelled = true
		over.Wall = time.Since(r.began)
		r.line.close()
		<-heard
		return over.Verdict(), nil
	case <-r.watch.lost:
		r.line.close()
		<-heard
		return r.watch.verdict(ctx, errors.New("its pod has gone"), r.limits)
	case <-wall.C:
		over.TimedOut = true
		if kill, err := r.line.open(wire.Request{Kind: wire.Kill}); err == nil {
			_ = kill.Close()
		}
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case err = <-heard:
		case <-ctx.Done():
			r.line.close()
			err = <-heard
		case <-late.C:
			r.line.close()
			<-heard
			err = errors.New("it was killed, and has not ended")
		}
	}
	over.Wall = time.Since(r.began)
	if err != nil && !over.TimedOut {
		return r.watch.verdict(ctx, fmt.Errorf("the line to it was cut: %w", err), r.limits)
	}
	return r.sort(ctx, end, over)
}

// hear hands on what is said until the end is.
func (r *run) hear(f wire.Frames) (end wire.End, err error) {
	var says []io.WriteCloser
	for _, v := range r.spec.Services {
		says = append(says, r.out.Service(v.Name))
	}
	defer func() {
		for _, w := range says {
			_ = w.Close()
		}
	}()
	for {
		kind, text, err := f.Next()
		if err != nil {
			return end, err
		}
		switch kind {
		case wire.Output:
			_, _ = r.out.Write(text) // a failure is kept, and reported at the end
		case wire.Said:
			if len(text) > 0 && int(text[0]) < len(says) {
				_, _ = says[text[0]].Write(text[1:])
			}
		case wire.Over:
			return end, json.Unmarshal(text, &end)
		}
	}
}

// words is what the keeper is told.
func (r *run) words() *wire.Step {
	w := &wire.Step{
		Shell: r.spec.Shell, Dir: r.spec.Dir, Env: r.spec.Env, Paths: r.spec.Paths, Script: []byte(r.spec.Script),
		Out: r.spec.Out != nil, Limits: r.limits,
	}
	for _, g := range r.spec.Secrets {
		w.Secrets = append(w.Secrets, wire.Secret{Name: g.Name, Value: []byte(g.Value.Reveal()), Env: g.Env})
	}
	for _, v := range r.spec.Services {
		w.Services = append(w.Services, wire.Service{
			Name: v.Name, Command: v.Command, Dir: v.Dir, Env: slices.Clone(v.Env), Port: v.Ready.Port, Ready: v.Ready.Command, Within: v.Ready.Within(),
			Limits: v.Limits.Or(sandbox.DefaultService).Within(r.s.options.Limits),
		})
	}
	return w
}
