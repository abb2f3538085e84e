package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// Lease implements journal.Journal.
func (j *Journal) Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (journal.Lease, error) {
	if ttl <= 0 {
		return journal.Lease{}, fmt.Errorf("journal: lease for %s: the time must be positive", ttl)
	}
	now := micros(j.now())
	expires := now + ttl.Microseconds()
	args := []any{now}
	for _, prefix := range prefixes {
		args = append(args, prefix, after(prefix))
	}
	var lease journal.Lease
	err := j.submit(ctx, 0, func(t *transaction) error {
		next, err := t.due(len(prefixes))
		if err != nil {
			return err
		}
		var id int64
		var name string
		if err := next.QueryRowContext(t.ctx, args...).Scan(&id, &name); errors.Is(err, sql.ErrNoRows) {
			return journal.ErrNoWork
		} else if err != nil {
			return err
		}
		// Starting from the clock keeps tokens rising for deploy targets that outlive this file (a backup restored);
		// the counter, not the clock, is what makes them rise within it.
		t.token = max(t.token+1, now)
		lease = journal.Lease{Stream: name, Token: t.token, Expires: moment(expires)}
		_, err = t.statements.hold.ExecContext(t.ctx, id, t.token, expires)
		return err
	})
	if err != nil {
		return journal.Lease{}, err
	}
	return lease, nil
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
		var due sql.NullInt64
		switch {
		case seen < s.version:
			due = sql.NullInt64{Int64: now, Valid: true}
		case !wake.IsZero():
			due = sql.NullInt64{Int64: max(micros(wake), now), Valid: true}
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
