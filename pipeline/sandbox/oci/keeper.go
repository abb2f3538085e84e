package oci

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// keeper holds the process namespace in which all runtimes are started. Its first process lives as long as a pipe from
// this server is open: when the server dies, however it dies, the kernel kills every process of the namespace and of
// those below it. No step outlives the server.
type keeper struct {
	mu  sync.Mutex
	now *kept
}

type kept struct {
	pids, mounts *os.File // namespaces
	life         io.Closer
	first        *os.Process
	gone         chan struct{} // closed when the first process has ended
}

// A shell that waits for its child also reaps orphans, which the first process of a namespace has to do.
const keeperScript = "mount -t proc proc /proc && echo kept && cat >/dev/null; exit"

// hold returns the namespace, made anew when its first process was killed.
func (k *keeper) hold() (*kept, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now != nil {
		select {
		case <-k.now.gone:
			k.now = nil // its files are closed by the collector, for a run may be using them
		default:
			return k.now, nil
		}
	}
	now, err := keep()
	if err != nil {
		return nil, fmt.Errorf("keep a process namespace: %w", err)
	}
	k.now = now
	return now, nil
}

func keep() (_ *kept, err error) {
	cmd := exec.Command("/bin/sh", "-c", keeperScript)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Unshareflags: unix.CLONE_NEWNS, Setsid: true}
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	k := &kept{life: life, first: cmd.Process, gone: make(chan struct{})}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "kept\n" {
		_ = life.Close()
		_ = cmd.Wait()
		return nil, fmt.Errorf("%q, %w", strings.TrimSpace(complaint.String()), err)
	}
	ns := fmt.Sprintf("/proc/%d/ns/", cmd.Process.Pid)
	if k.pids, err = os.Open(ns + "pid"); err == nil {
		k.mounts, err = os.Open(ns + "mnt")
	}
	go func() {
		_ = cmd.Wait()
		close(k.gone)
	}()
	if err != nil {
		_ = life.Close()
		<-k.gone
		return nil, err
	}
	return k, nil
}

// enter gives the calling thread's children the kept process namespace, and the thread itself a private copy of all
// mounts with the /proc that belongs to it: runtimes find their children there.
func (k *kept) enter() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the server's folder: %w", err)
	}
	here, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer func() { _ = here.Close() }()
	if err := unix.Setns(int(k.mounts.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the kept mount namespace: %w", err)
	}
	proc, err := unix.OpenTree(unix.AT_FDCWD, "/proc", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil {
		defer func() { _ = unix.Close(proc) }()
	}
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNS); err != nil || back != nil {
		return fmt.Errorf("fetch the kept /proc: %w", firstOf(err, back))
	}
	if err := privateMounts(); err != nil {
		return err
	}
	if err := unix.MoveMount(proc, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount the kept /proc: %w", err)
	}
	return k.enterPIDs()
}

// enterPIDs gives the calling thread's children the kept process namespace.
func (k *kept) enterPIDs() error {
	if err := unix.Setns(int(k.pids.Fd()), unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("enter the kept process namespace: %w", err)
	}
	runtime.KeepAlive(k)
	return nil
}

// end kills all that is in the namespace, and waits until it is gone.
func (k *kept) end() {
	_ = k.life.Close()
	_ = k.first.Kill()
	<-k.gone
	_, _ = k.pids.Close(), k.mounts.Close()
}

func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == nil {
		return
	}
	_ = k.now.life.Close()
	<-k.now.gone
	k.now = nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
