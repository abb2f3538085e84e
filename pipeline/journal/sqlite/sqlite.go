// Package sqlite is the journal of one machine: a single SQLite file that survives a power cut (WAL, synchronous=FULL).
//
// All writes go through one goroutine that commits everything that waits in one transaction, so that sixty-four
// writers share one fsync. Reads have connections of their own and never wait for writes. It never keeps a version, a
// token or a queue in memory: each transaction begins with IMMEDIATE and asks the file, so several processes on the
// same file are correct, only slower, and learn of each other's appends within about 200 ms.
//
// Start reading at Open; writer.go is the group commit, append.go and lease.go are what it commits,
// checkpoint.go is what happens beside it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	driver "modernc.org/sqlite"
)

var errClosed = errors.New("journal: the store is closed")

// Journal is a journal.Journal in a file. Make one with Open.
type Journal struct {
	path  string
	now   func() time.Time
	hints journal.Hints

	readers *sql.DB
	reads   reads

	writer *sql.DB // one connection, used by the writing goroutine alone
	queue  chan *write
	stop   chan struct{}
	once   sync.Once
	done   chan struct{} // closed when the writing goroutine has ended

	checkpointer checkpointer
}

var _ journal.Journal = (*Journal)(nil)

// Open opens the journal at path, and makes the file when there is none; its directory must exist. The time is read
// from now. Close it, or the last few megabytes stay in the -wal file beside it, where the next Open finds them.
func Open(ctx context.Context, path string, now func() time.Time) (*Journal, error) {
	return open(ctx, path, now, usual)
}

func open(ctx context.Context, path string, now func() time.Time, l limits) (*Journal, error) {
	// SQLite's own builds sync with fdatasync wherever it exists; this one has to be told to. Half the time per
	// commit, and the file's size is synced either way. Where there is no fdatasync, fsync stays.
	_, _ = driver.Fdatasync(true)

	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", path, err)
	}
	file, err := create(absolute)
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", path, err)
	}
	j := &Journal{
		path: path, now: now,
		queue: make(chan *write), stop: make(chan struct{}), done: make(chan struct{}),
		checkpointer: checkpointer{limits: l, main: file},
	}
	// The context is for opening; what is opened outlives it. Without a Done channel the driver also spares the
	// goroutine per statement that would wait for one.
	ctx = context.WithoutCancel(ctx)
	if err := j.connect(ctx, absolute); err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", path, errors.Join(explain(err), file.Close()))
	}
	return j, nil
}

func (j *Journal) connect(ctx context.Context, path string) (err error) {
	j.writer, err = sql.Open("sqlite", source(path, writerPragmas))
	if err != nil {
		return err
	}
	j.writer.SetMaxOpenConns(1)
	conn, err := j.writer.Conn(ctx)
	if err != nil {
		return errors.Join(err, j.writer.Close())
	}
	fail := func(err error) error { return errors.Join(err, conn.Close(), j.writer.Close()) }
	if err := prepare(ctx, conn, path); err != nil {
		return fail(err)
	}
	t := &transaction{ctx: ctx, conn: conn}
	if err := t.prepare(); err != nil {
		return fail(err)
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil { // from here on begin waits
		return fail(err)
	}
	j.readers, err = sql.Open("sqlite", source(path, readerPragmas))
	if err != nil {
		return fail(err)
	}
	j.readers.SetMaxOpenConns(4)
	j.readers.SetMaxIdleConns(1)
	j.readers.SetConnMaxIdleTime(time.Minute)
	if err := j.reads.prepare(ctx, j.readers); err != nil {
		return errors.Join(fail(err), j.readers.Close())
	}
	if err := j.checkpointer.open(ctx, path); err != nil {
		return errors.Join(fail(err), j.readers.Close())
	}
	go j.checkpointer.run(j.stop)
	go j.writing(t)
	return nil
}

// Changed implements journal.Journal.
func (j *Journal) Changed(ctx context.Context) <-chan string { return j.hints.Listen(ctx) }

// Close implements journal.Journal. It waits for the transaction under way and moves the -wal file into the main one.
func (j *Journal) Close() error {
	j.once.Do(func() { close(j.stop) })
	<-j.done
	<-j.checkpointer.done
	j.hints.Close()
	// The last to close moves what is left, with the writer's settings.
	if err := errors.Join(j.checkpointer.db.Close(), j.readers.Close(), j.writer.Close(), j.checkpointer.close()); err != nil {
		return fmt.Errorf("journal: close %s: %w", j.path, err)
	}
	return nil
}

// The writer keeps at most 2 MiB of pages. It never moves the -wal file by itself, the checkpointer does. The -wal file is
// used again from its start, which is cheaper than growing it, and is cut back to 64 MiB after a long read or a big
// record. mmap stays off: it would count as memory and turns a disk error into SIGBUS.
var (
	writerPragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-2048)",
		"wal_autocheckpoint(0)", "journal_size_limit(67108864)", "mmap_size(0)", "temp_store(MEMORY)"}
	checkpointPragmas = []string{"synchronous(FULL)", "wal_autocheckpoint(0)", "cache_size(-64)", "mmap_size(0)"}
	readerPragmas     = []string{"busy_timeout(5000)", "query_only(1)", "cache_size(-512)", "mmap_size(0)", "temp_store(MEMORY)"}
)

// source is the driver's name for the file. As a URI every character of the path stands for itself.
func source(path string, pragmas []string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	return u.String()
}

// create makes an empty file that only its owner can read, and makes its name survive a power cut. SQLite gives its
// -wal and -shm files the same mode.
func create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; the directory must exist and be writable", err)
	}
	directory, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(directory.Sync(), directory.Close())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func moment(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func placeholder(i int) string { return "?" + strconv.Itoa(i) }
