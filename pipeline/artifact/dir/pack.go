package dir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// pack is an append-only file of frames.
type pack struct {
	name   string // file name without its ending: "pack-<number>-<salt>"
	salt   [8]byte
	file   *os.File
	size   int64 // bytes written to the file
	synced int64 // bytes known to be on the disk; guarded by Store.sync
}

const packEnding = ".pack"

// writeAt is how many bytes of frames are collected before they are written.
const writeAt = 1 << 20

var errThrownAway = errors.New("artifact/dir: the disk refused the bytes of this artifact or of one stored at the same time; make room and store it again")

// append adds a frame, unless someone else added the same one in the meantime.
func (s *Store) append(h head, payload []byte, round uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	if s.round != round {
		return errThrownAway
	}
	at, ok := s.index[frame.KeyOf(h.Digest)]
	if ok && at.pack&proven != 0 {
		return nil
	}
	if n := len(s.packs); n == 0 || s.packs[n-1].size+int64(len(s.pending)) >= s.packSize {
		if err := s.roll(); err != nil {
			return err
		}
	}
	last := len(s.packs) - 1
	p := s.packs[last]
	s.index[frame.KeyOf(h.Digest)] = place{uint32(last) | proven, uint32(p.size + int64(len(s.pending)))}
	s.keys = append(s.keys, frame.KeyOf(h.Digest))
	if s.pending == nil {
		s.pending = make([]byte, 0, writeAt+headSize+chunkSize)
	}
	s.pending = append(h.AppendTo(s.pending, p.salt), payload...)
	if len(s.pending) < writeAt {
		return nil
	}
	return s.flush()
}

// flush writes the pending frames. When the disk refuses, usually because it is full, they are forgotten and every Put
// that may have relied on them fails; the store itself stays good. The caller holds mu.
func (s *Store) flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	p := s.packs[len(s.packs)-1]
	_, err := p.file.WriteAt(s.pending, p.size)
	if err == nil {
		p.size += int64(len(s.pending))
	} else {
		for _, k := range s.keys {
			delete(s.index, k) // what an older, damaged frame was replaced by is damaged all the same
		}
		s.round++
		err = fmt.Errorf("%w: %w", errThrownAway, err)
		if cut := p.file.Truncate(p.size); cut != nil {
			s.broken = fmt.Errorf("artifact/dir: cut half a frame off %s: %w", p.name, cut)
		}
	}
	s.pending, s.keys = s.pending[:0], s.keys[:0]
	return err
}

// roll begins the next pack. The one before it is complete and on the disk then. The caller holds mu.
func (s *Store) roll() error {
	if len(s.packs) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
		if err := fdatasync(s.packs[len(s.packs)-1].file); err != nil {
			s.broken = err
			return err
		}
		s.writeIndex(len(s.packs) - 1)
	}
	p := &pack{}
	_, _ = rand.Read(p.salt[:]) // never fails
	p.name = fmt.Sprintf("pack-%06d-%s", len(s.packs), hex.EncodeToString(p.salt[:]))
	f, err := os.OpenFile(s.path(p, packEnding), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("artifact/dir: begin a pack: %w", err)
	}
	if err := syncDir(s.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(s.path(p, packEnding)))
	}
	p.file = f
	s.packs = append(s.packs, p)
	return nil
}

func (s *Store) path(p *pack, ending string) string { return filepath.Join(s.dir, p.name+ending) }

// commit returns when everything that the index holds is on the disk. Several Puts that end together share a sync.
func (s *Store) commit(round uint64) error {
	s.mu.Lock()
	err := s.flush()
	s.pending, s.keys = nil, nil // an idle store holds no buffers
	if err == nil && s.round != round {
		err = errThrownAway
	}
	if s.broken != nil {
		err = s.broken
	}
	if err != nil || len(s.packs) == 0 {
		s.mu.Unlock()
		return err
	}
	p := s.packs[len(s.packs)-1] // those before it were synced when it began
	mine := p.size
	s.mu.Unlock()

	s.sync.Lock()
	defer s.sync.Unlock()
	if p.synced >= mine {
		return nil
	}
	s.mu.RLock()
	all, broken := p.size, s.broken
	s.mu.RUnlock()
	if broken != nil {
		return broken
	}
	if err := fdatasync(p.file); err != nil {
		s.mu.Lock()
		s.broken = err
		s.mu.Unlock()
		return err
	}
	p.synced = all
	return nil
}

// fdatasync makes the bytes durable. After a failure the kernel may have dropped them while later calls succeed
// (https://wiki.postgresql.org/wiki/Fsync_Errors), so a store that saw one takes nothing more.
func fdatasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return fmt.Errorf("artifact/dir: the disk did not sync %s; look at the disk, then start again: %w", f.Name(), err)
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("artifact/dir: sync the directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("artifact/dir: sync the directory: %w", err)
	}
	return nil
}
