package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/journaltest"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

func TestSQLiteKeepsTheContract(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t testing.TB, now func() time.Time) journal.Journal {
		return open(t, filepath.Join(t.TempDir(), "journal.db"), now)
	})
}

func TestSQLiteIsSharedAndOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	journaltest.RunDurable(t, func(t testing.TB) journaltest.Open {
		path := filepath.Join(t.TempDir(), "journal.db")
		return func(t testing.TB, now func() time.Time) journal.Journal { return open(t, path, now) }
	})
}

func TestEveryCharacterOfAPathStandsForItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?mode=memory&c#d%20é;'.db")
	j := open(t, path, time.Now)
	if _, err := j.Append(t.Context(), one("run/a")); err != nil {
		t.Fatal(err)
	}
	entry, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if entry.Mode().Perm() != 0o600 {
		t.Fatalf("the journal can be read by others: %s", entry.Mode())
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil || wal.Mode().Perm() != 0o600 {
		t.Fatalf("the -wal file can be read by others, or is missing: %v", err)
	}
}

func TestAFileThatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"newer", "PRAGMA user_version = 99", "newer Conveyor"},
		{"foreign", "PRAGMA application_id = 7", "another program"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		open(t, path, time.Now).Close()
		alter(t, path, c.script)
		_, err := sqlite.Open(t.Context(), path, time.Now)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want a sentence with %q", c.name, err, c.want)
		}
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), text, time.Now); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a text file: got %v, want a sentence", err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such"), time.Now); err == nil ||
		!strings.Contains(err.Error(), "directory must exist") {
		t.Errorf("no directory: got %v, want a sentence", err)
	}
}

func TestAFileFromBeforeStreamsCouldWakeLearnsIt(t *testing.T) {
	t.Parallel()
	path, clock := filepath.Join(t.TempDir(), "journal.db"), journaltest.NewClock()
	j := open(t, path, clock.Now)
	if _, err := j.Append(t.Context(), one("run/a")); err != nil {
		t.Fatal(err)
	}
	j.Close()
	alter(t, path, "DROP TABLE wakes")
	j = open(t, path, clock.Now)
	l, err := j.Lease(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Park(t.Context(), l, 1, clock.Now(), clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	if l, err := j.Lease(t.Context(), time.Minute); err != nil || l.Stream != "run/a" {
		t.Fatalf("leased %q, %v", l.Stream, err)
	}
}

func TestCommitsAreDurable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path, time.Now)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		got, err := sqlite.Pragma(t.Context(), j, pragma)
		if err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", pragma, got, err, want)
		}
	}
}

func TestOneFailedWriteDoesNotSpoilTheOthersOfItsGroup(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal.db"), time.Now)
	if _, err := j.Append(t.Context(), one("run/there")); err != nil {
		t.Fatal(err)
	}
	poison := fmt.Errorf("a write that fails")
	errs, failed := sqlite.Group(t.Context(), j, poison, one("run/a"), one("run/there"), one("run/b"))
	if failed == nil || !strings.Contains(failed.Error(), poison.Error()) {
		t.Errorf("the failing write got %v", failed)
	}
	if errs[0] != nil || errs[2] != nil || errs[1] == nil {
		t.Errorf("the others got %v, want only the second refused", errs)
	}
	for stream, want := range map[string]int{"run/a": 1, "run/b": 1, "run/there": 1, "run/poison": 0} {
		if records, err := j.Read(t.Context(), stream, 0); err != nil || len(records) != want {
			t.Errorf("%s has %d records (%v), want %d", stream, len(records), err, want)
		}
	}
}

func open(t testing.TB, path string, now func() time.Time) *sqlite.Journal {
	t.Helper()
	j, err := sqlite.Open(t.Context(), path, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func alter(t testing.TB, path, script string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

func one(stream string) journal.Batch {
	return journal.Batch{Stream: stream, Expect: journal.None, Records: []journal.Record{{Kind: "happened"}}}
}

func TestWhatAKilledServerHeldIsTakenBackAndItsWordRefused(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal.db"), time.Now)
	ctx := t.Context()
	for _, stream := range []string{"run/a", "run/b", "run/resting"} {
		if _, err := j.Append(ctx, one(stream)); err != nil {
			t.Fatal(err)
		}
	}
	var held []journal.Lease
	for range 3 {
		l, err := j.Lease(ctx, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
	}
	if err := j.Release(ctx, held[2], 1, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Lease(ctx, time.Hour); !errors.Is(err, journal.ErrNoWork) {
		t.Fatalf("before: %v", err)
	}
	if n, err := j.Reclaim(ctx); err != nil || n != 2 {
		t.Fatalf("%d were taken back: %v", n, err)
	}
	for range 2 {
		if l, err := j.Lease(ctx, time.Hour); err != nil || l.Token <= held[1].Token || l.Stream == held[2].Stream {
			t.Fatalf("after: %+v %v", l, err)
		}
	}
	late := one(held[0].Stream)
	late.Expect, late.Token = journal.Any, held[0].Token
	if _, err := j.Append(ctx, late); !errors.Is(err, journal.ErrLeaseLost) {
		t.Fatalf("the dead server's word: %v", err)
	}
	if n, err := j.Reclaim(ctx); err != nil || n != 2 {
		t.Fatalf("again: %d %v", n, err)
	}
}
