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
)

// wayOut is a listener on the loopback of a box's own network, served from outside. No interface of this machine, no
// process and no route lead there: a box reaches what its proxy connects it with, and nothing else.
type wayOut struct {
	cancel context.CancelFunc
	served sync.WaitGroup
	err    error
}

// open gives the calling thread a network of its own, which what it starts inherits, with nothing but a loopback, and
// serves the step's way out there. Nobody in the box can change that network: it belongs to this machine's root, and not
// to the box's users.
func (w *wayOut) open(ctx context.Context, out func(context.Context, net.Listener) error) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	l, err := listenHere(sandbox.ProxyAddress)
	if err != nil {
		return fmt.Errorf("listen in the box: %w", err)
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.served.Go(func() {
		w.err = out(ctx, l)
		_ = l.Close()
	})
	return nil
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

// listenHere is net.Listen on the calling thread: sockets belong to the network in which they are made, and the
// net package does not say on which thread it makes them.
func listenHere(address string) (net.Listener, error) {
	a, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}), unix.Listen(fd, 128)); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "box")
	defer func() { _ = file.Close() }() // FileListener has a copy
	return net.FileListener(file)
}
