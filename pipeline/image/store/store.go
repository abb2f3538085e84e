// Package store pulls images without a daemon and keeps them unpacked on this machine.
//
// Each layer is unpacked once, into a folder that is named by the digest of its bytes, in the form in which overlayfs takes
// it as a lower one; images that share a layer share the folder. What a registry sends is hostile until it is proven: its
// bytes by their digests, its names by refusing what leaves (unpack.go). Nothing of an image is ever run here.
//
// Start reading at Store.Hold; then pull.go (where images come from), layer.go (once each, and not at all after a crash),
// unpack.go, and collect.go (what is removed, and when).
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// Options say where images may come from, and how much of them is kept.
type Options struct {
	Dir     string // private to one server: it is swept when it is opened
	FirstID int    // of the 65536 user and group ids of this machine that stand for those of the image

	Registries []string            // hosts that images may come from; all that are public when empty
	Mirrors    map[string][]string // of a registry, by its host: "docker.io": {"mirror.example:5000"}; asked first
	AuthFile   string              // logins, in docker's config.json form; empty has none
	Folders    []string            // in which tarballs and layouts may lie; none when empty

	MaxBytes   int64 // of one image, unpacked; 10 GB when 0
	MaxEntries int   // files and folders of one image; a million when 0
	Keep       int64 // bytes of all layers together, beyond which the longest unused go; 50 GB when 0

	Now func() time.Time
	Log *slog.Logger
}

// Store is the images of this machine. It may be used concurrently.
type Store struct {
	o     Options
	net   http.RoundTripper
	locks keyed
	dir   *os.File // its lock is held

	mu     sync.Mutex
	images map[string]*record // by digest
	layers map[string]*layer  // by digest, those that are complete
}

// Folders of a store. What is in fresh is not complete: it is unpacked there, or it is going.
const (
	layersDir = "layers"
	imagesDir = "images"
	freshDir  = "fresh"
)

// complete fills in what is left open.
func (o *Options) complete() {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 10e9
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 1e6
	}
	if o.Keep <= 0 {
		o.Keep = 50e9
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// OpenElsewhere opens a store that keeps nothing, for images that are kept by others: it says what names stand for, and
// what may be had. It holds none.
func OpenElsewhere(o Options) (*Store, error) {
	o.complete()
	return &Store{o: o, net: dial(o)}, nil
}

// Open opens a store, and removes what an earlier server has not completed.
func Open(o Options) (_ *Store, err error) {
	o.complete()
	for _, dir := range []string{"", layersDir, imagesDir} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("image: open the store: %w", err)
		}
	}
	s := &Store{o: o, images: map[string]*record{}, layers: map[string]*layer{}}
	s.net = dial(o)
	if s.dir, err = os.Open(o.Dir); err != nil {
		return nil, fmt.Errorf("image: open the store: %w", err)
	}
	if err := unix.Flock(int(s.dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("image: open the store: another server uses %s: %w", o.Dir, err), s.dir.Close())
	}
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("image: open the store: %w", err), s.Close())
	}
	if err := holdsMarks(filepath.Join(o.Dir, freshDir)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrUnfit, o.Dir, err), s.Close())
	}
	return s, nil
}

// ErrUnfit says that layers cannot be kept in a folder. It may lie on an overlay itself, as in a container.
var ErrUnfit = errors.New("image: its file system does not take overlayfs's marks")

// holdsMarks tries out what layers need of a file system.
func holdsMarks(dir string) (err error) {
	try, err := os.MkdirTemp(dir, "try-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(try)) }()
	if err := unix.Mknod(filepath.Join(try, "gone"), unix.S_IFCHR, 0); err != nil {
		return fmt.Errorf("mark what is removed: %w", err)
	}
	if err := unix.Setxattr(try, opaque, []byte("y"), 0); err != nil {
		return fmt.Errorf("mark what is hidden: %w", err)
	}
	return nil
}

// Close gives the folder up. Nothing may be held any more.
func (s *Store) Close() error {
	if t, ok := s.net.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// Resolve says which bytes a reference stands for at this moment: the digest that its tag names, of a tarball that of its
// configuration. A digest in the reference itself is taken at its word, and nobody is asked.
func (s *Store) Resolve(ctx context.Context, ref image.Ref) (digest string, err error) {
	if pinned := ref.Pinned(); pinned != "" {
		return pinned, nil
	}
	if ref.Kind == image.Registry {
		digest, err = s.look(ctx, ref.Name)
	} else {
		var from source
		from, err = s.open(ctx, ref, "")
		digest = from.digest
	}
	if err != nil {
		return "", fmt.Errorf("image: look up %s: %w", ref, err)
	}
	return digest, nil
}

// Hold makes sure that the image with this digest, which the reference stood for, is unpacked here, and keeps it until it
// is released. What is here already is neither asked for nor pulled. tell, which may be nil, hears how a pull goes on.
func (s *Store) Hold(ctx context.Context, ref image.Ref, digest string, tell func(image.Progress)) (image.Held, error) {
	if h, ok := s.take(digest); ok {
		return h, nil
	}
	unlock, err := s.locks.lock(ctx, digest)
	if err != nil {
		return image.Held{}, fmt.Errorf("image: pull %s: %w", ref, err)
	}
	defer unlock()
	if h, ok := s.take(digest); ok { // someone else has pulled it meanwhile
		return h, nil
	}
	h, err := s.pull(ctx, ref, digest, tell)
	if err != nil {
		s.tidy(err)
		return image.Held{}, fmt.Errorf("image: pull %s: %w", ref, err)
	}
	return h, nil
}
