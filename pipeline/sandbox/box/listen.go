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

// ListenIn is Listen in the network of another process. It refuses the server's own network, into which the number of a
// process leads that has ended meanwhile.
func ListenIn(pid int, address string) (l net.Listener, err error) {
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer func() { _ = there.Close() }()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // unlocked only when it is back: else the thread ends with the goroutine
		here, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = here.Close() }()
		if same, err := sameFile(here, there); err != nil || same {
			runtime.UnlockOSThread()
			done <- errors.Join(err, errors.New("it has no network of its own"))
			return
		}
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter its network, for which the server has to be root: %w", err)
			return
		}
		l, err = Listen(address)
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return l, nil
}

func sameFile(a, b *os.File) (bool, error) {
	one, err := a.Stat()
	if err != nil {
		return false, err
	}
	other, err := b.Stat()
	return err == nil && os.SameFile(one, other), err
}
