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

	corev1 "k8s.io/api/core/v1"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// folderName is what is on each pod of the servers of a folder, so that they leave alone what others run. It is made once.
func folderName(dir string) (string, error) {
	unlock, err := box.LockFolder(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, "id")
	known, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		known = []byte(strings.ToLower(rand.Text()[:20]))
		err = os.WriteFile(path, known, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("name the folder: %w", err)
	}
	return string(known), nil
}

// endLeftovers removes what servers of this folder that are gone have left in the cluster.
func (s *Sandbox) endLeftovers(ctx context.Context) error {
	unlock, err := box.LockFolder(s.options.Dir)
	if err != nil {
		return fmt.Errorf("sandbox/kubernetes: %w", err)
	}
	defer unlock()
	pods, err := s.cluster.list(ctx, labelManager+"="+manager+","+labelFolder+"="+s.folder)
	if err != nil {
		return fmt.Errorf("sandbox/kubernetes: look for what is left in the namespace %s: %w; make the namespace and give the server its rights there, as docs/kubernetes.md says", s.options.Namespace, err)
	}
	for _, p := range pods {
		if box.Lives(s.options.Dir, p.Labels[labelInstance]) {
			continue
		}
		s.options.Log.Warn("ending what a run has left", "step", p.Annotations[noteStep])
		if err := s.forget(ctx, p.Name); err != nil {
			return fmt.Errorf("sandbox/kubernetes: end what the run %s has left: %w", p.Annotations[noteStep], err)
		}
	}
	if err := box.ForgetGone(s.options.Dir, func(string) error { return nil }); err != nil {
		return fmt.Errorf("sandbox/kubernetes: %w", err)
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
