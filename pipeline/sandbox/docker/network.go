package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// wayOut is a listener on the loopback of a container's own network, served from outside. The container has no other
// network: what it reaches is what its proxy connects it with.
type wayOut struct {
	cancel context.CancelFunc
	served sync.WaitGroup
	err    error
}

// open serves the way out of a container that stands and waits.
func (s *Sandbox) open(ctx context.Context, w *wayOut, name string, out func(context.Context, net.Listener) error) error {
	pid, err := s.first(ctx, name)
	if err != nil {
		return fmt.Errorf("make its way out: %w", err)
	}
	l, err := box.ListenIn(pid, sandbox.ProxyAddress)
	if err != nil {
		return fmt.Errorf("make its way out: %w", err)
	}
	if again, err := s.first(ctx, name); err != nil || again != pid { // or the number may be another process's by now
		return errors.Join(errors.New("make its way out: it has ended meanwhile"), err, l.Close())
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.served.Go(func() {
		w.err = out(ctx, l)
		_ = l.Close()
	})
	return nil
}

// first is the number, on this machine, of the first process of a container that runs.
func (s *Sandbox) first(ctx context.Context, name string) (pid int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	found, err := s.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return 0, err
	}
	if st := found.Container.State; st == nil || !st.Running || st.Pid <= 0 {
		return 0, errors.New("it does not run")
	}
	return found.Container.State.Pid, nil
}

// close ends the way out. It may be repeated.
func (w *wayOut) close() error {
	if w.cancel == nil {
		return nil
	}
	w.cancel()
	w.served.Wait()
	if w.err != nil {
		return fmt.Errorf("the step's way out failed: %w", w.err)
	}
	return nil
}
