package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// turn is one environment's folder in the scratch folder:
//
//	token     the highest token seen
//	lock      held for the moment in which token is compared and written
//	running   held while a script of this environment runs
//	script    which process group that is
//	files.*   artifacts laid out for scripts; each locked while its maker lives
//
// Locks are the kernel's, and go with the process that held them.
type turn struct{ dir string }

// seen is the content of token.
type seen struct {
	Token       int64  `json:"token"`
	Deployment  string `json:"deployment"`
	Repo        int64  `json:"repo"`
	Environment string `json:"environment"`
}

// How often a running script's turn is looked at, and a lock is tried again.
const (
	watchEvery = 200 * time.Millisecond
	retryEvery = 10 * time.Millisecond
)

// claim compares the token and records it. From then on lower ones are refused.
func (t *Target) claim(ctx context.Context, d target.Deployment) (turn, error) {
	if d.Token < 1 {
		return turn{}, fmt.Errorf("exec: deploy %s without a token", d.Environment)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", d.Repo.ID, d.Environment))
	own := turn{filepath.Join(t.scratch, hex.EncodeToString(sum[:12]))}
	if err := os.MkdirAll(own.dir, 0o700); err != nil {
		return own, fmt.Errorf("exec: %w", err)
	}
	lock, err := own.lock(ctx, "lock")
	if err != nil {
		return own, fmt.Errorf("exec: %w", err)
	}
	defer lock.Close()
	last, err := own.seen()
	if err != nil {
		return own, fmt.Errorf("exec: %w", err)
	}
	if err := last.fences(d); err != nil {
		return own, err
	}
	if last.Token < d.Token {
		if err := own.record(seen{Token: d.Token, Deployment: d.ID, Repo: d.Repo.ID, Environment: d.Environment}); err != nil {
			return own, fmt.Errorf("exec: record the token: %w", err)
		}
	}
	own.sweep()
	return own, nil
}

func (s seen) fences(d target.Deployment) error {
	if s.Token > d.Token {
		return fmt.Errorf("%w: %s has seen token %d, and this deployment has %d", target.ErrFenced, d.Environment, s.Token, d.Token)
	}
	return nil
}

// run does work while no other script of this environment runs, and cancels it when a newer deployment claims the
// environment.
func (own turn) run(ctx context.Context, d target.Deployment, work func(context.Context) error) error {
	running, err := own.lock(ctx, "running")
	if err != nil {
		return fmt.Errorf("exec: wait for the script before: %w", err)
	}
	defer running.Close()
	last, err := own.seen()
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	if err := last.fences(d); err != nil {
		return err
	}
	own.killOrphan()
	watched, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		own.watch(watched, d, stop)
	}()
	err = work(watched)
	stop(nil)
	<-done
	if errors.Is(err, errFenced) {
		return fmt.Errorf("%w: %w", target.ErrFenced, err)
	}
	return err
}

// watch ends the work when a higher token is seen.
func (own turn) watch(ctx context.Context, d target.Deployment, stop context.CancelCauseFunc) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if last, err := own.seen(); err == nil && last.Token > d.Token {
			stop(errFenced)
			return
		}
	}
}

// lock waits for one of the environment's locks.
func (own turn) lock(ctx context.Context, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(own.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(retryEvery)
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

// seen reads the token file; zero when there is none. A file that cannot be read keeps everyone out.
func (own turn) seen() (s seen, err error) {
	path := filepath.Join(own.dir, "token")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Token < 1 {
		return s, fmt.Errorf("%s does not hold a token; repair it, or move it away when nothing is being deployed", path)
	}
	return s, nil
}

// record writes the token file whole, or not at all.
func (own turn) record(s seen) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(own.dir, "token")
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(own.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
