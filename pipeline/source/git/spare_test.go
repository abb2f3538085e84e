package git

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestAWorkspaceThatIsExpectedStandsWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	s, repo, commit := spareBench(t)
	s.Expect(repo.Repo, commit)
	s.preparing.Wait()
	if !s.lay.Overlay {
		if len(s.open) > 0 {
			t.Error("a copy was made ahead")
		}
		return
	}
	spare := s.spares.of[wantedOf(repo.Repo, commit, nil)]
	if spare == nil {
		t.Fatal("none was made")
	}
	w, err := s.Workspace(t.Context(), repo.Repo, commit, "step")
	if err != nil {
		t.Fatal(err)
	}
	if w != spare {
		t.Error("another one was made")
	}
	if want := s.path("work", "step", "merged"); w.Dir() != want {
		t.Errorf("it lies in %s, not in %s", w.Dir(), want)
	}
	if text, err := os.ReadFile(filepath.Join(w.Dir(), "a")); string(text) != "1" {
		t.Errorf("its file holds %q, %v", text, err)
	}
}

func TestASpareWorkspaceThatNobodyComesForIsRemoved(t *testing.T) {
	t.Parallel()
	s, repo, commit := spareBench(t)
	s.spares.life = time.Nanosecond
	for range 3 {
		s.Expect(repo.Repo, commit)
		for gone := false; !gone; runtime.Gosched() {
			s.mu.Lock()
			gone = len(s.spares.of) == 0 && len(s.open) == 0
			s.mu.Unlock()
			if t.Context().Err() != nil {
				t.Fatal("it stays")
			}
		}
	}
	if left, err := os.ReadDir(s.path("work")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAClosedSourceLeavesNoSpareWorkspace(t *testing.T) {
	t.Parallel()
	s, repo, commit := spareBench(t)
	s.Expect(repo.Repo, commit)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Expect(repo.Repo, commit)
	left, err := os.ReadDir(s.path("work"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), s.path("work")) {
		t.Errorf("something is still mounted, %v", err)
	}
}

func spareBench(t *testing.T) (*Source, *sourcetest.Repository, pipeline.Commit) {
	t.Helper()
	server := sourcetest.NewServer(t)
	repo := server.Repository(t, 1001, "acme", "shop")
	s := open(t, filepath.Join(t.TempDir(), "source"), server.URL).(*Source)
	c := repo.Commit(t, "refs/heads/main", "", sourcetest.Files{"a": sourcetest.Text("1")})
	if err := s.Fetch(t.Context(), repo.Repo, "refs/heads/main", c, func(context.Context) (string, error) { return server.Token(), nil }); err != nil {
		t.Fatal(err)
	}
	return s, repo, c
}
