// Package memory keeps artifacts in memory, for tests and for demonstrations. Nothing survives the process.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// Store is an artifact.Store. Make it with New.
type Store struct {
	mu      sync.RWMutex
	objects map[pipeline.Digest][]byte // never changed once they are in
}

var _ artifact.Store = (*Store)(nil)

// New is an empty store.
func New() *Store { return &Store{objects: make(map[pipeline.Digest][]byte)} }

// Put is artifact.Store's.
func (s *Store) Put(ctx context.Context, root string, globs []string, limits artifact.Limits) (artifact.Manifest, error) {
	m, err := artifact.Gather(ctx, root, globs, limits, func(r io.Reader, _ int64) (pipeline.Digest, error) {
		b, err := io.ReadAll(r)
		if err != nil {
			return "", err
		}
		return s.keep(b), nil
	})
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/memory: store the files of %s: %w", root, err)
	}
	encoded := m.Encode()
	if len(encoded) > artifact.MaxManifest {
		return artifact.Manifest{}, fmt.Errorf("artifact/memory: store the files of %s: %w: the list of files has %d bytes", root, artifact.ErrTooBig, len(encoded))
	}
	s.keep(encoded)
	return m, nil
}

func (s *Store) keep(b []byte) pipeline.Digest {
	digest := artifact.DigestOf(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[digest]; !ok {
		s.objects[digest] = b
	}
	return digest
}

// Manifest is artifact.Store's.
func (s *Store) Manifest(ctx context.Context, digest pipeline.Digest) (artifact.Manifest, error) {
	r, err := s.Open(ctx, digest)
	if err != nil {
		return artifact.Manifest{}, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/memory: read the manifest %s: %w", digest, err)
	}
	m, err := artifact.Decode(b)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/memory: read the manifest %s: %w", digest, err)
	}
	return m, nil
}

// Open is artifact.Store's.
func (s *Store) Open(_ context.Context, file pipeline.Digest) (io.ReadCloser, error) {
	s.mu.RLock()
	b, ok := s.objects[file]
	s.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("artifact/memory: open %q: %w", file, artifact.ErrNotFound)
	}
	return artifact.Verify(io.NopCloser(bytes.NewReader(b)), file), nil
}

// Extract is artifact.Store's.
func (s *Store) Extract(ctx context.Context, digest pipeline.Digest, dir string, limits artifact.Limits) (artifact.Manifest, error) {
	m, err := s.Manifest(ctx, digest)
	if err != nil {
		return artifact.Manifest{}, err
	}
	err = artifact.Lay(ctx, m, dir, limits, func(d pipeline.Digest) (io.ReadCloser, error) { return s.Open(ctx, d) })
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/memory: lay out %s: %w", digest, err)
	}
	return m, nil
}
