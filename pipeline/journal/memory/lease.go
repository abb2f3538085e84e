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
	if !s.held && (!s.queued || s.parked || s.due.After(now)) {
		s.queued, s.parked, s.due = true, false, now
	}
}

// wakeUp takes the stream out of the park when its time has come.
func (s *stream) wakeUp(now time.Time) {
	if s.parked && !s.wake.IsZero() && !s.wake.After(now) {
		s.parked = false
	}
}

// Lease implements journal.Journal.
func (j *Journal) Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (journal.Lease, error) {
	return j.take(ctx, ttl, prefixes, func(s *stream, now time.Time) bool { return !s.parked && !s.due.After(now) })
}

// LeaseParked implements journal.Journal.
func (j *Journal) LeaseParked(ctx context.Context, ttl time.Duration, before time.Time, prefixes ...string) (journal.Lease, error) {
	return j.take(ctx, ttl, prefixes, func(s *stream, _ time.Time) bool {
		return s.parked && (before.IsZero() || s.due.Before(before))
	})
}

// take leases the earliest stream that fits.
func (j *Journal) take(ctx context.Context, ttl time.Duration, prefixes []string, fits func(*stream, time.Time) bool) (journal.Lease, error) {
	if ttl <= 0 {
		return journal.Lease{}, fmt.Errorf("journal: lease for %s: the time must be positive", ttl)
	}
	if err := j.enter(ctx); err != nil {
		return journal.Lease{}, err
	}
	defer j.mu.Unlock()
	now, best := j.now(), ""
	for name, s := range j.streams {
		s.wakeUp(now)
		if !s.queued || !fits(s, now) || !hasPrefix(name, prefixes) {
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
	s.token, s.held, s.parked, s.due = j.token, true, false, expiry(now, ttl)
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
	return j.end(ctx, l, seen, func(s *stream, now time.Time) {
		switch {
		case wake.IsZero():
			s.queued = false
		case wake.Before(now):
			s.due = now
		default:
			s.due = wake
		}
	})
}

// Park implements journal.Journal.
func (j *Journal) Park(ctx context.Context, l journal.Lease, seen int64, since, wake time.Time) error {
	return j.end(ctx, l, seen, func(s *stream, _ time.Time) { s.parked, s.due, s.wake = true, since, wake })
}

// end ends a lease. What becomes of a stream in which everything was seen is the caller's.
func (j *Journal) end(ctx context.Context, l journal.Lease, seen int64, become func(*stream, time.Time)) error {
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
	if seen < s.version() {
		s.due = now
	} else {
		become(s, now)
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
		s.wakeUp(now)
		if !s.queued || !s.held && !s.parked && s.due.After(now) {
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
