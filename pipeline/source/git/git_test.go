package git

import (
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func open(t *testing.T, dir string, url func(pipeline.Repo) string) source.Source {
	t.Helper()
	s, err := New(Options{Dir: dir, URL: url, Owner: Owner{UID: -1, GID: -1}})
	if err != nil {
		t.Fatal(err)
	}
	s.layersFrom = 100
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTheSourceKeepsTheContractWithOverlays(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, open)
}

func TestTheSourceKeepsTheContractWithCopies(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T, dir string, url func(pipeline.Repo) string) source.Source {
		// An overlay mount cannot take a comma, so that everything is copied here.
		return open(t, filepath.Join(dir, "a,b"), url)
	})
}
