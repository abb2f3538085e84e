package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// Collect removes the images that were not used for the longest time until the layers are within the limit, and every
// layer that no image has. What is held stays, whatever the limit says.
func (s *Store) Collect() error {
	var all []error
	for _, path := range s.uncollected() {
		all = append(all, os.RemoveAll(path))
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("image: remove what is not used: %w", err)
	}
	return nil
}

// tidy removes the layers that a failed pull has completed, unless it is going to be tried again and there is room: then
// they need not be pulled again.
func (s *Store) tidy(failed error) {
	s.mu.Lock()
	full := s.bytes() > s.o.Keep
	s.mu.Unlock()
	if !full && !errors.Is(failed, image.ErrRefused) {
		return
	}
	if err := s.Collect(); err != nil {
		s.o.Log.Warn("the store of images keeps more than it should", "err", err)
	}
}

// uncollected forgets what has to go, and moves it to where nothing is complete. Removing it takes long, and needs no lock.
func (s *Store) uncollected() (paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := make([]*record, 0, len(s.images))
	for _, r := range s.images {
		oldest = append(oldest, r)
	}
	slices.SortFunc(oldest, func(a, b *record) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.Digest, b.Digest)) })
	for _, r := range oldest {
		if s.bytes() <= s.o.Keep {
			break
		}
		if r.held > 0 || s.busy(r) {
			continue
		}
		if err := os.Remove(s.recordFile(r.Digest)); err != nil {
			s.o.Log.Warn("an image could not be removed", "image", r.Name, "digest", r.Digest, "err", err)
			continue
		}
		delete(s.images, r.Digest)
		s.o.Log.Info("an image was removed: the store is full, and it was not used for the longest time", "image", r.Name, "digest", r.Digest)
		paths = append(paths, s.unwanted()...)
	}
	return append(paths, s.unwanted()...)
}

// bytes is what all layers take. With s.mu.
func (s *Store) bytes() (sum int64) {
	for _, l := range s.layers {
		sum += l.Size
	}
	return sum
}

// busy reports whether a pull is about to use the image's layers. With s.mu.
func (s *Store) busy(r *record) bool {
	return slices.ContainsFunc(r.Layers, func(l string) bool { return s.layers[l].used > 0 })
}

// unwanted are the folders of layers that no image has, moved away. With s.mu.
func (s *Store) unwanted() (paths []string) {
	wanted := map[string]bool{}
	for _, r := range s.images {
		for _, l := range r.Layers {
			wanted[l] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(s.o.Dir, layersDir))
	if err != nil {
		s.o.Log.Warn("the layers cannot be listed", "err", err)
		return nil
	}
	for _, e := range entries {
		digest := "sha256:" + e.Name()
		l := s.layers[digest]
		if wanted[digest] || l != nil && l.used > 0 {
			continue
		}
		if l == nil && s.unpacking(digest) {
			continue // it was given its name a moment ago
		}
		gone := filepath.Join(s.o.Dir, freshDir, "gone-"+strings.TrimPrefix(digest, "sha256:"))
		if err := os.Rename(filepath.Join(s.o.Dir, layersDir, e.Name()), gone); err != nil {
			s.o.Log.Warn("a layer could not be removed", "digest", digest, "err", err)
			continue
		}
		delete(s.layers, digest)
		paths = append(paths, gone)
	}
	return paths
}

// unpacking reports whether someone is making the layer.
func (s *Store) unpacking(digest string) bool {
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	_, busy := s.locks.held["layer "+digest]
	return busy
}
