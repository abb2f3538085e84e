// Package memory is a journal that forgets everything when the process ends: for tests, and for trying things out.
//
// It keeps every rule of the contract except durability, and finds the next lease by looking at every stream, so it
// is not for many thousands of them. It never does I/O.
//
// Start reading at New; lease.go holds the queue.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

var errClosed = errors.New("journal: the store is closed")

// Journal is a journal.Journal in memory. Make one with New.
type Journal struct {
	now   func() time.Time
	hints journal.Hints

	mu      sync.Mutex
	closed  bool
	streams map[string]*stream
	token   int64 // the newest lease token of the whole store, so that tokens rise even after Forget
	changes int64 // counts appends, to order streams
}

type stream struct {
	records  []journal.Record
	keys     map[string]bool
	appended time.Time // when the last append came in
	change   int64

	token  int64     // of the newest lease
	held   bool      // leased, and not released yet
	queued bool      // has work, or is leased, or will wake
	parked bool      // has work that waits for a worker
	due    time.Time // when it may be leased; the expiry while held, its right to a worker while parked
	wake   time.Time // until when it is parked; zero for ever
}

var _ journal.Journal = (*Journal)(nil)

// New returns an empty journal that reads the time from now.
func New(now func() time.Time) *Journal {
	return &Journal{now: now, streams: map[string]*stream{}}
}

// Append implements journal.Journal.
func (j *Journal) Append(ctx context.Context, b journal.Batch) (int64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	if err := j.enter(ctx); err != nil {
		return 0, err
	}
	defer j.mu.Unlock()
	s := j.streams[b.Stream]
	if s == nil {
		s = &stream{keys: map[string]bool{}}
	}
	if err := s.refusal(b); err != nil {
		return 0, err
	}
	now := j.now()
	s.wakeUp(now)
	for _, r := range b.Stamped(s.version(), now) {
		r.Data = bytes.Clone(r.Data)
		s.records = append(s.records, r)
		if r.Key != "" {
			s.keys[r.Key] = true
		}
	}
	j.changes++
	s.change, s.appended = j.changes, now
	s.mark(now)
	j.streams[b.Stream] = s
	j.hints.Tell(b.Stream)
	return s.version(), nil
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, name string, after int64) ([]journal.Record, error) {
	if err := j.enter(ctx); err != nil {
		return nil, err
	}
	defer j.mu.Unlock()
	s := j.streams[name]
	if s == nil || after >= s.version() {
		return nil, nil
	}
	records := slices.Clone(s.records[max(after, 0):])
	for i := range records {
		records[i].Data = bytes.Clone(records[i].Data)
	}
	return records, nil
}

// Streams implements journal.Journal.
func (j *Journal) Streams(ctx context.Context, prefix string, limit int) ([]string, error) {
	if err := j.enter(ctx); err != nil {
		return nil, err
	}
	defer j.mu.Unlock()
	var names []string
	for name := range j.streams {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(j.streams[b].change, j.streams[a].change) })
	return names[:min(len(names), max(limit, 0))], nil
}

// Forget implements journal.Journal.
func (j *Journal) Forget(ctx context.Context, prefix string, before time.Time, limit int) (int, error) {
	if err := j.enter(ctx); err != nil {
		return 0, err
	}
	defer j.mu.Unlock()
	gone := 0
	for name, s := range j.streams {
		if gone >= limit {
			break
		}
		if strings.HasPrefix(name, prefix) && !s.queued && s.appended.Before(before) {
			delete(j.streams, name)
			gone++
		}
	}
	return gone, nil
}

// Changed implements journal.Journal.
func (j *Journal) Changed(ctx context.Context) <-chan string { return j.hints.Listen(ctx) }

// Ready implements journal.Journal.
func (j *Journal) Ready(ctx context.Context) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	j.mu.Unlock()
	return nil
}

// Close implements journal.Journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.hints.Close()
	return nil
}

// enter takes the lock, unless the call is too late.
func (j *Journal) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return errClosed
	}
	return nil
}

func (s *stream) version() int64 { return int64(len(s.records)) }

// refusal is why the batch may not be written. A lost lease comes first: its holder must stop. Then the key: that the
// fact is in the stream already says more than that the stream has moved.
func (s *stream) refusal(b journal.Batch) error {
	if b.Token != 0 && b.Token != s.token {
		return fmt.Errorf("%w: %s", journal.ErrLeaseLost, b.Stream)
	}
	batch := map[string]bool{}
	for _, r := range b.Records {
		if r.Key != "" && (s.keys[r.Key] || batch[r.Key]) {
			return fmt.Errorf("%w: %s in %s", journal.ErrDuplicate, r.Key, b.Stream)
		}
		batch[r.Key] = true
	}
	if b.Expect != journal.Any && b.Expect != s.version() {
		return fmt.Errorf("%w: %s is at version %d", journal.ErrConflict, b.Stream, s.version())
	}
	return nil
}
