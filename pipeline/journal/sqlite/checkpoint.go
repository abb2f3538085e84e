package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"

	driver "modernc.org/sqlite"
)

// limits say when the -wal file is moved into the main one, in pages of 4 KiB.
type limits struct {
	copy  int // after so many new pages, they are copied beside the writer
	again int // from this length on, the writer is asked to begin again at the file's start
	near  int // so few pages may be left to copy when it is asked
	most  int // from this length on, it is asked however many are left
}

// A copy of 4 MiB is over soon enough that the disk and the processor are not missed for long. What is left for the
// writer then costs about as much as a group does. most bounds the file on a disk that copies slower than it takes
// appends: the writer stands still for the rest of the copy.
var usual = limits{copy: 1000, again: 8000, near: 500, most: 16000}

// checkpointer copies what is in the -wal file into the main one. Left to itself, SQLite does so within a commit, and
// all who wait for that commit wait for some megabytes that are not theirs. So it is done beside the writer, on a
// connection of its own, which holds up neither writes nor reads. Only the last few pages are the writer's: while it
// goes on there is always one more, and only when none is left may the -wal file be used again from its start.
type checkpointer struct {
	limits limits
	ctx    context.Context // never ends; see Open
	db     *sql.DB
	copy   *sql.Stmt

	// main is the main file, for syncs alone. It is closed after all connections: the system drops every lock that this
	// process holds on a file when any handle of it is closed.
	main *os.File

	grown chan struct{}    // has a place for one: the writer tells of limits.copy new pages
	ask   chan chan<- bool // asks the writer to begin again; it answers whether it could
	done  chan struct{}    // closed when the goroutine has ended
}

func (c *checkpointer) open(ctx context.Context, path string) (err error) {
	c.ctx = ctx
	c.grown, c.ask, c.done = make(chan struct{}, 1), make(chan chan<- bool), make(chan struct{})
	if c.db, err = sql.Open("sqlite", source(path, checkpointPragmas)); err != nil {
		return err
	}
	c.db.SetMaxOpenConns(1)
	if c.copy, err = c.db.PrepareContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return errors.Join(err, c.db.Close())
	}
	return nil
}

// close closes the handle, after all connections. Again it does nothing, as theirs.
func (c *checkpointer) close() error {
	if err := c.main.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// run is the goroutine. A disk that refuses is not told of here: the -wal file keeps what could not be copied, and when
// it cannot grow, either, the writer says so.
func (c *checkpointer) run(stop <-chan struct{}) {
	defer close(c.done)
	from := 0 // how long the -wal file was when the writer could not begin again; it is not asked for every page after
	for {
		select {
		case <-c.grown:
		case <-stop:
			return
		}
		long, left := c.approach(stop)
		if long < from { // another process's writer could
			from = 0
		}
		if long-from < c.limits.again || left > c.limits.near && long-from < c.limits.most {
			continue
		}
		could := make(chan bool, 1)
		select {
		case c.ask <- could:
		case <-stop:
			return
		}
		if from = 0; !<-could {
			from = long
		}
	}
}

// approach copies until little is left, or until a reader who still looks at an old state is in the way. It returns the
// length of the -wal file's used part, and how much of that is not copied.
func (c *checkpointer) approach(stop <-chan struct{}) (long, left int) {
	for last := -1; ; {
		var busy, copied int
		if err := c.copy.QueryRowContext(c.ctx).Scan(&busy, &long, &copied); err != nil || busy != 0 {
			return 0, 0 // another process copies
		}
		// SQLite syncs the main file only with the last page, which is the writer's. Then there shall be little to sync.
		if err := c.main.Sync(); err != nil {
			return 0, 0
		}
		left = long - copied
		select {
		case <-stop:
			return long, left
		default:
		}
		if left <= c.limits.near || copied == last || long >= c.limits.most {
			return long, left
		}
		last = copied
	}
}

// wrote is called after each group. It tells the checkpointer when enough pages went into the -wal file.
func (t *transaction) wrote(c *checkpointer) {
	_ = t.conn.Raw(func(conn any) error { // fails only for a counter that does not exist
		pages, _, err := conn.(driver.DBStatus).Status(driver.DBStatusCacheWrite, true)
		t.pages += pages
		return err
	})
	if t.pages < c.limits.copy {
		return
	}
	t.pages = 0
	select {
	case c.grown <- struct{}{}:
	default: // it was told before, and has not looked yet
	}
}

// beginAgain copies the last pages, and waits a moment until readers of the -wal file have left; new ones find
// everything in the main file. The next transaction then begins at the -wal file's start. Without the wait, reads that
// overlap would keep it growing for ever; a read that goes on for long is left alone.
func (t *transaction) beginAgain() bool {
	if _, err := t.conn.ExecContext(t.ctx, "PRAGMA busy_timeout = 50"); err != nil {
		return false
	}
	var busy, long, copied int
	err := t.conn.QueryRowContext(t.ctx, "PRAGMA wal_checkpoint(RESTART)").Scan(&busy, &long, &copied)
	_, back := t.conn.ExecContext(t.ctx, "PRAGMA busy_timeout = 0")
	return err == nil && back == nil && busy == 0
}
