package box

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Instance is one server among those that use a folder. It has a folder of its own in it, whose lock is held as long as the
// server lives, and its name is on what it starts elsewhere: so the next server knows what nobody owns any more.
type Instance struct {
	Name, Path string
	lock       *os.File
}

// Begin makes an instance in a folder, which is made when it is not there.
func Begin(dir string) (_ *Instance, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "runs"), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of running steps: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := LockFolder(dir) // no clean-up between the folder and its lock
	if err != nil {
		return nil, err
	}
	defer unlock()
	i := &Instance{Name: strings.ToLower(rand.Text()[:12])}
	i.Path = filepath.Join(dir, "runs", i.Name)
	if err := os.Mkdir(i.Path, 0o700); err != nil {
		return nil, err
	}
	if i.lock, err = os.Open(i.Path); err == nil {
		err = unix.Flock(int(i.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(err, i.End())
	}
	return i, nil
}

// End gives the instance up. It may be called again.
func (i *Instance) End() error {
	lock := i.lock
	if i.lock = nil; lock == nil {
		return nil
	}
	return errors.Join(os.Remove(i.Path), lock.Close())
}

// LockFolder waits until no other server of a folder is in the middle of beginning or clearing up.
func LockFolder(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// Lives reports whether a server of that name uses the folder.
func Lives(dir, name string) bool {
	f, err := os.Open(filepath.Join(dir, "runs", filepath.Base(name)))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// ForgetGone removes the folders of servers that are gone, each after empty has cleared it. The folder must be locked.
func ForgetGone(dir string, empty func(path string) error) error {
	servers, err := os.ReadDir(filepath.Join(dir, "runs"))
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	for _, server := range servers {
		if Lives(dir, server.Name()) {
			continue
		}
		path := filepath.Join(dir, "runs", server.Name())
		if err := empty(path); err != nil {
			return fmt.Errorf("remove what a run has left: %w", err)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what a server has left: %w", err)
		}
	}
	return nil
}
