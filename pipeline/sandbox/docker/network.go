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

// network is that of a step's container: a loopback, and nothing else. Its services share it. What the step reaches beside
// them is what its proxy connects it with, whose listener is opened from outside. The zero value is one that nobody enters.
type network struct {
	*box.Network
	cancel context.CancelFunc
	served sync.WaitGroup
	err    error
}

// openNetwork enters the network of a container that stands and waits, and serves the step's way out there.
func (s *Sandbox) openNetwork(ctx context.Context, name string, spec sandbox.Spec) (n *network, err error) {
	n = &network{}
	if spec.Out == nil && len(spec.Services) == 0 {
		return n, nil
	}
	defer func() {
		if err != nil {
			n, err = nil, fmt.Errorf("enter its network: %w", errors.Join(err, n.close()))
		}
	}()
	pid, err := s.first(ctx, name)
	if err != nil {
		return n, err
	}
	if n.Network, err = box.NetworkOf(pid); err != nil {
		return n, err
	}
	if again, err := s.first(ctx, name); err != nil || again != pid { // or the number may be another process's by now
		return n, errors.Join(errGone, err)
	}
	if spec.Out == nil {
		return n, nil
	}
	l, err := n.Listen(sandbox.ProxyAddress)
	if err != nil {
		return n, err
	}
	n.serve(ctx, l, spec.Out)
	return n, nil
}

func (n *network) serve(ctx context.Context, l net.Listener, out func(context.Context, net.Listener) error) {
	ctx, n.cancel = context.WithCancel(ctx)
	n.served.Go(func() {
		n.err = out(ctx, l)
		_ = l.Close()
	})
}

var errGone = errors.New("it has ended already")

// first is the number, on this machine, of the first process of a container that runs.
func (s *Sandbox) first(ctx context.Context, name string) (pid int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	found, err := s.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return 0, err
	}
	if st := found.Container.State; st == nil || !st.Running || st.Pid <= 0 {
		return 0, errGone
	}
	return found.Container.State.Pid, nil
}

// close ends the way out, and gives the network up. It may be repeated.
func (n *network) close() error {
	if n.Network != nil {
		_ = n.Close()
	}
	if n.cancel == nil {
		return nil
	}
	n.cancel()
	n.served.Wait()
	if n.err != nil {
		return fmt.Errorf("the step's way out failed: %w", n.err)
	}
	return nil
}
