package sourcetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/source"
)

func noFile(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{
		"dir/a": Text("1"), "link": Link("dir/a"), "out": Link("/etc/passwd"), "linked": Link("dir"),
		"module": Submodule("1111111111111111111111111111111111111111"), "*": Text("star"),
	})
	b.fetch(t, c)
	for path, says := range map[string]string{"missing": "", "dir": "folder", "link": "link", "out": "link", "linked/a": "",
		"module": "submodule", "dir/a/b": "", "?": "", ":(glob)**": "", "DIR/a": ""} {
		got, err := b.src.File(t.Context(), b.repo.Repo, c, path, 1<<20)
		if !errors.Is(err, source.ErrNoFile) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q, %v; want ErrNoFile with %q", path, got, err, says)
		}
	}
	b.wantFile(t, c, "*", "star")
}

func fileLimit(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"big": Text(strings.Repeat("x", 3<<20))})
	b.fetch(t, c)
	if got, err := b.src.File(t.Context(), b.repo.Repo, c, "big", 3<<20); err != nil || len(got) != 3<<20 {
		t.Errorf("at the limit: %d bytes, %v", len(got), err)
	}
	got, err := b.src.File(t.Context(), b.repo.Repo, c, "big", 3<<20-1)
	if err == nil || errors.Is(err, source.ErrNoFile) || got != nil {
		t.Errorf("over the limit: %d bytes, %v; want an error", len(got), err)
	}
}

func hostilePaths(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"dir/a": Text("1")})
	b.fetch(t, c)
	for _, path := range []string{"", ".", "..", "/etc/passwd", "../a", "dir/../dir/a", "./dir/a", "dir//a", "dir/", "dir/a\x00", "/dir/a", "dir/./a", "\xff"} {
		if got, err := b.src.File(t.Context(), b.repo.Repo, c, path, 1<<20); err == nil {
			t.Errorf("%q was read: %q", path, got)
		}
	}
	if got, err := b.src.File(t.Context(), b.repo.Repo, c, "--help", 1<<20); !errors.Is(err, source.ErrNoFile) {
		t.Errorf("--help as a path gave %q, %v; want ErrNoFile", got, err)
	}
}

func notFetched(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	d := b.repo.Commit(t, "refs/heads/main", c, Files{"a": Text("2")})
	for range 2 { // before and after there is anything at all
		if _, err := b.src.File(t.Context(), b.repo.Repo, d, "a", 10); !errors.Is(err, source.ErrNoCommit) {
			t.Errorf("File: %v, want ErrNoCommit", err)
		}
		if _, err := b.src.Workspace(t.Context(), b.repo.Repo, d, "w"); !errors.Is(err, source.ErrNoCommit) {
			t.Errorf("Workspace: %v, want ErrNoCommit", err)
		}
		b.fetch(t, c)
	}
}
