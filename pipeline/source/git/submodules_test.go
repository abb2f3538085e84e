package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestASubmodulesURLIsARepositoryOfTheSameHostOrAReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, want string }{
		{"https://git.example.com/octo/lib.git", "octo/lib"}, {"https://git.example.com/octo/lib/", "octo/lib"}, {"https://GIT.example.com/octo/lib", "octo/lib"},
		{"git@git.example.com:octo/lib.git", "octo/lib"}, {"ssh://git@git.example.com/octo/lib.git", "octo/lib"}, {"ssh://git@git.example.com:22/octo/lib", "octo/lib"},
		{"git://git.example.com/octo/lib.git", "octo/lib"}, {"../lib.git", "acme/lib"}, {"../../octo/lib", "octo/lib"},

		{"https://elsewhere.example.com/octo/lib", "another host"}, {"git@elsewhere.example.com:octo/lib.git", "another host"}, {"https://git.example.com:444/octo/lib", "another host"},
		{"https://user:secret@git.example.com/octo/lib", "user or a password"}, {"https://user@git.example.com/octo/lib", "user or a password"}, {"ssh://git:pw@git.example.com/octo/lib", "user or a password"},
		{"-uhttps://git.example.com/octo/lib", "is ever fetched"}, {"--upload-pack=touch /tmp/x", "is ever fetched"}, {"ext::sh -c id", "is ever fetched"}, {"ext::id", "is ever fetched"},
		{"file:///etc", "only https"}, {"ftp://git.example.com/octo/lib", "only https"}, {"/etc/passwd", "is ever fetched"}, {"", "is ever fetched"}, {"-oProxyCommand=id:octo/lib", "is ever fetched"},
		{"https://git.example.com/octo/lib\n--x", "is ever fetched"}, {"https://git.example.com/octo/lib?x=y", "cannot be read"}, {"https://git.example.com/octo", "names no repository"},
		{"https://git.example.com/a/b/c", "names no repository"}, {"./lib", "names no repository"}, {"../../../../octo/lib", "octo/lib"}, {"https://git.example.com/octo/..", "names no repository"},
		{"https://git.example.com/-x/lib", "names no repository"}, {"https://git.example.com/octo/%2e%2e", "names no repository"}, {`https://git.example.com\@evil/octo/lib`, "is ever fetched"},
	} {
		owner, name, why := sameHost(c.raw, "https://git.example.com/acme/shop.git")
		got := why
		if why == "" {
			got = owner + "/" + name
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q gave %q, want %q", c.raw, got, c.want)
		}
	}
}

func TestWhatIsHostileInGitmodulesIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	lib := b.Repository(t, 8, "acme", "lib")
	inner := lib.Commit(t, "refs/heads/main", "", sourcetest.Files{"lib": sourcetest.Text("1")})
	module := func(text string) sourcetest.Files {
		return sourcetest.Files{".gitmodules": sourcetest.Text(text), "lib": sourcetest.Submodule(inner)}
	}
	for name, c := range map[string]struct {
		files sourcetest.Files
		want  string
	}{
		"no url":         {module("[submodule \"lib\"]\npath = lib\n"), "no url"},
		"no file":        {sourcetest.Files{"lib": sourcetest.Submodule(inner)}, ".gitmodules cannot be read"},
		"no syntax":      {module("[submodule \"lib\npath"), "has a mistake"},
		"other path":     {module("[submodule \"lib\"]\npath = other\nurl = ../lib\n"), "no url"},
		"twice":          {module("[submodule \"a\"]\npath = lib\nurl = ../lib\n[submodule \"b\"]\npath = lib\nurl = ../evil\n"), "twice"},
		"includes":       {module("[include]\npath = /etc/hostname\n[submodule \"lib\"]\npath = lib\n"), "no url"},
		"another host":   {module("[submodule \"lib\"]\npath = lib\nurl = https://evil.example.com/acme/lib\n"), "another host"},
		"its own server": {module("[submodule \"lib\"]\npath = lib\nurl = file:///etc\n"), "only https"},
	} {
		c1 := b.commit(t, "", c.files)
		b.fetch(t, s, c1)
		if _, err := s.Submodules(t.Context(), b.repo.Repo, c1); !errors.Is(err, source.ErrUnusable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What git itself knows to be hostile does not even get into the mirror; what it does not, is not used.
	for _, text := range []string{"[submodule \"../../x\"]\npath = lib\nurl = ../lib\n", "[submodule \"lib\"]\npath = lib\nurl = -u./payload\n", "[submodule \"lib\"]\npath = -lib\nurl = ../lib\n"} {
		c1 := b.commit(t, "", module(text))
		b.Change(func(r *sourcetest.Rules) { r.Token = "" })
		err := s.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c1, nil)
		if err == nil {
			_, err = s.Submodules(t.Context(), b.repo.Repo, c1)
		}
		if !errors.Is(err, source.ErrUnusable) {
			t.Errorf("%q gave %v", text, err)
		}
	}
	for _, name := range []string{"..", "../x", "a/../b", `a\..\b`, "", "-x", "a\nb"} {
		if harmlessName(name) {
			t.Errorf("the name %q is taken for harmless", name)
		}
	}
}

