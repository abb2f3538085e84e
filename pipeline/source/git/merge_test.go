package git

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestAMergeHasBothChangesAndExactlyTheTwoParents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	text := func(s string) sourcetest.Entry { return sourcetest.Text(s) }
	lines := "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	from := b.commit(t, "", sourcetest.Files{"a": text(lines), "gone": text("x")})
	base := b.commit(t, from, sourcetest.Files{"a": text(strings.Replace(lines, "1", "one", 1)), "new": text("base"), "gone": text("x")})
	head := b.commit(t, from, sourcetest.Files{"a": text(strings.Replace(lines, "9", "nine", 1))})
	clash := b.commit(t, from, sourcetest.Files{"a": text(strings.Replace(lines, "1", "uno", 1)), "new": text("head"), "gone": text("x")})
	for _, c := range []pipeline.Commit{from, base, head, clash} {
		b.fetch(t, s, c)
	}
	at := time.Unix(1700000000, 0)
	merged, err := s.Merge(t.Context(), b.repo.Repo, from, base, head, at)
	if err != nil || !merged.Commit.Valid() || len(merged.Conflicts) > 0 {
		t.Fatalf("%+v, %v", merged, err)
	}
	out, err := s.git.run(t.Context(), call{dir: s.repos[7].mirror, args: []string{"cat-file", "commit", string(merged.Commit)}})
	if err != nil {
		t.Fatal(err)
	}
	var parents []string
	for line := range strings.Lines(string(out)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "parent "); ok {
			parents = append(parents, p)
		}
	}
	if !slices.Equal(parents, []string{string(base), string(head)}) {
		t.Errorf("its parents are %v", parents)
	}
	want := strings.Replace(strings.Replace(lines, "1", "one", 1), "9", "nine", 1)
	if got, err := s.File(t.Context(), b.repo.Repo, merged.Commit, "a", 1000); err != nil || string(got) != want {
		t.Errorf("a holds %q, %v", got, err)
	}
	if there, err := s.Exists(t.Context(), b.repo.Repo, merged.Commit, "gone"); err != nil || there {
		t.Errorf("what the head removed is there: %v", err)
	}
	again, err := s.Merge(t.Context(), b.repo.Repo, from, base, head, at)
	if err != nil || again.Commit != merged.Commit {
		t.Errorf("made again it is %s, %v", again.Commit, err)
	}
	w := b.workspace(t, s, merged.Commit, "w")
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	bad, err := s.Merge(t.Context(), b.repo.Repo, from, base, clash, at)
	if err != nil || bad.Commit != "" || !slices.Equal(bad.Conflicts, []string{"a", "new"}) {
		t.Errorf("a conflict gave %+v, %v", bad, err)
	}
	// The mirror goes on as before.
	next := b.commit(t, base, sourcetest.Files{"a": text("next")})
	b.fetch(t, s, next)
}
