package git

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// How often the folder's lock is tried for, and the pause in between: a second altogether.
const (
	lockTries = 100
	lockPause = 10 * time.Millisecond
)

// lockAlone takes the lock of a folder, unless another server has it. Who has died may seem to have it for a moment longer:
// a program that it was about to start holds a copy of each open file from the fork until the exec, and with the copy the
// lock. So the first no is not the last word; pause is called before each further try.
func lockAlone(f *os.File, pause func()) (err error) {
	for try := range lockTries {
		if try > 0 {
			pause()
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
	return err
}

// unlock frees the folder. Closing the file alone would not while a program is being started: its copy would keep the lock.
func unlock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
