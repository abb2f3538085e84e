package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

func add(t *testing.T, j *Journal, n int) {
	t.Helper()
	for i := range n {
		if _, err := j.Append(context.Background(), journal.Batch{Stream: "repo/7", Expect: journal.Any, Records: []journal.Record{{Kind: "seen", At: time.Now(), Data: fmt.Appendf(nil, "%d", i)}}}); err != nil {
			t.Fatal(err)
		}
	}
}

// prints are the contents of the files of a folder. SQLite's index of its log, -shm, holds who reads, and no records.
func prints(t *testing.T, dir string) (all string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(f) == ".db-shm" {
			data = nil
		}
		all += fmt.Sprintf("%s %d %x\n", filepath.Base(f), len(data), sha256.Sum256(data))
	}
	return all
}

// holds wants so many records in a copy of the journal of a folder, and the folder as it was.
func holds(t *testing.T, dir string, want int) {
	t.Helper()
	before := prints(t, dir)
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := Copy(context.Background(), filepath.Join(dir, "journal.db"), to); err != nil {
		t.Fatal(err)
	}
	if after := prints(t, dir); after != before {
		t.Errorf("the original was\n%s and is\n%s", before, after)
	}
	j, err := Open(context.Background(), to, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	records, err := j.Read(context.Background(), "repo/7", 0)
	if err != nil || len(records) != want {
		t.Errorf("the copy holds %d records, not %d: %v", len(records), want, err)
	}
	add(t, j, 1)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if after := prints(t, dir); after != before {
		t.Errorf("a write to the copy changed the original")
	}
}

func TestACopyIsWholeAndChangesNothingWhateverTheStateOfTheOriginal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := Open(context.Background(), filepath.Join(dir, "journal.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, 5)
	holds(t, dir, 5) // while a server runs on it

	left := t.TempDir() // what a server that was killed leaves, without the index of the log
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(filepath.Join(dir, "journal.db"+suffix), filepath.Join(left, "journal.db"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, left, 5)

	add(t, j, 2)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, 7) // after a server that ended well
	if err := Copy(context.Background(), filepath.Join(t.TempDir(), "none.db"), filepath.Join(t.TempDir(), "copy.db")); err == nil {
		t.Error("a journal that is not there was copied")
	}
}
