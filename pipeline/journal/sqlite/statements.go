package sqlite

import (
	"database/sql"
	"errors"
	"strings"
)

// statements are prepared once for the writer's connection.
type statements struct {
	begin, commit, rollback *sql.Stmt
	counter, count, news    *sql.Stmt
	find, hasKey            *sql.Stmt
	create, extend, record  *sql.Stmt
	hold, renew, release    *sql.Stmt
	reclaim                 *sql.Stmt
	sleep, awake            *sql.Stmt
	woken, wakeOf, wakeUp   *sql.Stmt
	forget, forgetRecords   *sql.Stmt
	probe                   *sql.Stmt
	next                    map[int]*sql.Stmt // by number of prefixes
	all                     []*sql.Stmt
}

func (t *transaction) prepare() error {
	s := &t.statements
	s.next = map[int]*sql.Stmt{}
	for _, p := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.counter, "SELECT token, changed FROM counter"},
		{&s.count, "UPDATE counter SET token = ?1, changed = ?2"},
		{&s.news, "SELECT name FROM streams WHERE changed > ?1 ORDER BY changed DESC LIMIT 256"},
		{&s.find, "SELECT id, version, token, held, due FROM streams WHERE name = ?1"},
		{&s.hasKey, "SELECT count(*) FROM records WHERE stream = ?1 AND key = ?2 AND key <> ''"},
		{&s.create, "INSERT INTO streams (name, version, token, held, due, appended, changed) VALUES (?1, ?2, 0, 0, ?3, ?4, ?5)"},
		{&s.extend, "UPDATE streams SET version = ?2, due = ?3, appended = ?4, changed = ?5 WHERE id = ?1"},
		{&s.record, "INSERT INTO records (stream, version, kind, key, at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
		{&s.hold, "UPDATE streams SET token = ?2, held = 1, due = ?3 WHERE id = ?1"},
		{&s.renew, "UPDATE streams SET due = ?3 WHERE name = ?1 AND token = ?2 AND held = 1"},
		{&s.release, "UPDATE streams SET held = 0, due = ?2 WHERE id = ?1"},
		{&s.sleep, "INSERT OR REPLACE INTO wakes (stream, wake) VALUES (?1, ?2)"},
		{&s.awake, "DELETE FROM wakes WHERE stream = ?1"},
		{&s.woken, "SELECT stream FROM wakes WHERE wake <= ?1 LIMIT 1"},
		{&s.wakeOf, "SELECT wake FROM wakes WHERE stream = ?1"},
		{&s.wakeUp, "UPDATE streams SET due = due - ?2 WHERE id = ?1 AND due >= ?2"},
		{&s.reclaim, "UPDATE streams SET held = 0, due = ?1 WHERE held = 1"},
		{&s.forget, "DELETE FROM streams WHERE id = ?1 AND due IS NULL AND appended < ?2"},
		{&s.forgetRecords, "DELETE FROM records WHERE stream = ?1"},
		{&s.probe, "UPDATE probe SET pad = randomblob(65536)"},
	} {
		var err error
		if *p.to, err = t.statement(p.sql); err != nil {
			return err
		}
	}
	return t.statements.counter.QueryRowContext(t.ctx).Scan(&t.token, &t.told)
}

// due is the statement that finds the longest-waiting stream that starts with one of n prefixes: two bounds of its due,
// then two for each prefix. It walks the due index in order, and stops at the first that fits.
func (t *transaction) due(n int) (*sql.Stmt, error) {
	if s := t.statements.next[n]; s != nil {
		return s, nil
	}
	query := "SELECT id, name, due FROM streams WHERE due IS NOT NULL AND due >= ?1 AND due <= ?2"
	if n > 0 {
		ranges := make([]string, n)
		for i := range ranges {
			ranges[i] = "name >= " + placeholder(2*i+3) + " AND name < " + placeholder(2*i+4)
		}
		query += " AND (" + strings.Join(ranges, " OR ") + ")"
	}
	s, err := t.statement(query + " ORDER BY due, name LIMIT 1")
	if err == nil {
		t.statements.next[n] = s
	}
	return s, err
}

func (t *transaction) statement(query string) (*sql.Stmt, error) {
	s, err := t.conn.PrepareContext(t.ctx, query)
	if err == nil {
		t.statements.all = append(t.statements.all, s)
	}
	return s, err
}

func (t *transaction) close() error {
	var errs []error
	for _, s := range t.statements.all {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// after is the end of the range of names that start with prefix: names are UTF-8, in which 0xff never occurs.
func after(prefix string) string { return prefix + "\xff" }