func TestTheFoldersOfPartsAreFilledAndShareOneLayer(t *testing.T) {
	t.Parallel()
	for _, overlay := range []bool{true, false} {
		b := newBench(t)
		s := b.open(t)
		s.lay.Overlay = s.lay.Overlay && overlay
		lib, deep := b.Repository(t, 8, "acme", "lib"), b.Repository(t, 9, "acme", "deep")
		d := deep.Commit(t, "refs/heads/main", "", sourcetest.Files{"deep": sourcetest.Text("deep")})
		l := lib.Commit(t, "refs/heads/main", "", sourcetest.Files{"lib": sourcetest.Text("lib"), "under/deep": sourcetest.Submodule(d), "run.sh": sourcetest.Program("#!")})
		c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1"), "libs/lib": sourcetest.Submodule(l), "libs/own": sourcetest.Text("own")})
		b.fetch(t, s, c)
		b.Change(func(r *sourcetest.Rules) { r.Token = "" })
		parts := []pipeline.Part{{Path: "libs/lib/under/deep", Repo: deep.Repo, Commit: d}, {Path: "libs/lib", Repo: lib.Repo, Commit: l}, {Path: "with/it", Repo: lib.Repo, Commit: l}}
		if _, err := s.Workspace(t.Context(), b.repo.Repo, c, "early", parts...); !errors.Is(err, source.ErrNoCommit) {
			t.Errorf("parts that were not fetched gave %v", err)
		}
		for _, p := range parts {
			if err := s.Fetch(t.Context(), p.Repo, "", p.Commit, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"w1", "w2"} {
			w, err := s.Workspace(t.Context(), b.repo.Repo, c, id, parts...)
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]string{"a": "1", "libs/own": "own", "libs/lib/lib": "lib", "libs/lib/under/deep/deep": "deep", "with/it/lib": "lib"} {
				if got, err := os.ReadFile(filepath.Join(w.Dir(), path)); err != nil || string(got) != want {
					t.Errorf("%s holds %q, %v", path, got, err)
				}
			}
			if info, err := os.Stat(filepath.Join(w.Dir(), "libs/lib/run.sh")); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("a program is %v, %v", info, err)
			}
			if err := os.WriteFile(filepath.Join(w.Dir(), "libs/lib/lib"), []byte("written"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		next := b.commit(t, c, sourcetest.Files{"a": sourcetest.Text("2"), "libs/lib": sourcetest.Submodule(l)})
		if err := s.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", next, nil); err != nil {
			t.Fatal(err)
		}
		w, err := s.Workspace(t.Context(), b.repo.Repo, next, "w3", parts...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close() }() // the source closes it, too
		if n := len(s.repos[7].added); n != 1 {
			t.Errorf("%d layers for the same parts", n)
		}
	}
}

func TestAPartIsNeverPlacedBehindALink(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	b.Change(func(r *sourcetest.Rules) { r.Token = "" })
	outside := t.TempDir()
	lib := b.Repository(t, 8, "acme", "lib")
	l := lib.Commit(t, "refs/heads/main", "", sourcetest.Files{"link": sourcetest.Link(outside), "file": sourcetest.Text("x")})
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	b.fetch(t, s, c)
	if err := s.Fetch(t.Context(), lib.Repo, "", l, nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"lib/link/x", "lib/file/x", "../x", "/x", "lib/../x"} {
		w, err := s.Workspace(t.Context(), b.repo.Repo, c, "w", pipeline.Part{Path: "lib", Repo: lib.Repo, Commit: l}, pipeline.Part{Path: path, Repo: lib.Repo, Commit: l})
		if err == nil {
			t.Errorf("%s was filled", path)
			_ = w.Close()
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("%v was written outside, %v", left, err)
	}
}
