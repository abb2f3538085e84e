package sqlite

import (
	"context"
	"database/sql"
	"os"

	driver "modernc.org/sqlite"
)

// limits say when the -wal file is moved into the main one, in pages of 4 KiB. They are the same for all but tests.
type limits struct {
	copy  int // after so many new pages, they are copied beside the writer
	again int // from this length on, the writer is asked to begin again at the file's start
	near  int // so few uncopied pages may be left when it is asked
	most  int // from this length on, it is asked however many are left
}

// A copy of 4 MiB is over soon enough that the disk and the processor are not missed for long. The few pages that are
// left for the writer, and the sync of the main file, then cost about what a group costs.
var usual = limits{copy: 1000, again: 8000, near: 500, most: 16000}

// checkpointer copies what is in the -wal file into the main one. Left to itself, SQLite does that within a commit, and
// everyone who waits for the writer waits for some megabytes more. So it is done beside the writer, on a connection of
// its own, which holds up neither writes nor reads. Only the last few pages are the writer's: while it goes on, there is
// always a page more, and only when none is left may the -wal file be used again from its start.
type checkpointer struct {
	limits limits
	ctx    context.Context // never ends; see Open
	main   *os.File        // the main file, only ever synced by this handle
	db     *sql.DB
	copy   *sql.Stmt

	grown chan struct{}    // has a place for one: told by the writer after limits.copy pages
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
	c.copy, err = c.db.PrepareContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return err
}

// run is the goroutine. A disk that refuses is not told of here: nothing is lost, the -wal file grows, and the writer
// will be refused as well.
func (c *checkpointer) run(stop <-chan struct{}) {
	defer close(c.done)
	from := 0 // how long the -wal file was when the writer could not begin again
	for {
		select {
		case <-c.grown:
		case <-stop:
			return
		}
		long, left := c.approach(stop)
		if long < from { // somebody else's writer could
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

// approach copies until little is left, or copying gains nothing because a reader still looks at an old state. It
// returns the length of the -wal file's used part, and how much of that is not copied.
func (c *checkpointer) approach(stop <-chan struct{}) (long, left int) {
	for last := -1; ; {
		var busy, copied int
		if err := c.copy.QueryRowContext(c.ctx).Scan(&busy, &long, &copied); err != nil || busy != 0 {
			return 0, 0
		}
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

// wrote is told after each commit. It counts the pages that went into the -wal file.
func (t *transaction) wrote(c *checkpointer) {
	pages := 0
	_ = t.conn.Raw(func(conn any) (err error) { // fails only for a counter that there is not
		pages, _, err = conn.(driver.DBStatus).Status(driver.DBStatusCacheWrite, false)
		return err
	})
	if pages-t.pages < c.limits.copy && pages >= t.pages {
		return
	}
	t.pages = pages
	select {
	case c.grown <- struct{}{}:
	default: // told before, and it has not looked yet
	}
}

// beginAgain copies the last pages, and waits shortly for readers of the -wal file to leave; new ones find everything in
// the main file. The next transaction then begins at its start, which is cheaper than growing it: nothing but
// data has to be synced.
func (t *transaction) beginAgain() bool {
	if _, err := t.conn.ExecContext(t.ctx, "PRAGMA busy_timeout = 50"); err != nil {
		return false
	}
	var busy, long, copied int
	err := t.conn.QueryRowContext(t.ctx, "PRAGMA wal_checkpoint(RESTART)").Scan(&busy, &long, &copied)
	_, reset := t.conn.ExecContext(t.ctx, "PRAGMA busy_timeout = 0")
	return err == nil && reset == nil && busy == 0
}
