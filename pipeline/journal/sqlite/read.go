package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// reads are the statements of the reading connections; they close with them.
type reads struct {
	records, streams, depth, old *sql.Stmt
}

func (r *reads) prepare(ctx context.Context, db *sql.DB) error {
	for _, p := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&r.records, `SELECT version, kind, key, at, data FROM records
			WHERE stream = (SELECT id FROM streams WHERE name = ?1) AND version > ?2 ORDER BY version`},
		{&r.streams, `SELECT name FROM streams WHERE name >= ?1 AND name < ?2 ORDER BY changed DESC LIMIT ?3`},
		{&r.depth, `SELECT count(*), min(iif(due <= ?1, due, iif(due >= ?2, due - ?2, NULL)))
			FROM streams WHERE due IS NOT NULL AND (held OR due <= ?1 OR due >= ?2)`},
		{&r.old, `SELECT id FROM streams WHERE due IS NULL AND appended < ?3 AND name >= ?1 AND name < ?2 ORDER BY changed LIMIT ?4`},
	} {
		var err error
		if *p.to, err = db.PrepareContext(ctx, p.sql); err != nil {
			return err
		}
	}
	return nil
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, name string, version int64) (records []journal.Record, err error) {
	err = each(ctx, j.reads.records, []any{name, version}, func(rows *sql.Rows) error {
		var r journal.Record
		var at int64
		if err := rows.Scan(&r.Version, &r.Kind, &r.Key, &at, &r.Data); err != nil {
			return err
		}
		r.At = moment(at)
		records = append(records, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("journal: read %s: %w", name, explain(err))
	}
	return records, nil
}

// Streams implements journal.Journal.
func (j *Journal) Streams(ctx context.Context, prefix string, limit int) (names []string, err error) {
	// A negative LIMIT is no limit to SQLite.
	err = each(ctx, j.reads.streams, []any{prefix, after(prefix), max(limit, 0)}, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: list %s: %w", prefix, explain(err))
	}
	return names, nil
}

// Depth implements journal.Journal.
func (j *Journal) Depth(ctx context.Context) (waiting int, oldest time.Duration, err error) {
	now := micros(j.now())
	var since sql.NullInt64
	if err := j.reads.depth.QueryRowContext(ctx, now, parked).Scan(&waiting, &since); err != nil {
		return 0, 0, fmt.Errorf("journal: count waiting streams: %w", explain(err))
	}
	if since.Valid {
		oldest = max(0, time.Duration(now-since.Int64)*time.Microsecond)
	}
	return waiting, oldest, nil
}

// resting lists the ids of streams that may be forgotten, the oldest first.
func (r *reads) resting(ctx context.Context, prefix string, before time.Time, limit int) (ids []int64, err error) {
	err = each(ctx, r.old, []any{prefix, after(prefix), micros(before), limit}, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

func each(ctx context.Context, s *sql.Stmt, args []any, row func(*sql.Rows) error) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
