package sqlite_test

import (
	"path/filepath"
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
