package artifacttest

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// Collect is the suite of stores that can forget. open returns an empty store to which all that it holds is old.
//
// Random artifacts, which share files, are stored, kept and forgotten. What is kept is whole at all times; what is not is
// gone, and so is everything that only it had.
func Collect(t *testing.T, open func(t testing.TB) artifact.Store) {
	removed := 0
	s := open(t)
	collector := s.(artifact.Collector)
	rapid.Check(t, func(r *rapid.T) {
		stored := map[pipeline.Digest]artifact.Manifest{}
		for range rapid.IntRange(1, 5).Draw(r, "rounds") {
			for range rapid.IntRange(1, 3).Draw(r, "puts") {
				files := map[string]string{}
				for n := range rapid.IntRange(1, 4).Draw(r, "files") {
					files[fmt.Sprint("f", n)] = rapid.SampledFrom([]string{"", "one", "two", "a longer one, which is cut", "a longer one, which is cut in other parts"}).Draw(r, "content")
				}
				m, err := s.Put(t.Context(), Write(t, files), everything, artifact.Limits{})
				if err != nil {
					r.Fatal(err)
				}
				stored[m.Digest()] = m
			}
			keep := []pipeline.Digest{pipeline.Digest(fmt.Sprintf("sha256:%064x", 1))} // that is not there
			needed := map[pipeline.Digest]bool{}
			for d, m := range stored {
				if rapid.Bool().Draw(r, "keep") {
					keep, needed[d] = append(keep, d), true
					for _, f := range m.Files {
						needed[f.Digest] = true
					}
				}
			}
			done, err := collector.Collect(t.Context(), keep, 0)
			if err != nil {
				r.Fatal(err)
			}
			removed += done.Objects
			for d, m := range stored {
				_, err := s.Extract(t.Context(), d, filepath.Join(t.TempDir(), "out"), artifact.Limits{})
				switch {
				case needed[d] && err != nil:
					r.Fatalf("%s is kept, and not whole: %v", d, err)
				case !needed[d] && !errors.Is(err, artifact.ErrNotFound):
					r.Fatalf("%s is not kept, and there: %v", d, err)
				}
				for _, f := range m.Files {
					if _, err := Content(t.Context(), s, f); !needed[f.Digest] && !errors.Is(err, artifact.ErrNotFound) {
						r.Fatalf("%s of %s is needed by nobody, and there: %v", f.Path, d, err)
					}
				}
				if !needed[d] {
					delete(stored, d)
				}
			}
		}
	})
	if removed == 0 {
		t.Error("nothing was ever removed")
	}
}
