// Package dir keeps artifacts in a directory of this machine.
//
// Content goes into a few append-only pack files, cut into compressed frames that each carry their own length,
// checksum and SHA-256; there is no inode per object, because making and removing those is what makes other stores
// slow. The same content is stored once, across all artifacts. The only index is in memory, rebuilt at Open from the
// frames themselves (or from a checked copy beside the pack), so nothing can disagree with the packs.
//
// What is read is checked against its SHA-256 before it is believed. A frame that a crash tore is cut off at Open. One
// process at a time uses the directory. What nobody needs is removed by Collect alone.
//
// Start reading at Store, then frame.go, and package frame for the format.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// ErrInUse is what Open returns while another process, or another Store, has the directory.
var ErrInUse = errors.New("artifact/dir: the directory is in use by another process; stop that one, or give each its own directory")

// Store is an artifact.Store. Make it with Open.
type Store struct {
	dir      string
	log      *slog.Logger
	lock     *os.File
	packSize int64 // a pack that has reached it is followed by the next one
	chunk    int64 // longer objects are cut into pieces of this size, at most chunkSize
	decoder  frame.Decoder
	scratch  sync.Pool // *[]byte of up to chunkSize, for what was read and not yet decompressed

	mu      sync.RWMutex
	packs   []*pack       // by number; only the last one grows
	index   map[key]place // where the newest frame of each object is
	pending []byte        // frames that are in the index and not yet in the last pack's file
	keys    []key         // of the frames in pending
	round   uint64        // rises when pending frames had to be thrown away
	broken  error         // set once when the disk refused to sync; what is on it is then unknown

	recent     map[key]time.Time // when a Put has last stored or found what; of the last days
	remembered int               // of how many of them the old ones are dropped

	puts   sync.RWMutex // held for reading by each Put, and for writing while a pack is collected
	moving sync.RWMutex // held for reading while a frame is read, and for writing while a pack is emptied

	known artifact.Known

	now func() time.Time

	sync sync.Mutex // one sync at a time; those who wait find their bytes synced by the one before them
}

var (
	_ artifact.Store     = (*Store)(nil)
	_ artifact.OverStore = (*Store)(nil)
)

// Open takes the directory, makes it if it is absent, and rebuilds the index. ErrInUse when someone else has it.
func Open(dir string, log *slog.Logger) (*Store, error) { return open(dir, log, 1<<30, chunkSize) }

func open(dir string, log *slog.Logger, packSize, chunk int64) (s *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("artifact/dir: make the directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("artifact/dir: open the lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrInUse, dir)
		}
		return nil, fmt.Errorf("artifact/dir: lock %s: %w", dir, err)
	}
	decoder, err := frame.NewDecoder()
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("artifact/dir: %w", err)
	}
	s = &Store{dir: dir, log: log, lock: lock, packSize: packSize, chunk: chunk, decoder: decoder, index: make(map[key]place), recent: make(map[key]time.Time), remembered: 1 << 16, now: time.Now}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// Close gives the directory back. Calls that are still running fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == errClosed {
		return nil
	}
	var err error
	if s.broken == nil {
		if err = s.flush(); err == nil && len(s.packs) > 0 {
			s.writeIndex(len(s.packs) - 1)
		}
	}
	s.broken = errClosed
	return errors.Join(err, s.release())
}

var errClosed = errors.New("artifact/dir: the store is closed")

func (s *Store) release() error {
	var errs []error
	for _, p := range s.packs {
		errs = append(errs, p.file.Close())
	}
	s.decoder.Close()
	// Closing alone would leave the lock, for a moment, to a child that this process is just starting.
	errs = append(errs, syscall.Flock(int(s.lock.Fd()), syscall.LOCK_UN))
	return errors.Join(append(errs, s.lock.Close())...)
}

// Put is artifact.Store's. All its bytes are on the disk after one sync.
func (s *Store) Put(ctx context.Context, root string, globs []string, limits artifact.Limits) (artifact.Manifest, error) {
	return s.put(root, func(k *keeper) (artifact.Manifest, error) {
		return artifact.Gather(ctx, root, globs, limits, k.keep)
	})
}

// PutOver is artifact.OverStore's.
func (s *Store) PutOver(ctx context.Context, root string, base artifact.Base, globs []string, limits artifact.Limits) (artifact.Manifest, error) {
	return s.put(root, func(k *keeper) (artifact.Manifest, error) {
		return s.known.Gather(ctx, root, base, globs, limits, k.keep, k.has)
	})
}

// put stores what is gathered, and then the list of it.
func (s *Store) put(root string, gather func(*keeper) (artifact.Manifest, error)) (artifact.Manifest, error) {
	s.puts.RLock()
	defer s.puts.RUnlock()
	m, err := s.gather(gather)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/dir: store the files of %s: %w", root, err)
	}
	return m, nil
}

func (s *Store) gather(gather func(*keeper) (artifact.Manifest, error)) (artifact.Manifest, error) {
	k, err := s.keeper()
	if err != nil {
		return artifact.Manifest{}, err
	}
	defer k.close()
	m, err := gather(k)
	if err != nil {
		return artifact.Manifest{}, err
	}
	encoded := m.Encode()
	if len(encoded) > artifact.MaxManifest {
		return artifact.Manifest{}, fmt.Errorf("%w: the list of files has %d bytes", artifact.ErrTooBig, len(encoded))
	}
	if err := k.keepBytes(encoded); err != nil {
		return artifact.Manifest{}, err
	}
	return m, s.commit(k.round)
}

// Manifest is artifact.Store's.
func (s *Store) Manifest(_ context.Context, digest pipeline.Digest) (artifact.Manifest, error) {
	m, err := s.manifest(digest)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/dir: read the manifest %q: %w", digest, err)
	}
	return m, nil
}

func (s *Store) manifest(digest pipeline.Digest) (artifact.Manifest, error) {
	r, err := s.openObject(digest)
	if err != nil {
		return artifact.Manifest{}, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, artifact.MaxManifest+1))
	if err != nil {
		return artifact.Manifest{}, err
	}
	return artifact.Decode(b)
}

// Open is artifact.Store's.
func (s *Store) Open(_ context.Context, file pipeline.Digest) (io.ReadCloser, error) {
	r, err := s.openObject(file)
	if err != nil {
		return nil, fmt.Errorf("artifact/dir: open %q: %w", file, err)
	}
	return r, nil
}

// Extract is artifact.Store's.
func (s *Store) Extract(ctx context.Context, digest pipeline.Digest, dir string, limits artifact.Limits) (artifact.Manifest, error) {
	m, err := s.manifest(digest)
	if err == nil {
		err = artifact.Lay(ctx, m, dir, limits, s.openObject)
	}
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/dir: lay out %q: %w", digest, err)
	}
	return m, nil
}
