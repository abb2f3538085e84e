// Package folder starts a process with a folder of secrets that only it and its children see.
//
// The folder lies in memory, in a mount namespace of the process's own: no disk holds it, no other process of this machine
// has a path to it, and it is gone with the last process that sees it, even when the server is killed. Start reading at Start.
package folder

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// size bounds what is kept in memory for one process, in bytes.
const size = 16 << 20

// Start starts cmd with the secrets as files in at, a folder that is there and stays empty for everyone else. Without
// secrets it is cmd.Start. That needs root.
func Start(cmd *exec.Cmd, at string, all []secret.Given) error {
	if len(all) == 0 {
		return cmd.Start()
	}
	if err := secret.Check(all); err != nil {
		return err
	}
	done := make(chan error, 1)
	go onOwnThread(done, func() error {
		if err := private(at); err != nil {
			return fmt.Errorf("secret: a private folder for secrets needs root: %w", err)
		}
		for _, g := range all {
			if err := os.WriteFile(filepath.Join(at, g.Name), []byte(g.Value.Reveal()), 0o400); err != nil {
				return fmt.Errorf("secret: write %s: %w", g.Name, err)
			}
		}
		return cmd.Start()
	})
	return <-done
}

// onOwnThread runs fn on a thread that is thrown away afterwards, with its namespace.
func onOwnThread(done chan<- error, fn func() error) {
	runtime.LockOSThread() // without an unlock the thread ends with the goroutine
	if unix.Gettid() == os.Getpid() {
		go onOwnThread(done, fn) // the main thread cannot end: another one is taken, for this one is held until it has begun
		runtime.UnlockOSThread()
		return
	}
	done <- fn()
}

// private mounts an empty folder in memory at a place that only this thread and its children see. What is mounted on the
// machine later still comes in; nothing goes out.
func private(at string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	err := unix.Mount("conveyor", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, fmt.Sprintf("mode=0700,size=%d", size))
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s is not there: %w", at, err)
	}
	return err
}
