package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// note says, to other servers and to the next one, that a run is going on: a folder named after it whose lock is held as
// long as the server lives. It stays empty; in the run's own mount namespace the bundle is made on it.
type note struct {
	path string
	lock *os.File
}

func noteRun(dir, id string) (_ *note, err error) {
	path := runFolder(dir, id)
	unlock, err := lock(dir, unix.LOCK_SH) // no clean-up between the two steps
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("note it (is the same id running?): %w", err)
	}
	n := &note{path: path}
	if n.lock, err = os.Open(path); err == nil {
		err = unix.Flock(int(n.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, fmt.Errorf("note it: %w", errors.Join(err, n.forget()))
	}
	return n, nil
}

func (n *note) forget() error {
	err := os.Remove(n.path)
	if n.lock != nil {
		err = errors.Join(err, n.lock.Close())
	}
	return err
}

// endLeftovers ends what servers that are gone have left: processes, cgroups, notes. Mounts are none, for they were in
// namespaces of the processes. Runs of a server that lives are known by their lock, and left alone.
func endLeftovers(ctx context.Context, dir string, c *cgroups, log *slog.Logger) error {
	unlock, err := lock(dir, unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("sandbox/oci: %w", err)
	}
	defer unlock()
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	if err != nil {
		return fmt.Errorf("sandbox/oci: look for leftovers: %w", err)
	}
	names := map[string]bool{} // true when it has a note
	for _, name := range c.left() {
		names[name] = false
	}
	for _, e := range entries {
		names[e.Name()] = true
	}
	for name, noted := range names {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if noted && held(runFolder(dir, name)) {
			continue
		}
		log.Warn("ending what a run has left", "step", name)
		g := &group{c: c, name: name, oom: -1}
		if err := errors.Join(g.kill(), g.remove()); err != nil {
			return fmt.Errorf("sandbox/oci: end what the run %s has left: %w", name, err)
		}
		if err := os.Remove(runFolder(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sandbox/oci: end what the run %s has left: %w", name, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "probe-*"))
	for _, path := range left {
		_ = os.RemoveAll(path) // the workspace of a probe: one that goes on holds the lock
	}
	return nil
}

// held reports whether a server lives that noted this run.
func held(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

func lock(dir string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the running steps: %w", err)
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock the running steps: %w", errors.Join(err, f.Close()))
	}
	return func() { _ = f.Close() }, nil
}
