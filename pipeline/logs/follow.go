package logs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"
	"time"
)

// live is what the readers of this process know of a log that is being written.
type live struct {
	mu      sync.Mutex
	size    int64
	changed chan struct{} // closed when size grew or the writer is gone
	gone    bool          // the writer has closed the log: changed stays closed
}

func newLive() *live { return &live{changed: make(chan struct{})} }

// grow tells all readers; it waits for none.
func (l *live) grow(size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size = size
	close(l.changed)
	l.changed = make(chan struct{})
}

// end tells all readers that the log is complete. A reader that has found l just before it was taken out of the store
// learns it here: it would wait for ever for a writer that is gone.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	close(l.changed)
}

func (l *live) state() (size int64, changed <-chan struct{}, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size, l.changed, l.gone
}

func (s *Store) writing(name string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[name]
}

// elsewhere is how often a log is looked at that another process writes.
const elsewhere = 250 * time.Millisecond

// Block is a part of a log. Offset+len(Data) is where the next one starts, and where to go on after a break.
type Block struct {
	Offset int64
	Data   []byte // at most BlockSize bytes, valid until the next block
}

// Follow gives the log from an offset on, waits for what comes, and ends when the log is complete and was given whole.
// When ctx ends, its cause is the last error. Any number may follow one log; a slow one holds up nobody.
//
// A log written by this process is followed without polling, one written by another process with it.
func (s *Store) Follow(ctx context.Context, name string, offset int64) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		f, err := s.openLog(name)
		if err != nil {
			yield(Block{}, err)
			return
		}
		defer f.Close()
		var buf []byte
		for offset = max(offset, 0); ; {
			size, complete, changed, err := s.progress(name, f)
			for err == nil && offset < size {
				n := int(min(size-offset, BlockSize))
				if cap(buf) < n {
					buf = make([]byte, n)
				}
				if err = context.Cause(ctx); err != nil {
					break
				}
				if _, err = f.ReadAt(buf[:n], offset); err != nil {
					err = fmt.Errorf("logs: read %s: %w", name, err)
					break
				}
				if !yield(Block{offset, buf[:n]}, nil) {
					return
				}
				offset += int64(n)
			}
			if err != nil {
				yield(Block{}, err)
				return
			}
			if complete {
				return
			}
			buf = nil // thousands may wait at once
			if err := wait(ctx, changed); err != nil {
				yield(Block{}, err)
				return
			}
		}
	}
}

// progress tells how far a log is. changed is nil when another process writes it, or none.
func (s *Store) progress(name string, f *os.File) (size int64, complete bool, changed <-chan struct{}, err error) {
	if l := s.writing(name); l != nil {
		if size, changed, gone := l.state(); !gone {
			return size, false, changed, nil
		}
	}
	e, err := s.end(name, f)
	if err == nil {
		return e.Size, true, nil, nil
	}
	if !errors.Is(err, ErrIncomplete) {
		return 0, false, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return 0, false, nil, fmt.Errorf("logs: read the size of %s: %w", name, err)
	}
	return st.Size(), false, nil, nil
}

func wait(ctx context.Context, changed <-chan struct{}) error {
	var look <-chan time.Time
	if changed == nil {
		timer := time.NewTimer(elsewhere)
		defer timer.Stop()
		look = timer.C
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-changed:
	case <-look:
	}
	return nil
}
