package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// instance is one server's folder. Its lock is held as long as the server lives, and its name is on each of the
// server's containers: so the next server knows what nobody owns any more.
type instance struct {
	name, path string
	lock       *os.File
}

func begin(dir string) (_ *instance, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "runs"), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of running steps: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir) // no clean-up between the folder and its lock
	if err != nil {
		return nil, err
	}
	defer unlock()
	i := &instance{name: strings.ToLower(rand.Text()[:12])}
	i.path = filepath.Join(dir, "runs", i.name)
	if err := os.Mkdir(i.path, 0o700); err != nil {
		return nil, err
	}
	if i.lock, err = os.Open(i.path); err == nil {
		err = unix.Flock(int(i.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(err, i.end())
	}
	return i, nil
}

func (i *instance) end() error {
	err := os.Remove(i.path)
	if i.lock != nil {
		err = errors.Join(err, i.lock.Close())
	}
	return err
}

func lockDir(dir string) (unlock func(), err error) {
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

// lives reports whether a server of that name runs.
func lives(dir, name string) bool {
	f, err := os.Open(filepath.Join(dir, "runs", filepath.Base(name)))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// endLeftovers ends what servers of this folder that are gone have left: containers, and folders in memory.
func (s *Sandbox) endLeftovers(ctx context.Context) error {
	unlock, err := lockDir(s.options.Dir)
	if err != nil {
		return fmt.Errorf("sandbox/docker: %w", err)
	}
	defer unlock()
	found, err := s.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelDir+"="+s.options.Dir)})
	if err != nil {
		return fmt.Errorf("sandbox/docker: look for leftovers: %w", err)
	}
	for _, c := range found.Items {
		if lives(s.options.Dir, c.Labels[labelInstance]) {
			continue
		}
		s.options.Log.Warn("ending what a run has left", "step", c.Labels[labelStep])
		if err := s.forget(ctx, c.ID); err != nil {
			return fmt.Errorf("sandbox/docker: end what the run %s has left: %w", c.Labels[labelStep], err)
		}
	}
	servers, err := os.ReadDir(filepath.Join(s.options.Dir, "runs"))
	if err != nil {
		return fmt.Errorf("sandbox/docker: look for leftovers: %w", err)
	}
	for _, server := range servers {
		if lives(s.options.Dir, server.Name()) {
			continue
		}
		path := filepath.Join(s.options.Dir, "runs", server.Name())
		rooms, _ := os.ReadDir(path)
		for _, r := range rooms {
			if err := removeRoom(filepath.Join(path, r.Name())); err != nil {
				return fmt.Errorf("sandbox/docker: remove what a run has left: %w", err)
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sandbox/docker: remove what a server has left: %w", err)
		}
	}
	return nil
}
