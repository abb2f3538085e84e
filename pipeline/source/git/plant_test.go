package git_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source/git"
)

// folder is a working tree of someone who works.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T) folder {
	f := folder{t, filepath.Join(t.TempDir(), "work")}
	f.write("a.txt", "one")
	f.write(".gitignore", "ignored\n*.log\n")
	f.write("kept.log", "tracked all the same")
	f.git("init", "-q", "-b", "main")
	f.git("add", "-f", ".")
	f.git("commit", "-q", "-m", "first")
	return f
}

func (f folder) git(args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "git", args...)
	cmd.Dir = f.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@localhost", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@localhost"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (f folder) write(name, text string) {
	f.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(f.dir, name)), 0o755), os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644)); err != nil {
		f.t.Fatal(err)
	}
}

var mine = pipeline.Repo{ID: 1, Owner: "local", Name: "work"}

func planter(t *testing.T) *git.Source {
	t.Helper()
	s, err := git.New(git.Options{Dir: t.TempDir(), URL: func(pipeline.Repo) string { return "https://localhost/" }, Owner: git.Owner{UID: -1, GID: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func plant(t *testing.T, s *git.Source, dir string) git.Planted {
	t.Helper()
	top, err := s.Top(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plant(t.Context(), mine, top)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnUnchangedFolderIsItsOwnCommit(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	p := plant(t, planter(t), f.dir)
	if string(p.Commit) != f.git("rev-parse", "HEAD") || p.Tree != f.git("rev-parse", "HEAD^{tree}") || p.Dirty || p.Branch != "main" {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNotCommittedIsInTheWorkspaceAndWhatIsIgnoredIsNot(t *testing.T) {
	t.Parallel()
	f, s := newFolder(t), planter(t)
	f.write("a.txt", "two")
	f.write("sub/new.txt", "new")
	f.write("ignored", "secret")
	f.write("more.log", "secret")
	f.write("kept.log", "changed")
	f.write("staged.txt", "staged")
	f.git("add", "staged.txt")
	before := f.git("status", "--porcelain")
	p := plant(t, s, filepath.Join(f.dir, "sub"))
	if !p.Dirty || string(p.Head) != f.git("rev-parse", "HEAD") {
		t.Errorf("%+v", p)
	}
	if again := plant(t, s, f.dir); again != p {
		t.Errorf("the same files are %+v, and then %+v", p, again)
	}
	ws, err := s.Workspace(t.Context(), mine, p.Commit, "w")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"a.txt", "sub/new.txt", "kept.log", "staged.txt", "ignored", "more.log"} {
		if data, err := os.ReadFile(filepath.Join(ws.Dir(), name)); err == nil {
			got[name] = string(data)
		}
	}
	if len(got) != 4 || got["a.txt"] != "two" || got["sub/new.txt"] != "new" || got["kept.log"] != "changed" || got["staged.txt"] != "staged" {
		t.Errorf("%v", got)
	}
	if err := ws.Close(); err != nil {
		t.Error(err)
	}
	if after := f.git("status", "--porcelain"); after != before {
		t.Errorf("the folder's own state was changed from\n%s\nto\n%s", before, after)
	}

	// Once it is committed, it has the same tree: so a server names its steps as this machine did.
	f.git("add", "-A")
	f.git("commit", "-q", "-m", "second")
	if tree := f.git("rev-parse", "HEAD^{tree}"); tree != p.Tree {
		t.Errorf("the commit has the tree %s, and the folder had %s", tree, p.Tree)
	}
	f.git("rm", "-q", "a.txt")
	if gone := plant(t, s, f.dir); gone.Tree == p.Tree || !gone.Dirty {
		t.Errorf("a removed file is still there: %+v", gone)
	}
}

func TestAFolderWithoutACommitIsPlantedAndOneWithoutARepositoryIsNot(t *testing.T) {
	t.Parallel()
	f, s := folder{t, t.TempDir()}, planter(t)
	if _, err := s.Top(t.Context(), f.dir); !errors.Is(err, git.ErrNoRepository) {
		t.Error(err)
	}
	f.write("a.txt", "one")
	f.git("init", "-q", "-b", "topic")
	p := plant(t, s, f.dir)
	if p.Head != "" || p.Branch != "topic" || !p.Commit.Valid() {
		t.Errorf("%+v", p)
	}
	if data, err := s.File(t.Context(), mine, p.Commit, "a.txt", 100); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
}
