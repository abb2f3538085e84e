package git

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

// bench is a server with one repository, and the options of a source for it.
type bench struct {
	*sourcetest.Server
	repo *sourcetest.Repository
	opts Options
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{Server: sourcetest.NewServer(t)}
	b.repo = b.Repository(t, 7, "acme", "shop")
	b.opts = Options{Dir: filepath.Join(t.TempDir(), "source"), URL: b.URL, Owner: Owner{UID: -1, GID: -1}}
	return b
}

func (b *bench) open(t testing.TB) *Source {
	t.Helper()
	s, err := New(b.opts)
	if err != nil {
		t.Fatal(err)
	}
	s.layersFrom = many / 2
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (b *bench) fetch(t testing.TB, s *Source, commit pipeline.Commit) {
	t.Helper()
	err := s.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", commit, func(context.Context) (string, error) { return b.Token(), nil })
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) workspace(t testing.TB, s *Source, commit pipeline.Commit, id string) source.Workspace {
	t.Helper()
	w, err := s.Workspace(t.Context(), b.repo.Repo, commit, id)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (b *bench) commit(t testing.TB, parent pipeline.Commit, files sourcetest.Files) pipeline.Commit {
	t.Helper()
	return b.repo.Commit(t, "refs/heads/main", parent, files)
}

// many files are enough here to make layers worth while.
const many = 120

// crash leaves everything as a killed server does: only its hold on the folder ends.
func crash(t *testing.T, s *Source) {
	t.Helper()
	if err := s.lock.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkWorkspace opens and closes a workspace of a commit that was laid out before.
func BenchmarkWorkspace(b *testing.B) {
	at := newBench(b)
	s := at.open(b)
	files := sourcetest.Files{}
	for i := range 200 {
		files[fmt.Sprintf("d%d/f%d", i%10, i)] = sourcetest.Text("text")
	}
	c := at.commit(b, "", files)
	at.fetch(b, s, c)
	if err := at.workspace(b, s, c, "first").Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := at.workspace(b, s, c, "w").Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNextCommit fetches the next commit of a known repository of 5,000 files, lays it out and opens a workspace.
func BenchmarkNextCommit(b *testing.B) {
	at := newBench(b)
	s := at.open(b)
	files := sourcetest.Files{}
	for i := range 5000 {
		files[fmt.Sprintf("d%d/e%d/f%d", i%10, i%100, i)] = sourcetest.Text(fmt.Sprint("text ", i))
	}
	last := at.commit(b, "", files)
	at.fetch(b, s, last)
	if err := at.workspace(b, s, last, "first").Close(); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		files["d1/e1/f1"] = sourcetest.Text(fmt.Sprint("change ", n))
		last = at.commit(b, last, files)
		b.StartTimer()
		at.fetch(b, s, last)
		if err := at.workspace(b, s, last, "w").Close(); err != nil {
			b.Fatal(err)
		}
	}
}
