package git

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

// queue fetches commits that all wait for the same fetch to end, and says what came of each.
func queue(t *testing.T, b *bench, s *Source, commits []pipeline.Commit) []error {
	t.Helper()
	r, err := s.repository(b.repo.Repo)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.fetch.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(commits))
	var all sync.WaitGroup
	for i, c := range commits {
		all.Go(func() {
			errs[i] = s.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, func(context.Context) (string, error) { return b.Token(), nil })
		})
	}
	for waiting := 0; waiting < len(commits); runtime.Gosched() {
		r.state.Lock()
		waiting = len(r.wanted)
		r.state.Unlock()
	}
	r.fetch.leave()
	all.Wait()
	if len(r.wanted)+len(r.alone) > 0 {
		t.Errorf("still waited for are %v, alone %v", r.wanted, r.alone)
	}
	return errs
}

func TestCommitsThatWaitForTheSameFetchComeTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	var commits []pipeline.Commit
	for n := range 12 {
		commits = append(commits, b.commit(t, "", sourcetest.Files{"a": sourcetest.Text(fmt.Sprint(n))}))
	}
	if err := errors.Join(queue(t, b, s, commits)...); err != nil {
		t.Fatal(err)
	}
	if n := b.Fetches(); n != 1 {
		t.Errorf("the server saw %d fetches of %d commits, want 1", n, len(commits))
	}
	for n, c := range commits {
		if got, err := s.File(t.Context(), b.repo.Repo, c, "a", 10); string(got) != fmt.Sprint(n) {
			t.Errorf("commit %d holds %q: %v", n, got, err)
		}
	}
}

func TestACommitThatIsMissingTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	missing := pipeline.Commit(strings.Repeat("ab", 20))
	commits := []pipeline.Commit{missing}
	for n := range 6 {
		commits = append(commits, b.commit(t, "", sourcetest.Files{"a": sourcetest.Text(fmt.Sprint(n))}))
	}
	errs := queue(t, b, s, commits)
	if !errors.Is(errs[0], source.ErrNoCommit) {
		t.Errorf("what is missing gave %v", errs[0])
	}
	if err := errors.Join(errs[1:]...); err != nil {
		t.Error(err)
	}
}
