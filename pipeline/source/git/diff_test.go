package git

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestChangedLinesAreThoseThatTheNewCommitHas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	numbered := strings.Repeat("a line\n", 50)
	c := b.commit(t, "", sourcetest.Files{
		"same": sourcetest.Text("1\n"), "a.go": sourcetest.Text("one\ntwo\nthree\nfour\n"), "gone": sourcetest.Text("x\n"),
		"ä \"b\".go": sourcetest.Text("1\n2\n"), "old.go": sourcetest.Text(numbered), "end": sourcetest.Text("1"), "blob": sourcetest.Text("\x00\x01"),
	})
	d := b.commit(t, c, sourcetest.Files{
		"same": sourcetest.Text("1\n"), "a.go": sourcetest.Text("zero\none\nthree\n++ b/trap\n@@ -1 +1 @@\nfour\n"), "new/dir/n": sourcetest.Text("1\n2\n3\n"),
		"ä \"b\".go": sourcetest.Text("1\n-- a/trap\n"), "moved.go": sourcetest.Text(numbered + "more\n"), "end": sourcetest.Text("2"), "blob": sourcetest.Text("\x00\x02"),
	})
	b.fetch(t, s, c)
	b.fetch(t, s, d)
	changed, err := s.ChangedLines(t.Context(), b.repo.Repo, c, d)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]Lines{"a.go": {{1, 1}, {4, 5}}, "new/dir/n": {{1, 3}}, "ä \"b\".go": {{2, 2}}, "moved.go": {{51, 51}}, "end": {{1, 1}}}
	if !maps.EqualFunc(changed, want, slices.Equal) {
		t.Errorf("got %v, want %v", changed, want)
	}
}

func FuzzChangedLines(f *testing.F) {
	f.Add([]byte("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n-b\n+c\n\\ No newline at end of file\n"))
	f.Add([]byte("+++ \"b/\\303\\244\"\n@@ -0,0 +1,99999999999 @@\n"))
	f.Add([]byte("+++ b/\n@@ -1 +0,0 @@ func\n@@ - + @@\n"))
	f.Fuzz(func(t *testing.T, diff []byte) {
		changed, err := changedLines(diff)
		if err != nil {
			return
		}
		for at, all := range changed {
			for _, l := range all {
				if at == "" || l.From < 0 || l.To < l.From {
					t.Errorf("%q: %+v", at, l)
				}
			}
		}
	})
}
