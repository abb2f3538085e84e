package memory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// mark says that the stream has work. A held stream is not touched: Release compares versions instead.
func (s *stream) mark(now time.Time) {
	if !s.held && (!s.queued || s.due.After(now)) {
		s.queued, s.due = true, now
	}
}

// Lease implements journal.Journal.
func (j *Journal) Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (journal.Lease, error) {
	if ttl <= 0 {
		return journal.Lease{}, fmt.Errorf("journal: lease for %s: the time must be positive", ttl)
	}
	if err := j.enter(ctx); err != nil {
		return journal.Lease{}, err
	}
	defer j.mu.Unlock()
	now, best := j.now(), ""
	for name, s := range j.streams {
		if !s.queued || s.due.After(now) || !hasPrefix(name, prefixes) {
			continue
		}
		if best == "" || s.due.Before(j.streams[best].due) || s.due.Equal(j.streams[best].due) && name < best {
			best = name
		}
	}
	if best == "" {
		return journal.Lease{}, journal.ErrNoWork
	}
	// Starting from the clock keeps tokens rising for deploy targets that outlive this store; the counter, not the
	// clock, is what makes them rise within it.
	j.token = max(j.token+1, now.UnixMicro())
	s := j.streams[best]
	s.token, s.held, s.due = j.token, true, expiry(now, ttl)
	return journal.Lease{Stream: best, Token: s.token, Expires: s.due}, nil
}

// Renew implements journal.Journal.
func (j *Journal) Renew(ctx context.Context, ttl time.Duration, leases ...journal.Lease) (lost []journal.Lease, err error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("journal: renew for %s: the time must be positive", ttl)
	}
	if err := j.enter(ctx); err != nil {
		return nil, err
	}
	defer j.mu.Unlock()
	for _, l := range leases {
		s := j.streams[l.Stream]
		if s == nil || !s.held || s.token != l.Token {
			lost = append(lost, l)
			continue
		}
		s.due = expiry(j.now(), ttl)
	}
	return lost, nil
}

// Release implements journal.Journal.
func (j *Journal) Release(ctx context.Context, l journal.Lease, seen int64, wake time.Time) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	defer j.mu.Unlock()
	s := j.streams[l.Stream]
	if s == nil || l.Token == 0 || s.token != l.Token {
		return fmt.Errorf("%w: %s", journal.ErrLeaseLost, l.Stream)
	}
	if !s.held {
		return nil // released before; a repeated call changes nothing
	}
	now := j.now()
	s.held = false
	switch {
	case seen < s.version():
		s.due = now
	case wake.IsZero():
		s.queued = false
	case wake.Before(now):
		s.due = now
	default:
		s.due = wake
	}
	return nil
}

// Depth implements journal.Journal.
func (j *Journal) Depth(ctx context.Context) (waiting int, oldest time.Duration, err error) {
	if err := j.enter(ctx); err != nil {
		return 0, 0, err
	}
	defer j.mu.Unlock()
	now := j.now()
	for _, s := range j.streams {
		if !s.queued || !s.held && s.due.After(now) {
			continue
		}
		waiting++
		oldest = max(oldest, now.Sub(s.due))
	}
	return waiting, oldest, nil
}

func expiry(now time.Time, ttl time.Duration) time.Time {
	return time.UnixMicro(now.Add(ttl).UnixMicro()).UTC()
}

func hasPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(prefixes) == 0
}
