package oci

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onOwnThread runs fn on a thread that is thrown away afterwards, so that fn may give it other namespaces and another
// cgroup. What fn starts inherits them; the rest of the server never sees them.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // without an unlock the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end, and /proc/self speaks of it: it waits here while another one does the work.
			err := onOwnThread(fn)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// privateMounts gives the calling thread a copy of all mounts. It has to be a copy made now and not one kept for all
// runs: a workspace may be a mount that was made a moment ago.
func privateMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cut the mount namespace off: %w", err)
	}
	return nil
}
