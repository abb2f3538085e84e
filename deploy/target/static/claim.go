package static

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/deploy/target"
)

// owner is the content of .cd/token: the highest token that the place has seen, and whose place it is. Two environments
// that name one folder by mistake would otherwise undo each other's deployments, and a repository could replace the
// site of another. Once removed, a place may be taken by anyone.
type owner struct {
	Token       int64  `json:"token"`
	Deployment  string `json:"deployment"`
	Repo        int64  `json:"repo"`
	Environment string `json:"environment"`
	Removed     bool   `json:"removed,omitempty"`
}

// claim is the place while it is locked for one deployment.
type claim struct {
	t     *Target
	place place
	d     target.Deployment
	lock  *os.File
}

// claim locks the place, compares the token, and records it. A place remembers the highest token it has seen, and
// refuses all lower ones from then on.
func (t *Target) claim(ctx context.Context, p place, d target.Deployment, remove bool) (_ *claim, err error) {
	if d.Token < 1 {
		return nil, fmt.Errorf("static: deploy %s without a token", d.Environment)
	}
	if err := mkdirPublic(p.root); err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	if err := os.Mkdir(p.own(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("static: %w", err)
	}
	lock, err := lockFolder(ctx, p.own())
	if err != nil {
		return nil, fmt.Errorf("static: lock %s: %w", p.root, err)
	}
	c := &claim{t: t, place: p, d: d, lock: lock}
	defer func() {
		if err != nil {
			c.unlock()
		}
	}()
	seen, err := readOwner(filepath.Join(p.own(), "token"))
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	me := owner{Token: d.Token, Deployment: d.ID, Repo: d.Repo.ID, Environment: d.Environment, Removed: remove}
	switch mine := seen.Repo == me.Repo && seen.Environment == me.Environment; {
	case seen.Token > 0 && !mine && !seen.Removed:
		return nil, fmt.Errorf("%w: %s belongs to the environment %s of repository %d; name another folder for %s, or take that one down first",
			target.ErrRefused, p.root, seen.Environment, seen.Repo, d.Environment)
	case seen.Token > 0 && !mine && remove:
		return c, nil // it was taken down, and has not been ours since
	case mine && seen.Token > d.Token:
		return nil, fmt.Errorf("%w: %s has seen token %d, and this deployment has %d", target.ErrFenced, p.root, seen.Token, d.Token)
	case seen == me:
		return c, nil
	}
	if err := replace(filepath.Join(p.own(), "token"), me); err != nil {
		return nil, fmt.Errorf("static: record the token: %w", err)
	}
	t.point("token written")
	return c, nil
}

func (c *claim) unlock() { _ = c.lock.Close() } // closing unlocks; nothing was written to it

// lockFolder waits for the lock of a folder. The kernel drops it when its holder dies.
func lockFolder(ctx context.Context, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := context.Cause(ctx)
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// readOwner reads .cd/token; the zero owner when there is none. A file that cannot be read keeps everyone out, because
// guessing a token would let an old deployment win.
func readOwner(path string) (o owner, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(b, &o); err != nil || o.Token < 1 {
		return o, fmt.Errorf("%s does not hold a token; repair it, or move it away when nothing is being deployed", path)
	}
	return o, nil
}

// replace writes a file whole, or not at all.
func replace(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := writeDurably(temp, os.O_CREATE|os.O_TRUNC, append(b, '\n')); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func writeDurably(path string, flags int, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|flags, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
