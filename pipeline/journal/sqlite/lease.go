package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// parked is what is added to the due of a parked stream: in the same index, beyond every time that can come (the year
// 2112), and in the order of their rights.
const parked = int64(1) << 52

// Lease implements journal.Journal.
func (j *Journal) Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (journal.Lease, error) {
	now := micros(j.now())
	return j.take(ctx, now, ttl, math.MinInt64, now, prefixes)
}

// LeaseParked implements journal.Journal.
func (j *Journal) LeaseParked(ctx context.Context, ttl time.Duration, before time.Time, prefixes ...string) (journal.Lease, error) {
	last := int64(math.MaxInt64)
	if !before.IsZero() {
		last = right(before) - 1
	}
	return j.take(ctx, micros(j.now()), ttl, parked, last, prefixes)
}

// right is the due of a stream that is parked since.
func right(since time.Time) int64 { return parked + min(max(micros(since), 0), parked-1) }

// take leases the stream with the earliest due within bounds.
func (j *Journal) take(ctx context.Context, now int64, ttl time.Duration, first, last int64, prefixes []string) (journal.Lease, error) {
	if ttl <= 0 {
		return journal.Lease{}, fmt.Errorf("journal: lease for %s: the time must be positive", ttl)
	}
	expires := now + ttl.Microseconds()
	args := []any{first, last}
	for _, prefix := range prefixes {
		args = append(args, prefix, after(prefix))
	}
	var lease journal.Lease
	err := j.submit(ctx, 0, func(t *transaction) error {
		if err := t.wake(now); err != nil {
			return err
		}
		next, err := t.due(len(prefixes))
		if err != nil {
			return err
		}
		var id, due int64
		var name string
		if err := next.QueryRowContext(t.ctx, args...).Scan(&id, &name, &due); errors.Is(err, sql.ErrNoRows) {
			return journal.ErrNoWork
		} else if err != nil {
			return err
		}
		// Starting from the clock keeps tokens rising for deploy targets that outlive this file (a backup restored);
		// the counter, not the clock, is what makes them rise within it.
		t.token = max(t.token+1, now)
		lease = journal.Lease{Stream: name, Token: t.token, Expires: moment(expires)}
		if due >= parked {
			if _, err := t.statements.awake.ExecContext(t.ctx, id); err != nil {
				return err
			}
		}
		_, err = t.statements.hold.ExecContext(t.ctx, id, t.token, expires)
		return err
	})
	if err != nil {
		return journal.Lease{}, err
	}
	return lease, nil
}

// wake takes those streams out of the park whose time has come. When there is none, it reads one page.
func (t *transaction) wake(now int64) error {
	for {
		var id int64
		err := t.statements.woken.QueryRowContext(t.ctx, now).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := t.statements.awake.ExecContext(t.ctx, id); err != nil {
			return err
		}
		if _, err := t.statements.wakeUp.ExecContext(t.ctx, id, parked); err != nil {
			return err
		}
	}
}

// Renew implements journal.Journal.
func (j *Journal) Renew(ctx context.Context, ttl time.Duration, leases ...journal.Lease) (lost []journal.Lease, err error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("journal: renew for %s: the time must be positive", ttl)
	}
	if len(leases) == 0 {
		return nil, nil
	}
	expires := micros(j.now()) + ttl.Microseconds()
	err = j.submit(ctx, 0, func(t *transaction) error {
		lost = nil
		for _, l := range leases {
			renewed, err := t.statements.renew.ExecContext(t.ctx, l.Stream, l.Token, expires)
			if err != nil {
				return err
			}
			if n, err := renewed.RowsAffected(); err != nil {
				return err
			} else if n == 0 {
				lost = append(lost, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// Release implements journal.Journal.
func (j *Journal) Release(ctx context.Context, l journal.Lease, seen int64, wake time.Time) error {
	now := micros(j.now())
	var due sql.NullInt64
	if !wake.IsZero() {
		due = sql.NullInt64{Int64: min(max(micros(wake), now), parked-1), Valid: true}
	}
	return j.end(ctx, l, seen, now, due, time.Time{})
}

// Park implements journal.Journal.
func (j *Journal) Park(ctx context.Context, l journal.Lease, seen int64, since, wake time.Time) error {
	return j.end(ctx, l, seen, micros(j.now()), sql.NullInt64{Int64: right(since), Valid: true}, wake)
}

// end ends a lease. The stream is due as the caller says, when everything in it was seen, and wakes from the park.
func (j *Journal) end(ctx context.Context, l journal.Lease, seen, now int64, due sql.NullInt64, wake time.Time) error {
	return j.submit(ctx, 0, func(t *transaction) error {
		s, err := t.find(l.Stream)
		if err != nil {
			return err
		}
		if s.id == 0 || l.Token == 0 || s.token != l.Token {
			return fmt.Errorf("%w: %s", journal.ErrLeaseLost, l.Stream)
		}
		if !s.held {
			return nil // released before; a repeated call changes nothing
		}
		due := due
		if seen < s.version {
			due = sql.NullInt64{Int64: now, Valid: true}
		} else if !wake.IsZero() {
			if _, err := t.statements.sleep.ExecContext(t.ctx, s.id, micros(wake)); err != nil {
				return err
			}
		}
		_, err = t.statements.release.ExecContext(t.ctx, s.id, due)
		return err
	})
}

// Reclaim ends all leases and returns how many there were, so that what a killed server held need not wait until they
// run out. Only who knows that no other process works on the file may call it. Tokens are not touched: whoever leases a
// stream next has a higher one.
func (j *Journal) Reclaim(ctx context.Context) (count int, err error) {
	now := micros(j.now())
	err = j.submit(ctx, 0, func(t *transaction) error {
		ended, err := t.statements.reclaim.ExecContext(t.ctx, now)
		if err != nil {
			return err
		}
		n, err := ended.RowsAffected()
		count = int(n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return count, nil
}
