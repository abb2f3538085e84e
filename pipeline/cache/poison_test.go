package cache_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/cache"
)

// runOf draws a run: of any trust, for any event, of any branch.
func runOf(t *rapid.T) pipeline.State {
	branch := rapid.SampledFrom([]string{"main", "topic", ""}).Draw(t, "branch")
	return pipeline.State{
		Trust: pipeline.Trust(rapid.IntRange(0, 3).Draw(t, "trust")),
		Trigger: pipeline.Trigger{
			Kind:   rapid.SampledFrom([]pipeline.TriggerKind{pipeline.Push, pipeline.PullRequest, pipeline.MergeGroup}).Draw(t, "kind"),
			Branch: branch, Base: "main", Fork: rapid.Bool().Draw(t, "fork"),
			Repo: pipeline.Repo{ID: rapid.Int64Range(7, 8).Draw(t, "repository"), Branch: rapid.SampledFrom([]string{"main", ""}).Draw(t, "default")},
		},
	}
}

// TestNoHistoryLetsBytesOfCodeFromOutsideReachTrustedRuns plays runs that leave marks in their caches, keep them when they
// can, crash, and push each other out. Whatever a trusted run finds was written by trusted pushes to the default branch of
// its own repository alone; so is what anyone else finds.
func TestNoHistoryLetsBytesOfCodeFromOutsideReachTrustedRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "poison-")
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		opts := cache.Options{Dir: filepath.Join(dir, "cache"), Size: 2000, Now: clock()}
		opts.Owner.UID, opts.Owner.GID = -1, -1
		store, err := cache.Open(opts)
		if err != nil {
			r.Fatal(err)
		}
		defer func() {
			if err := store.Close(); err != nil {
				r.Error(err)
			}
		}()
		steps := rapid.IntRange(1, 12).Draw(r, "steps")
		for i := range steps {
			if rapid.IntRange(0, 9).Draw(r, "crash") == 0 {
				if store, err = cache.Open(opts); err != nil { // the old one is gone without a word
					r.Fatal(err)
				}
			}
			s := runOf(r)
			ws := filepath.Join(dir, fmt.Sprint("ws-", i))
			lock := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(r, "lock")
			if err := os.Mkdir(ws, 0o755); err != nil {
				r.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(ws, "a.lock"), []byte(lock), 0o644); err != nil {
				r.Fatal(err)
			}
			key, err := cache.KeyOf(ws, npm)
			if err != nil {
				r.Fatal(err)
			}
			l, err := store.Lend(t.Context(), cache.AskerOf(s), fmt.Sprint("step-", i), npm, key, ws)
			if err != nil {
				r.Fatal(err)
			}
			fills := s.Trust >= pipeline.Writer && s.Trigger.Kind == pipeline.Push && !s.Trigger.Fork && s.Trigger.Branch == "main" && s.Trigger.Repo.Branch == "main"
			for n, f := range l.Folders {
				marks, err := filepath.Glob(filepath.Join(f.Source, "*"))
				if err != nil {
					r.Fatal(err)
				}
				for _, mark := range marks {
					if base := filepath.Base(mark); !strings.HasPrefix(base, fmt.Sprintf("trusted-%d-", s.Trigger.Repo.ID)) {
						r.Fatalf("run %d (%+v) found %s in folder %d", i, s, base, n)
					}
				}
				mark := fmt.Sprintf("outside-%d-%d", s.Trigger.Repo.ID, i)
				if fills {
					mark = fmt.Sprintf("trusted-%d-%d", s.Trigger.Repo.ID, i)
				}
				if err := os.WriteFile(filepath.Join(f.Source, mark), []byte(strings.Repeat("x", rapid.IntRange(0, 300).Draw(r, "size"))), 0o644); err != nil {
					r.Fatal(err)
				}
			}
			if rapid.Bool().Draw(r, "passes") {
				if _, err := l.Keep(t.Context()); (err == nil) != fills {
					r.Fatalf("run %d (%+v) keeping: %v", i, s, err)
				}
			}
			if rapid.IntRange(0, 9).Draw(r, "killed") > 0 {
				if err := l.Close(); err != nil {
					r.Fatal(err)
				}
			}
		}
	})
}
