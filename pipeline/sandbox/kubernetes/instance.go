package kubernetes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	corev1 "k8s.io/api/core/v1"
)

// instance is one server. The folder's name is on each of its pods, and its own is, too; its lock is held as long as it
// lives: so the next server of that folder knows what nobody owns any more, and leaves what other folders' servers run.
type instance struct {
	folder, name, path string
	lock               *os.File
}

func begin(dir string) (_ *instance, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "servers"), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of servers: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	i := &instance{name: strings.ToLower(rand.Text()[:12])}
	id := filepath.Join(dir, "id")
	known, err := os.ReadFile(id)
	if errors.Is(err, fs.ErrNotExist) {
		known = []byte(strings.ToLower(rand.Text()[:20]))
		err = os.WriteFile(id, known, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("name the folder: %w", err)
	}
	i.folder, i.path = string(known), filepath.Join(dir, "servers", i.name)
	if i.lock, err = os.OpenFile(i.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(i.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, i.end())
	}
	return i, nil
}

func (i *instance) end() error {
	if i.lock == nil {
		return nil
	}
	lock := i.lock
	i.lock = nil
	return errors.Join(os.Remove(i.path), lock.Close())
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
	f, err := os.Open(filepath.Join(dir, "servers", filepath.Base(name)))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// endLeftovers removes what servers of this folder that are gone have left in the cluster.
func (s *Sandbox) endLeftovers(ctx context.Context) error {
	unlock, err := lockDir(s.options.Dir)
	if err != nil {
		return fmt.Errorf("sandbox/kubernetes: %w", err)
	}
	defer unlock()
	pods, err := s.cluster.list(ctx, labelManager+"="+manager+","+labelFolder+"="+s.instance.folder)
	if err != nil {
		return fmt.Errorf("sandbox/kubernetes: look for what is left in the namespace %s: %w; make the namespace and give the server its rights there, as docs/kubernetes.md says", s.options.Namespace, err)
	}
	for _, p := range pods {
		if lives(s.options.Dir, p.Labels[labelInstance]) {
			continue
		}
		s.options.Log.Warn("ending what a run has left", "step", p.Annotations[noteStep])
		if err := s.forget(ctx, p.Name); err != nil {
			return fmt.Errorf("sandbox/kubernetes: end what the run %s has left: %w", p.Annotations[noteStep], err)
		}
	}
	servers, err := os.ReadDir(filepath.Join(s.options.Dir, "servers"))
	if err != nil {
		return fmt.Errorf("sandbox/kubernetes: look for leftovers: %w", err)
	}
	for _, server := range servers {
		if lives(s.options.Dir, server.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(s.options.Dir, "servers", server.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sandbox/kubernetes: remove what a server has left: %w", err)
		}
	}
	return nil
}

// forget removes a pod, and returns when it is gone: with a grace of one second its node has to confirm that nothing of it
// runs any more, while without any it would vanish from the API at once, whatever its processes do. A node that does not
// answer cannot confirm; then the pod is given up.
func (s *Sandbox) forget(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := s.again(ctx, func() error { return s.cluster.remove(ctx, name, 1) }); err != nil {
		return fmt.Errorf("remove the pod: %w", err)
	}
	confirm, stop := context.WithTimeout(ctx, s.confirms)
	defer stop()
	gone := s.cluster.follow(confirm, name, func(p *corev1.Pod) bool { return p == nil })
	if gone == nil {
		return nil
	}
	s.options.Log.Warn("a pod's node does not confirm that it is gone; the pod is given up", "pod", name)
	if err := s.cluster.remove(ctx, name, 0); err != nil {
		return fmt.Errorf("remove the pod: %w", err)
	}
	return nil
}

// again asks until the API server has an answer: one that is just away is no reason to leave a pod behind.
func (s *Sandbox) again(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		r, said := errors.AsType[*refusal](err)
		if err == nil || said && r.Code < 500 && r.Code != http.StatusTooManyRequests {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}
