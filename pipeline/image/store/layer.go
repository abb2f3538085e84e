package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// layer is one that lies here, complete. It is a folder with two things: fs, what is mounted, and about.
type layer struct {
	about
	used int // images that are being pulled or held, and have it
}

// about is what is kept of a layer.
type about struct {
	Size    int64 `json:"size"`    // bytes of its files
	Entries int64 `json:"entries"` // files, folders and whatever else
	Alone   bool  `json:"alone"`   // it shows nothing of the layers below it
}

func (s *Store) layerDir(digest string) string {
	return filepath.Join(s.o.Dir, layersDir, strings.TrimPrefix(digest, "sha256:"))
}

// root is the folder that is mounted.
func (s *Store) root(digest string) string { return filepath.Join(s.layerDir(digest), "fs") }

// layer makes sure that a layer is here, and uses it until release. Two that want the same one do the work once.
// What it takes is taken from the image's limits.
func (s *Store) layer(ctx context.Context, digest string, l *limits, open func() (io.ReadCloser, error)) (a about, release func(), err error) {
	unlock, err := s.locks.lock(ctx, "layer "+digest)
	if err != nil {
		return a, nil, err
	}
	defer unlock()
	if a, ok := s.use(digest); ok {
		if err := l.take(a.Size, a.Entries); err != nil {
			s.unuse(digest)
			return a, nil, err
		}
		return a, func() { s.unuse(digest) }, nil
	}
	if a, err = s.unpackLayer(ctx, digest, l, open); err != nil {
		return a, nil, err
	}
	s.mu.Lock()
	s.layers[digest] = &layer{about: a, used: 1}
	s.mu.Unlock()
	return a, func() { s.unuse(digest) }, nil
}

func (s *Store) use(digest string) (a about, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.layers[digest]
	if !ok {
		return a, false
	}
	l.used++
	return l.about, true
}

func (s *Store) unuse(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.layers[digest].used--
}

// unpackLayer unpacks beside, makes all of it durable, and gives it its name: under its name a layer is complete, whenever
// the machine stops.
func (s *Store) unpackLayer(ctx context.Context, digest string, l *limits, open func() (io.ReadCloser, error)) (a about, err error) {
	fresh, err := os.MkdirTemp(filepath.Join(s.o.Dir, freshDir), "layer-")
	if err != nil {
		return a, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(fresh))
		}
	}()
	fs := filepath.Join(fresh, "fs")
	if err := os.Mkdir(fs, 0o755); err != nil {
		return a, err
	}
	if err := os.Chown(fs, s.o.FirstID, s.o.FirstID); err != nil {
		return a, err
	}
	if a, err = s.unpackProven(ctx, fs, digest, l, open); err != nil {
		return a, err
	}
	if err := writeJSON(filepath.Join(fresh, "about"), a); err != nil {
		return a, err
	}
	if err := syncAll(fresh); err != nil {
		return a, err
	}
	if err := os.Rename(fresh, s.layerDir(digest)); err != nil {
		return a, err
	}
	return a, syncFolder(filepath.Join(s.o.Dir, layersDir))
}

// unpackProven unpacks the stream, and proves that it was the one that the image names.
func (s *Store) unpackProven(ctx context.Context, fs, digest string, l *limits, open func() (io.ReadCloser, error)) (a about, err error) {
	from, err := open()
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	sum := sha256.New()
	all := &measured{from: from, ctx: ctx, left: s.o.MaxBytes}
	stream := io.TeeReader(all, sum)
	a, err = unpack(fs, stream, s.o.FirstID, l)
	if err == nil {
		_, err = io.Copy(io.Discard, stream) // what stands behind the archive belongs to the digest
	}
	switch {
	case all.failed != nil: // what the archive made of it is not the cause
		return a, all.failed
	case err != nil:
		return a, err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != digest {
		return a, fmt.Errorf("its layer %s came as %s: the registry sends other bytes than it names", short(digest), short(got))
	}
	return a, nil
}

// measured ends when the context does, or when more comes than may.
type measured struct {
	from   io.Reader
	ctx    context.Context
	left   int64
	failed error
}

func (m *measured) Read(p []byte) (int, error) {
	if m.failed != nil {
		return 0, m.failed
	}
	if m.ctx.Err() != nil {
		m.failed = context.Cause(m.ctx)
		return 0, m.failed
	}
	n, err := m.from.Read(p)
	if m.left -= int64(n); m.left < 0 {
		m.failed = errTooLarge
	} else if err != nil && err != io.EOF {
		m.failed = err
	}
	if m.failed != nil {
		return 0, m.failed
	}
	return n, err
}

var errTooLarge = fmt.Errorf("%w: unpacked it is larger than CONVEYOR_IMAGE_MAX_BYTES allows", image.ErrRefused)

// syncAll makes everything of the folder's file system durable: one call for thousands of files.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(12, len(digest))]
}
