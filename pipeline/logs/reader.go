package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
)

// Reader reads a log at any place, complete or not. Its methods may be called concurrently.
type Reader struct {
	store *Store
	name  string
	file  *os.File
}

// Reader opens a log. ErrNotFound when there is none. The caller closes it.
func (s *Store) Reader(name string) (*Reader, error) {
	f, err := s.openLog(name)
	if err != nil {
		return nil, err
	}
	return &Reader{store: s, name: name, file: f}, nil
}

// ReadAt is io.ReaderAt's.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) { return r.file.ReadAt(p, offset) }

// Size is how many bytes can be read now.
func (r *Reader) Size() int64 {
	size, _, _, err := r.store.progress(r.name, r.file)
	if err != nil {
		return 0
	}
	return size
}

// Complete tells whether nothing will be added any more.
func (r *Reader) Complete() bool {
	_, complete, _, err := r.store.progress(r.name, r.file)
	return err == nil && complete
}

// Close gives the file back.
func (r *Reader) Close() error { return r.file.Close() }

// Tail returns the last lines of a log as it is now, but never more than 64 KiB: GitHub takes no more in a summary
// (https://docs.github.com/en/rest/checks/runs). Of a single longer line it is the end.
func (s *Store) Tail(name string, lines int) ([]byte, error) {
	r, err := s.Reader(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	size := r.Size()
	start := max(0, size-64<<10)
	b := make([]byte, size-start)
	if _, err := r.ReadAt(b, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("logs: read the tail of %s: %w", name, err)
	}
	at := len(b)
	if bytes.HasSuffix(b, newline) {
		at-- // ends the last line and begins no other
	}
	for range lines {
		if at = bytes.LastIndexByte(b[:max(at, 0)], '\n'); at < 0 {
			break
		}
	}
	switch {
	case lines <= 0:
		return nil, nil
	case at >= 0:
		return b[at+1:], nil
	case start == 0:
		return b, nil
	}
	// The first line has lost its beginning; leave it out, unless it is all there is.
	if first := bytes.IndexByte(b, '\n'); first >= 0 && first < len(b)-1 {
		return b[first+1:], nil
	}
	return b, nil
}

// Line returns the offset at which a line starts; the first one is line 1. io.EOF when the log has fewer lines. It
// reads at most 64 KiB of the log, wherever the line is, plus what the index does not cover yet.
func (s *Store) Line(name string, line int64) (int64, error) {
	r, err := s.Reader(name)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if line <= 1 {
		return 0, nil
	}
	size := r.Size()
	offset, before := s.indexed(name, size, line-1)
	buf := make([]byte, indexEvery)
	for left := line - 1 - before; offset < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-offset)], offset)
		if err != nil {
			return 0, fmt.Errorf("logs: find line %d of %s: %w", line, name, err)
		}
		here := int64(bytes.Count(buf[:n], newline))
		if here < left {
			left -= here
			offset += int64(n)
			continue
		}
		for b := buf[:n]; ; {
			i := bytes.IndexByte(b, '\n')
			b = b[i+1:]
			offset += int64(i + 1)
			if left--; left == 0 {
				if offset == size {
					return 0, io.EOF // the last line's end is not a line
				}
				return offset, nil
			}
		}
	}
	return 0, io.EOF
}

// indexed returns the last indexed place that has fewer line ends before it than wanted, and their number. Without a
// usable index that is the beginning.
func (s *Store) indexed(name string, size, wanted int64) (offset, before int64) {
	b, err := s.root.ReadFile(name + indexEnding)
	if err != nil {
		return 0, 0
	}
	entry := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	n := int(min(int64(len(b)/8), size/indexEvery))
	i := sort.Search(n, func(i int) bool { return entry(i) >= wanted })
	if i == 0 {
		return 0, 0
	}
	return int64(i) * indexEvery, entry(i - 1)
}
