package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// endLeftovers ends what servers of this folder that are gone have left: containers, and folders in memory.
func (s *Sandbox) endLeftovers(ctx context.Context) error {
	unlock, err := box.LockFolder(s.options.Dir)
	if err != nil {
		return fmt.Errorf("sandbox/docker: %w", err)
	}
	defer unlock()
	found, err := s.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelDir+"="+s.options.Dir)})
	if err != nil {
		return fmt.Errorf("sandbox/docker: look for leftovers: %w", err)
	}
	for _, c := range found.Items {
		if box.Lives(s.options.Dir, c.Labels[labelInstance]) {
			continue
		}
		s.options.Log.Warn("ending what a run has left", "step", c.Labels[labelStep])
		if err := s.forget(ctx, c.ID); err != nil {
			return fmt.Errorf("sandbox/docker: end what the run %s has left: %w", c.Labels[labelStep], err)
		}
	}
	err = box.ForgetGone(s.options.Dir, func(path string) error {
		rooms, _ := os.ReadDir(path)
		for _, r := range rooms {
			if err := removeRoom(filepath.Join(path, r.Name())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sandbox/docker: %w", err)
	}
	return nil
}
