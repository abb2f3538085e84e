package box

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Listen is net.Listen on the calling thread: sockets belong to the network in which they are made, and the
// net package does not say on which thread it makes them.
func Listen(address string) (net.Listener, error) {
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

// Network is that of a box, held open.
type Network struct{ space *os.File }

// NetworkOf opens the network of a process. It refuses the server's own, into which the number of a process leads that has
// ended meanwhile.
func NetworkOf(pid int) (*Network, error) {
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	here, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, errors.Join(err, there.Close())
	}
	same, err := sameFile(here, there)
	if err = errors.Join(err, here.Close()); err == nil && same {
		err = errors.New("it has no network of its own")
	}
	if err != nil {
		return nil, errors.Join(err, there.Close())
	}
	return &Network{there}, nil
}

// Close gives it up.
func (n *Network) Close() error { return n.space.Close() }

// Listen is net.Listen in it.
func (n *Network) Listen(address string) (l net.Listener, err error) {
	err = n.within(func() (err error) {
		l, err = Listen(address)
		return err
	})
	return l, err
}

// Listens reports whether something accepts connections on a port of its loopback.
func (n *Network) Listens(port int) bool {
	return nil == n.within(func() error {
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
}

// within calls fn on a thread that is in the network. One that does not come back ends with its goroutine.
func (n *Network) within(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		here, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer func() { _ = here.Close() }()
		if err := unix.Setns(int(n.space.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter its network, for which the server has to be root: %w", err)
			return
		}
		err = fn()
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func sameFile(a, b *os.File) (bool, error) {
	one, err := a.Stat()
	if err != nil {
		return false, err
	}
	other, err := b.Stat()
	return err == nil && os.SameFile(one, other), err
}
