package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

// stream appends to a journal whose -wal file is moved after few pages, and remembers what was acknowledged.
type stream struct {
	path         string
	journal      *sqlite.Journal
	acknowledged int64
}

func streamTo(t *testing.T) *stream {
	t.Helper()
	s := &stream{path: filepath.Join(t.TempDir(), "journal.db")}
	var err error
	if s.journal, err = sqlite.OpenLimited(t.Context(), s.path, time.Now); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stream) append(t *testing.T) {
	t.Helper()
	b := journal.Batch{Stream: "run/long", Expect: s.acknowledged, Records: []journal.Record{{Kind: "grew", Data: make([]byte, 21<<10)}}}
	if _, err := s.journal.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	s.acknowledged++
}

// again appends until the -wal file has been used again from its start so many times more.
func (s *stream) again(t *testing.T, times uint32) {
	t.Helper()
	began := s.times(t)
	for range 20_000 { // a hundred would do for each
		if s.append(t); s.times(t) >= began+times {
			return
		}
	}
	wal, _ := os.Stat(s.path + "-wal")
	t.Fatalf("the -wal file began again %d times of %d, and has %d bytes", s.times(t)-began, times, wal.Size())
}

// times is how often the -wal file has been used from its start: https://www.sqlite.org/fileformat2.html#walformat
func (s *stream) times(t *testing.T) uint32 {
	t.Helper()
	f, err := os.Open(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var header [32]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint32(header[12:])
}

// end closes the journal, wants no -wal file, and everything in the main one.
func (s *stream) end(t *testing.T) {
	t.Helper()
	if err := s.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the -wal file is still there after Close: %v", err)
	}
	records, err := open(t, s.path, time.Now).Read(t.Context(), "run/long", 0)
	if err != nil || int64(len(records)) != s.acknowledged {
		t.Errorf("%d records are there (%v), %d were acknowledged", len(records), err, s.acknowledged)
	}
}

// look begins a transaction that reads, and holds its state until the returned function is called.
func (s *stream) look(ctx context.Context, db *sql.DB) (leave func() error, err error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM streams").Scan(&n); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx.Rollback, nil
}

func (s *stream) readers(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", s.path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestALongStreamOfAppendsUsesTheWALAgainAndCloseLeavesNone(t *testing.T) {
	t.Parallel()
	s := streamTo(t)
	s.again(t, 10)
	s.end(t)
}

// At each moment somebody reads: the next one begins before the last one leaves.
func TestReadsThatOverlapDoNotKeepTheWALGrowing(t *testing.T) {
	t.Parallel()
	s := streamTo(t)
	s.append(t)
	db := s.readers(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	first, err := s.look(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		leave := first
		for ctx.Err() == nil {
			next, err := s.look(context.WithoutCancel(ctx), db)
			if err = errors.Join(err, leave()); err != nil {
				ended <- err
				return
			}
			leave = next
		}
		ended <- leave()
	}()
	s.again(t, 5)
	stop()
	if err := errors.Join(<-ended, db.Close()); err != nil {
		t.Fatal(err)
	}
	s.end(t)
}

func TestAReadThatGoesOnStopsNoAppendAndTheWALIsUsedAgainAfterIt(t *testing.T) {
	t.Parallel()
	s := streamTo(t)
	s.again(t, 1)
	db := s.readers(t)
	leave, err := s.look(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	// One restart may be under way, as what was read is in the main file already; a second would overwrite what is read.
	began := s.times(t)
	for range 300 { // about 2,000 pages, of which 160 are the most otherwise
		s.append(t)
	}
	if now := s.times(t); now > began+1 {
		t.Errorf("the -wal file began again %d times under a reader", now-began)
	}
	if err := errors.Join(leave(), db.Close()); err != nil {
		t.Fatal(err)
	}
	s.again(t, 3)
	s.end(t)
}

// The main file and the -wal file share the small disk; see fillTheDisk.
func TestADiskThatIsFullWhileTheWALIsMovedLosesNothing(t *testing.T) {
	t.Parallel()
	onASmallDisk(t, "full while moving")
}

func fillTheDiskWhileMoving(ctx context.Context, directory string) error {
	d, err := mountDisk(directory)
	if err != nil {
		return err
	}
	path := filepath.Join(directory, "journal.db")
	j, err := sqlite.OpenLimited(ctx, path, time.Now)
	if err != nil {
		return err
	}
	kept := 0
	add := func() error {
		b := one(fmt.Sprintf("run/%d", kept))
		b.Records[0].Data = make([]byte, 21<<10)
		_, err := j.Append(ctx, b)
		if err == nil {
			kept++
		}
		return err
	}
	for err = error(nil); err == nil && kept < 1000; {
		err = add()
	}
	if err == nil {
		return errors.New("1000 appends found room on 4 MiB")
	}
	if err := d.remount(0, "32m"); err != nil {
		return err
	}
	for range 200 { // enough to move the -wal file
		if err := add(); err != nil {
			return fmt.Errorf("append when there is space again: %w", err)
		}
	}
	if err := j.Close(); err != nil {
		return err
	}
	if j, err = sqlite.Open(ctx, path, time.Now); err != nil {
		return err
	}
	for i := range kept {
		if records, err := j.Read(ctx, fmt.Sprintf("run/%d", i), 0); err != nil || len(records) != 1 || len(records[0].Data) != 21<<10 {
			return fmt.Errorf("run/%d was acknowledged and has %d records (%v)", i, len(records), err)
		}
	}
	return j.Close()
}
