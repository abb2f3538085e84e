package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// stream is a row of streams; id 0 is a stream that does not exist.
type stream struct {
	id, version, token int64
	held               bool
	due                sql.NullInt64
}

func (t *transaction) find(name string) (s stream, err error) {
	err = t.statements.find.QueryRowContext(t.ctx, name).Scan(&s.id, &s.version, &s.token, &s.held, &s.due)
	if errors.Is(err, sql.ErrNoRows) {
		return stream{}, nil
	}
	return s, err
}

// Append implements journal.Journal.
func (j *Journal) Append(ctx context.Context, b journal.Batch) (int64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	now, bytes := j.now(), 0
	for _, r := range b.Records {
		bytes += len(r.Data)
	}
	var version int64
	err := j.submit(ctx, bytes, func(t *transaction) (err error) {
		version, err = t.append(b, now)
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

func (t *transaction) append(b journal.Batch, now time.Time) (int64, error) {
	s, err := t.find(b.Stream)
	if err != nil {
		return 0, err
	}
	if err := t.refusal(s, b); err != nil {
		return 0, err
	}
	due := s.due
	if !s.held && due.Valid && due.Int64 >= parked {
		if due.Int64, err = t.unpark(s, micros(now)); err != nil {
			return 0, err
		}
	}
	if !s.held && (!due.Valid || due.Int64 > micros(now)) {
		due = sql.NullInt64{Int64: micros(now), Valid: true}
	}
	version := s.version + int64(len(b.Records))
	t.changed++
	if s.id == 0 {
		made, err := t.statements.create.ExecContext(t.ctx, b.Stream, version, due, micros(now), t.changed)
		if err != nil {
			return 0, err
		}
		if s.id, err = made.LastInsertId(); err != nil {
			return 0, err
		}
	} else if _, err := t.statements.extend.ExecContext(t.ctx, s.id, version, due, micros(now), t.changed); err != nil {
		return 0, err
	}
	for _, r := range b.Stamped(s.version, now) {
		if r.Data == nil {
			r.Data = []byte{} // nil would be NULL
		}
		if _, err := t.statements.record.ExecContext(t.ctx, s.id, r.Version, r.Kind, r.Key, micros(r.At), r.Data); err != nil {
			return 0, err
		}
	}
	t.touched = append(t.touched, b.Stream)
	return version, nil
}

// unpark takes a stream out of the park because of news, and returns its due: beyond all times, unless its time to wake
// came before the news did.
func (t *transaction) unpark(s stream, now int64) (int64, error) {
	var wake int64
	err := t.statements.wakeOf.QueryRowContext(t.ctx, s.id).Scan(&wake)
	if errors.Is(err, sql.ErrNoRows) {
		return s.due.Int64, nil
	}
	if err != nil {
		return 0, err
	}
	if _, err := t.statements.awake.ExecContext(t.ctx, s.id); err != nil || wake > now {
		return s.due.Int64, err
	}
	return s.due.Int64 - parked, nil
}

// refusal is why the batch may not be written, or a failure to find out. It comes before the first change, so a
// refused write leaves nothing to undo in a transaction that others share.
func (t *transaction) refusal(s stream, b journal.Batch) error {
	if b.Token != 0 && b.Token != s.token {
		return fmt.Errorf("%w: %s", journal.ErrLeaseLost, b.Stream)
	}
	var batch map[string]bool
	for _, r := range b.Records {
		if r.Key == "" {
			continue
		}
		taken := batch[r.Key]
		if !taken && s.id != 0 {
			if err := t.statements.hasKey.QueryRowContext(t.ctx, s.id, r.Key).Scan(&taken); err != nil {
				return err
			}
		}
		if taken {
			return fmt.Errorf("%w: %s in %s", journal.ErrDuplicate, r.Key, b.Stream)
		}
		if batch == nil {
			batch = map[string]bool{}
		}
		batch[r.Key] = true
	}
	if b.Expect != journal.Any && b.Expect != s.version {
		return fmt.Errorf("%w: %s is at version %d", journal.ErrConflict, b.Stream, s.version)
	}
	return nil
}

// forgetChunk is how many streams one transaction removes, so that appends do not wait for long.
const forgetChunk = 50

// Forget implements journal.Journal. It looks for old streams without holding up writers, and checks each again before
// removing it. The space is used again; the file does not shrink.
func (j *Journal) Forget(ctx context.Context, prefix string, before time.Time, limit int) (int, error) {
	gone := 0
	for gone < limit {
		old, err := j.reads.resting(ctx, prefix, before, min(limit-gone, forgetChunk))
		if err != nil {
			return gone, fmt.Errorf("journal: forget %s: %w", prefix, err)
		}
		if len(old) == 0 {
			break
		}
		removed := 0
		err = j.submit(ctx, 0, func(t *transaction) error {
			removed = 0
			for _, id := range old {
				deleted, err := t.statements.forget.ExecContext(t.ctx, id, micros(before))
				if err != nil {
					return err
				}
				if n, err := deleted.RowsAffected(); err != nil {
					return err
				} else if n == 0 {
					continue // it woke up meanwhile
				}
				if _, err := t.statements.forgetRecords.ExecContext(t.ctx, id); err != nil {
					return err
				}
				removed++
			}
			return nil
		})
		if err != nil {
			return gone, err
		}
		if gone += removed; removed == 0 {
			break // all of them woke up meanwhile
		}
	}
	return gone, nil
}
