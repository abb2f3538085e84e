package git

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

// inside runs git as a step does.
func inside(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "safe.directory=*", "-C", dir}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestAWorkspaceWithItsHistoryDescribesItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	one := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	b.repo.Show(t, "refs/tags/v1.0", one)
	two := b.commit(t, one, sourcetest.Files{"a": sourcetest.Text("2")})
	head := b.commit(t, one, sourcetest.Files{"a": sourcetest.Text("1"), "b": sourcetest.Text("b")})
	later := b.commit(t, two, sourcetest.Files{"a": sourcetest.Text("3")})
	b.repo.Show(t, "refs/tags/v2.0", later)
	for _, c := range []pipeline.Commit{one, two, head} {
		b.fetch(t, s, c)
	}
	merged, err := s.Merge(t.Context(), b.repo.Repo, one, two, head, time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	token := func(context.Context) (string, error) { return b.Token(), nil }
	for range 2 {
		if err := s.FetchHistory(t.Context(), b.repo.Repo, token, two, head); err != nil {
			t.Fatal(err)
		}
	}
	before := b.Fetches()
	if err := s.FetchHistory(t.Context(), b.repo.Repo, token, two, head); err != nil || b.Fetches() != before {
		t.Errorf("what is there was fetched again: %v", err)
	}
	for commit, want := range map[pipeline.Commit]string{two: "v1.0-1-g" + two.Short(), merged.Commit: "v1.0-3-g" + merged.Commit.Short()} {
		w, err := s.Workspace(t.Context(), b.repo.Repo, commit, "w", pipeline.Part{Repo: b.repo.Repo, History: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := inside(t, w.Dir(), "describe", "--tags", "--abbrev=7", "--dirty"); got != want {
			t.Errorf("it describes itself as %s, not %s", got, want)
		}
		if got := inside(t, w.Dir(), "status", "--porcelain"); got != "" {
			t.Errorf("it is changed: %s", got)
		}
		if got := inside(t, w.Dir(), "tag"); got != "v1.0" {
			t.Errorf("its tags are %s", got)
		}
		if text := inside(t, w.Dir(), "config", "--list", "--local"); strings.Contains(text, b.Token()) || strings.Contains(text, "remote") {
			t.Errorf("its settings are %s", text)
		}
		inside(t, w.Dir(), "fsck", "--strict")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
