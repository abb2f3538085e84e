package sqlite

import (
	"context"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// OpenLimited opens a journal whose -wal file is moved after few pages.
func OpenLimited(ctx context.Context, path string, now func() time.Time) (*Journal, error) {
	return open(ctx, path, now, limits{copy: 20, again: 80, near: 10, most: 160})
}

// Pragma reads a setting of the connection that writes.
func Pragma(ctx context.Context, j *Journal, name string) (value string, err error) {
	err = j.submit(ctx, 0, func(t *transaction) error {
		return t.conn.QueryRowContext(t.ctx, "PRAGMA "+name).Scan(&value)
	})
	return value, err
}

// Group commits the batches in one transaction, with one write before them that appends and then fails.
func Group(ctx context.Context, j *Journal, failure error, batches ...journal.Batch) (errs []error, failed error) {
	writes := []*write{{done: make(chan struct{})}}
	writes[0].run = func(t *transaction) error {
		if _, err := t.append(journal.Batch{Stream: "run/poison", Records: []journal.Record{{Kind: "k"}}}, j.now()); err != nil {
			return err
		}
		return failure
	}
	for _, b := range batches {
		w := &write{done: make(chan struct{})}
		w.run = func(t *transaction) error { _, err := t.append(b, j.now()); return err }
		writes = append(writes, w)
	}
	// The goroutine that owns the connection is asked to run the group itself.
	_ = j.submit(ctx, 0, func(t *transaction) error {
		if _, err := t.statements.commit.ExecContext(t.ctx); err != nil {
			return err
		}
		j.commit(t, writes)
		_, err := t.statements.begin.ExecContext(t.ctx)
		return err
	})
	for _, w := range writes[1:] {
		errs = append(errs, w.err)
	}
	return errs, writes[0].err
}
