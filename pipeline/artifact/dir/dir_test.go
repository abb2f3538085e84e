package dir

import (
	"log/slog"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
)

func TestTheDirectoryStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(t testing.TB) artifact.Store { return opened(t, t.TempDir()) })
}

// TestTinyPacksKeepTheContract begins a pack every few Puts, which otherwise takes a gigabyte.
func TestTinyPacksKeepTheContract(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(t testing.TB) artifact.Store { return openedWith(t, t.TempDir(), 20_000, chunkSize) })
}

func opened(t testing.TB, dir string) *Store { return openedWith(t, dir, 1<<30, chunkSize) }

func openedWith(t testing.TB, dir string, packSize, chunk int64) *Store {
	t.Helper()
	s, err := open(dir, slog.New(slog.DiscardHandler), packSize, chunk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
