package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// boxes is what a step and its services run in. Their images stay here until it is released.
type boxes struct {
	root     *sandbox.Root // of the step; nil for the tools of the host
	services []sandbox.Service
	held     []func()
}

func (b *boxes) release() {
	for _, release := range b.held {
		release()
	}
}

// bring brings the images of a step and of its services here. Where the plan or the operator is at fault, it is over with
// the step: the result says why, and so does its log. An error is ours, and the step is tried again.
func (a *App) bring(ctx context.Context, w *runWork, spec pipeline.Step, log io.Writer) (*boxes, *pipeline.Result, error) {
	b := &boxes{}
	fault, err := a.bringAll(ctx, w, spec, b, log)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(log, "\nThis attempt ended early: %s.\n", cutOff(context.Cause(ctx)))
		err = ctx.Err()
	case err == nil && fault != "":
		fmt.Fprintf(log, "\n%s\n", fault)
		return b, &pipeline.Result{Outcome: pipeline.Failed, Reason: fault}, nil
	}
	return b, nil, err
}

func (a *App) bringAll(ctx context.Context, w *runWork, spec pipeline.Step, b *boxes, log io.Writer) (fault string, err error) {
	if spec.Root {
		if w.Latest().Trust < pipeline.Writer {
			return "the step has user: root, which only code of people who may write has", nil
		}
		rooted, gives := a.boxFor(w.Latest().Trust).(sandbox.Rooted)
		why := errors.New("this server's sandbox makes nobody root of a box: choose crun or runc")
		if gives {
			why = rooted.GivesRoot()
		}
		if why != nil {
			return fmt.Sprintf("the step has user: root: %s", why), nil
		}
	}
	if len(spec.Services) > 0 {
		server, serves := a.boxFor(w.Latest().Trust).(sandbox.Server)
		why := errors.New("this server's sandbox runs none")
		if serves {
			why = server.Serves()
		}
		if why != nil {
			return fmt.Sprintf("the step has services: %s", why), nil
		}
	}
	hold := func(name string) (held image.Held, fault string, err error) {
		held, fault, err = a.imageHere(ctx, w, name, log)
		if held.Release != nil {
			b.held = append(b.held, held.Release)
		}
		return held, fault, err
	}
	if _, setting, needed := a.config.usualImage(); spec.Image == "" && needed {
		return "this server runs steps in containers, and this one names no image: name one with `image:`, or set " + setting + " for all steps that name none", nil
	}
	if spec.Image != "" {
		held, fault, err := hold(spec.Image)
		if err != nil || fault != "" {
			return fault, err
		}
		b.root = rootOf(spec.Image, held)
	}
	for _, v := range spec.Services {
		held, fault, err := hold(v.Image)
		if err != nil || fault != "" {
			return fault, err
		}
		b.services = append(b.services, serviceOf(v, held))
	}
	return "", nil
}

func rootOf(name string, held image.Held) *sandbox.Root {
	return &sandbox.Root{Name: name, Layers: held.Layers, Env: held.Env, Ref: held.Ref}
}

// serviceOf is what the plan says of a service, and its image where the plan says nothing.
func serviceOf(v pipeline.Service, held image.Held) sandbox.Service {
	command, user := held.Program.Command, held.Program.User
	if len(v.Command) > 0 {
		command = v.Command
	}
	if v.User != "" {
		user = v.User
	}
	one := sandbox.Service{
		Name: v.Name, Root: rootOf(v.Image, held), Command: slices.Concat(held.Program.Entrypoint, command), Dir: held.Program.Dir, User: user,
		Ready:  sandbox.Ready{Port: v.Ready.Port, Command: v.Ready.Command, Timeout: v.Ready.Timeout.Std()},
		Limits: sandbox.Limits{Memory: v.Limits.Memory, CPUs: v.Limits.CPUs, PIDs: v.Limits.PIDs},
	}
	for _, name := range slices.Sorted(maps.Keys(v.Env)) {
		one.Env = append(one.Env, name+"="+v.Env[name])
	}
	return one
}
