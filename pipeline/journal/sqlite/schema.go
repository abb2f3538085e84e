package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// schemaVersion is what this program writes, in PRAGMA user_version.
const schemaVersion = 1

// applicationID marks the file as a Conveyor journal ("CNVY"), so that another program's database is never written to.
const applicationID = 0x434e5659

// schema makes a new file. Times are microseconds since 1970.
//
// A stream's due is when it may be leased: the time of its work mark, its wake time, or, while held, its expiry. It is
// NULL while the stream rests, and beyond all times while it is parked (see parked in lease.go). changed counts appends
// over the whole store: it orders Streams, and other processes find in it what is new. Names sort bytewise, which is what the prefix ranges rest on.
const schema = `
CREATE TABLE streams (
	id       INTEGER PRIMARY KEY,
	name     TEXT    NOT NULL UNIQUE,
	version  INTEGER NOT NULL,
	token    INTEGER NOT NULL,
	held     INTEGER NOT NULL,
	due      INTEGER,
	appended INTEGER NOT NULL,
	changed  INTEGER NOT NULL
) STRICT;
CREATE INDEX streams_due ON streams (due, name) WHERE due IS NOT NULL;
CREATE INDEX streams_changed ON streams (changed);

CREATE TABLE records (
	id      INTEGER PRIMARY KEY,
	stream  INTEGER NOT NULL,
	version INTEGER NOT NULL,
	kind    TEXT    NOT NULL,
	key     TEXT    NOT NULL,
	at      INTEGER NOT NULL,
	data    BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_version ON records (stream, version);
CREATE UNIQUE INDEX records_key ON records (stream, key) WHERE key <> '';

CREATE TABLE counter (token INTEGER NOT NULL, changed INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0, 0);

CREATE TABLE probe (pad BLOB NOT NULL) STRICT;
INSERT INTO probe VALUES (zeroblob(65536));
`

// wakes says until when streams are parked. A file that was made before streams could wake gets the table when it is
// opened. A program from before does not know it, and may leave a row for a stream that is parked no more: that one means
// nothing, or wakes the stream too early once.
const wakes = `
CREATE TABLE IF NOT EXISTS wakes (stream INTEGER PRIMARY KEY, wake INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS wakes_wake ON wakes (wake);
`

// prepare makes the tables of a new file, and refuses a file this program does not understand.
func prepare(ctx context.Context, conn *sql.Conn, path string) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	var version, application, tables int64
	err = conn.QueryRowContext(ctx, `SELECT
		(SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),
		(SELECT count(*) FROM sqlite_schema)`).Scan(&version, &application, &tables)
	switch {
	case err != nil:
		return err
	case tables > 0 && application != applicationID:
		return fmt.Errorf("%s is a database of another program; give the journal a file of its own", path)
	case version > schemaVersion:
		return fmt.Errorf("%s was written by a newer Conveyor (format %d, this one knows %d); start the newer version, or restore a backup from before the upgrade",
			path, version, schemaVersion)
	case tables == 0:
		script := fmt.Sprintf("%s PRAGMA application_id = %d; PRAGMA user_version = %d;", schema, applicationID, schemaVersion)
		if _, err := conn.ExecContext(ctx, script); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, wakes); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
