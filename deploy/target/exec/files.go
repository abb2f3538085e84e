package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/deploy/target"
)

// laidOut is an artifact's files for one script. Its folder is locked while the maker lives.
type laidOut struct {
	path string
	lock *os.File
}

// files is a folder deeper, so that what a half-done layout leaves beside it goes away, too.
func (l laidOut) files() string { return filepath.Join(l.path, "files") }

func (l laidOut) discard() {
	_ = os.RemoveAll(l.path) // what stays is swept by the next deployment
	_ = l.lock.Close()
}

// layOut makes a folder with the verified files. Nothing is run before all of them are there.
func (own turn) layOut(ctx context.Context, d target.Deployment, files target.Files) (laidOut, error) {
	made, err := own.folder(ctx)
	if err != nil {
		return laidOut{}, fmt.Errorf("exec: %w", err)
	}
	if err := files(ctx, d.Digest, made.files()); err != nil {
		made.discard()
		return laidOut{}, fmt.Errorf("exec: lay out %s: %w", d.Digest.Short(), err)
	}
	return made, nil
}

// folder makes the folder and its lock. The environment is locked meanwhile, so that sweep cannot come between.
func (own turn) folder(ctx context.Context) (laidOut, error) {
	lock, err := own.lock(ctx, "lock")
	if err != nil {
		return laidOut{}, err
	}
	defer lock.Close()
	path, err := os.MkdirTemp(own.dir, "files.*")
	if err != nil {
		return laidOut{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return laidOut{}, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return laidOut{}, errors.Join(err, f.Close())
	}
	return laidOut{path, f}, nil
}

// sweep removes what crashed deployments left: folders whose maker no longer holds their lock.
func (own turn) sweep() {
	entries, err := os.ReadDir(own.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), "files.") {
			continue
		}
		path := filepath.Join(own.dir, e.Name())
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path) // tried again by the next sweep
		}
		_ = f.Close()
	}
}
