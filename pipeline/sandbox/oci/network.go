package oci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// network is what the boxes of one run share, when there is a way out or a service: a loopback, and nothing else. No
// interface of this machine, no process and no route lead there: a box reaches what its proxy connects it with, and the
// boxes beside it. The zero value stands for a box whose runtime makes it a network of its own, with nothing in it.
type network struct {
	space  *os.File // the namespace
	cancel context.CancelFunc
	served sync.WaitGroup
	err    error
}

// openNetwork makes the network of a run, and serves the step's way out there. Nobody in a box can change it: it belongs
// to this machine's root, and not to the box's users.
func openNetwork(ctx context.Context, spec sandbox.Spec) (n *network, err error) {
	n = &network{}
	if spec.Out == nil && len(spec.Services) == 0 {
		return n, nil
	}
	err = onOwnThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		if len(spec.Services) > 0 {
			// Servers in images listen on 80 as they please. Where this cannot be written, they are refused it, and say so.
			_ = os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
		}
		if n.space, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if spec.Out != nil {
			return n.serve(ctx, spec.Out)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// serve listens in the network of the calling thread.
func (n *network) serve(ctx context.Context, out func(context.Context, net.Listener) error) error {
	l, err := box.Listen(sandbox.ProxyAddress)
	if err != nil {
		return fmt.Errorf("listen in the box: %w", err)
	}
	ctx, n.cancel = context.WithCancel(ctx)
	n.served.Go(func() {
		n.err = out(ctx, l)
		_ = l.Close()
	})
	return nil
}

// shared reports whether the runtime is to take the network in which it is started.
func (n *network) shared() bool { return n.space != nil }

// enter gives the network to the calling thread, and to what it starts.
func (n *network) enter() error {
	if !n.shared() {
		return nil
	}
	if err := unix.Setns(int(n.space.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the box's network: %w", err)
	}
	return nil
}

// listens reports whether something accepts connections on a port of the loopback.
func (n *network) listens(port int) bool {
	err := onOwnThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}); err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	})
	return err == nil
}

// close ends the way out, and gives the network up. It may be repeated.
func (n *network) close() error {
	if n.space != nil {
		_ = n.space.Close()
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

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring the box's loopback up: %w", err)
	}
	return nil
}
