package dir

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// load opens the packs and rebuilds the index. Frames of later packs win over those of earlier ones: they were written
// because the earlier one was damaged.
func (s *Store) load() error {
	names, err := filepath.Glob(filepath.Join(s.dir, "pack-*"+packEnding))
	if err != nil {
		return fmt.Errorf("artifact/dir: list the packs: %w", err)
	}
	sort.Strings(names)
	for i, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), packEnding)
		p := &pack{name: name}
		salt, err := hex.DecodeString(name[strings.LastIndexByte(name, '-')+1:])
		if err != nil || len(salt) != len(p.salt) || !strings.HasPrefix(name, fmt.Sprintf("pack-%06d-", i)) {
			return fmt.Errorf("artifact/dir: %s is not pack number %d; restore the missing pack or remove the stray file", path, i)
		}
		p.salt = [8]byte(salt)
		if p.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return fmt.Errorf("artifact/dir: open a pack: %w", err)
		}
		s.packs = append(s.packs, p)
		if err := s.loadPack(i, i == len(names)-1); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) loadPack(i int, last bool) error {
	p := s.packs[i]
	st, err := p.file.Stat()
	if err != nil {
		return fmt.Errorf("artifact/dir: open a pack: %w", err)
	}
	p.size = st.Size()
	if s.readIndex(i) {
		return nil
	}
	end, err := s.scan(i)
	if err != nil {
		return err
	}
	if !last {
		s.writeIndex(i)
		return nil
	}
	if end < p.size {
		// A Put that never returned wrote this. New frames must follow whole ones.
		s.log.Warn("artifact pack: cut off what a crash left unfinished", "pack", p.name, "bytes", p.size-end)
		if err := p.file.Truncate(end); err != nil {
			return fmt.Errorf("artifact/dir: cut a torn tail off %s: %w", p.name, err)
		}
		p.size = end
	}
	return nil
}

// scan notes every frame of a pack and returns where the last whole one ends. Damage in the middle is stepped over:
// what lies behind it is good.
func (s *Store) scan(i int) (end int64, err error) {
	p := s.packs[i]
	w := window{r: p.file, size: p.size}
	for at := int64(0); at < p.size; {
		b, err := w.at(at, headSize)
		if err != nil {
			return 0, fmt.Errorf("artifact/dir: read %s: %w", p.name, err)
		}
		h, ok := frame.Parse(b, p.salt)
		if !ok || at+headSize+int64(h.Stored) > p.size {
			next, err := w.find(at+1, p.salt)
			if err != nil {
				return 0, fmt.Errorf("artifact/dir: read %s: %w", p.name, err)
			}
			if next >= p.size {
				return end, nil
			}
			s.log.Error("artifact pack: stepped over damaged bytes; artifacts that used them are lost", "pack", p.name, "offset", at, "bytes", next-at)
			at = next
			continue
		}
		s.index[frame.KeyOf(h.Digest)] = place{uint32(i), uint32(at)}
		at += headSize + int64(h.Stored)
		end = at
	}
	return end, nil
}

// window reads a pack forward, many small frames per call, and jumps over large ones.
type window struct {
	r     io.ReaderAt
	size  int64
	start int64
	buf   []byte
	space [64 << 10]byte
}

// at returns the n bytes at an offset, fewer only at the end of the pack.
func (w *window) at(offset int64, n int) ([]byte, error) {
	if offset < w.start || offset+int64(n) > w.start+int64(len(w.buf)) {
		got, err := w.r.ReadAt(w.space[:min(int64(len(w.space)), w.size-offset)], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.start, w.buf = offset, w.space[:got]
	}
	b := w.buf[offset-w.start:]
	return b[:min(n, len(b))], nil
}

// find returns the offset of the next whole frame at or after an offset, or the pack's size.
func (w *window) find(offset int64, salt [8]byte) (int64, error) {
	for offset+headSize <= w.size {
		b, err := w.at(offset, len(w.space)/2)
		if err != nil {
			return 0, err
		}
		if len(b) < headSize {
			return w.size, nil
		}
		i := bytes.Index(b, salt[:])
		if i < 0 {
			offset += int64(len(b) - len(salt) + 1)
			continue
		}
		offset += int64(i)
		if b, err = w.at(offset, headSize); err != nil {
			return 0, err
		}
		if h, ok := frame.Parse(b, salt); ok && offset+headSize+int64(h.Stored) <= w.size {
			return offset, nil
		}
		offset++
	}
	return w.size, nil
}
