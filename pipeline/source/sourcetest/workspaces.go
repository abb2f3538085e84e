package sourcetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

func workspaceHoldsTree(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{
		"a.txt": Text("plain\r\n"), "bin/run": Program("#!/bin/sh\n"), "link": Link("a.txt"), "out": Link("/etc/passwd"),
		"module": Submodule("1111111111111111111111111111111111111111"), "Case": Text("upper"), "case": Text("lower"),
		"new\nline \x01\xff\"'$(id)": Text("strange"), "-rf": Text("dash"), "deep/er/and/deeper": Text("deep"),
	})
	b.fetch(t, c)
	w := b.workspace(t, c, "run-1.step_2")
	want := strings.Join([]string{
		`"-rf" -rw-r--r-- "dash"`,
		`"Case" -rw-r--r-- "upper"`,
		`"a.txt" -rw-r--r-- "plain\r\n"`,
		`"bin" drwxr-xr-x ""`,
		`"bin/run" -rwxr-xr-x "#!/bin/sh\n"`,
		`"case" -rw-r--r-- "lower"`,
		`"deep" drwxr-xr-x ""`,
		`"deep/er" drwxr-xr-x ""`,
		`"deep/er/and" drwxr-xr-x ""`,
		`"deep/er/and/deeper" -rw-r--r-- "deep"`,
		`"link" Lrwxrwxrwx "a.txt"`,
		`"module" drwxr-xr-x ""`,
		`"new\nline \x01\xff\"'$(id)" -rw-r--r-- "strange"`,
		`"out" Lrwxrwxrwx "/etc/passwd"`,
	}, "\n") + "\n"
	if got := look(t, w.Dir()); got != want {
		t.Errorf("the workspace holds\n%s\nwant\n%s", got, want)
	}
}

func workspaceIsPrivate(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("old"), "dir/b": Text("old"), "dir/c": Text("old"), "link": Link("a")})
	b.fetch(t, c)
	first, second := b.workspace(t, c, "first"), b.workspace(t, c, "second")
	untouched := look(t, second.Dir())
	at := func(path string) string { return filepath.Join(first.Dir(), path) }
	for _, err := range []error{
		os.WriteFile(at("a"), []byte("changed through the name"), 0o644),
		os.WriteFile(at("new"), []byte("new"), 0o600),
		os.Remove(at("dir/c")),
		os.Rename(at("dir"), at("renamed")),
		os.Chmod(at("renamed/b"), 0o777),
		os.Remove(at("link")),
		os.Symlink("/etc", at("link")),
	} {
		if err != nil {
			t.Fatalf("a workspace is not writable: %v", err)
		}
	}
	f, err := os.OpenFile(at("renamed/b"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(" and more"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(first.Written(), "a")); string(text) != "changed through the name" {
		t.Errorf("what is written lies elsewhere than in %s: %q, %v", first.Written(), text, err)
	}
	if got := look(t, second.Dir()); got != untouched {
		t.Errorf("another workspace changed to\n%s", got)
	}
	if got := look(t, b.workspace(t, c, "third").Dir()); got != untouched {
		t.Errorf("a later workspace holds\n%s", got)
	}
}

func parallelWorkspaces(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1"), "dir/b": Text("2")})
	b.fetch(t, c)
	errs := make([]error, 10)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			errs[i] = func() error {
				w, err := b.src.Workspace(t.Context(), b.repo.Repo, c, fmt.Sprintf("w%d", i))
				if err != nil {
					return err
				}
				mine := fmt.Sprint("written by ", i)
				if err := os.WriteFile(filepath.Join(w.Dir(), "a"), []byte(mine), 0o644); err != nil {
					return err
				}
				got, err := os.ReadFile(filepath.Join(w.Dir(), "a"))
				if err != nil || string(got) != mine {
					return fmt.Errorf("read back %q, %v", got, err)
				}
				if other, err := os.ReadFile(filepath.Join(w.Dir(), "dir/b")); err != nil || string(other) != "2" {
					return fmt.Errorf("dir/b holds %q, %v", other, err)
				}
				return w.Close()
			}()
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func workspaceCloses(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	b.fetch(t, c)
	w := b.workspace(t, c, "w")
	locked := filepath.Join(w.Dir(), "locked")
	if err := os.MkdirAll(filepath.Join(locked, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	busy, err := os.Open(filepath.Join(w.Dir(), "a")) // somebody still uses it
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if _, err := os.Lstat(w.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), w.Dir()) {
		t.Error("it is still mounted")
	}
	b.workspace(t, c, "w") // its name is free again
}

func expected(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1"), "dir/b": Text("2")})
	other := b.repo.Commit(t, "refs/heads/main", c, Files{"a": Text("3")})
	b.fetch(t, c)
	b.src.Expect(b.repo.Repo, other) // it was not fetched: nothing comes of it
	fresh := look(t, b.workspace(t, c, "first").Dir())
	for i := range 10 {
		for range 3 {
			b.src.Expect(b.repo.Repo, c)
		}
		w := b.workspace(t, c, fmt.Sprint("w", i))
		if got := look(t, w.Dir()); got != fresh {
			t.Fatalf("workspace %d holds\n%s\nwant\n%s", i, got, fresh)
		}
		if err := os.WriteFile(filepath.Join(w.Dir(), "a"), []byte("spoilt"), 0o644); err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(w.Dir(), "a"); i%2 == 0 {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(want); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something of workspace %d is left: %v", i, err)
			}
		}
	}
	b.src.Expect(b.repo.Repo, c) // nobody comes for this one; closing the source removes it
}

func workspaceIDs(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	b.fetch(t, c)
	for _, id := range []string{"", ".", "..", "../x", "a/b", "/tmp/x", "-x", ".x", "a b", "a\x00", "a,b", "a:b", "\n", strings.Repeat("a", 200)} {
		if w, err := b.src.Workspace(t.Context(), b.repo.Repo, c, id); err == nil {
			t.Errorf("the id %q gave the workspace %s", id, w.Dir())
		}
	}
	w := b.workspace(t, c, "twice")
	if _, err := b.src.Workspace(t.Context(), b.repo.Repo, c, "twice"); err == nil {
		t.Error("an id was given twice")
	}
	if got, err := os.ReadFile(filepath.Join(w.Dir(), "a")); err != nil || string(got) != "1" {
		t.Errorf("the first workspace suffered from the second: %q, %v", got, err)
	}
}

// linkedFolder: a tree by hand that holds a link and, under the same name, a folder. Whoever writes the folder's file
// through the link writes outside.
func linkedFolder(t *testing.T, b *bench) {
	outside := t.TempDir()
	for i, entries := range [][]RawTree{
		{{Name: "x", Entry: Link(outside)}, {Name: "x", Under: []RawTree{{Name: "escaped", Entry: Text("out")}}}},
		{{Name: "x", Entry: Link(outside)}, {Name: "x/escaped", Entry: Text("out")}},
		{{Name: "X", Entry: Link(outside)}, {Name: "x", Under: []RawTree{{Name: "escaped", Entry: Text("out")}}}},
		{{Name: "..", Under: []RawTree{{Name: "escaped", Entry: Text("out")}}}},
		{{Name: "../../escaped", Entry: Text("out")}},
		{{Name: "/tmp/escaped", Entry: Text("out")}},
	} {
		c := b.repo.RawCommit(t, "refs/heads/main", entries...)
		if b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, b.token) != nil {
			continue // refusing it is right as well
		}
		w, err := b.src.Workspace(t.Context(), b.repo.Repo, c, fmt.Sprintf("w%d", i))
		if err != nil {
			continue
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := look(t, outside); got != "" {
		t.Errorf("a checkout wrote outside:\n%s", got)
	}
	if _, err := os.Lstat("/tmp/escaped"); err == nil {
		t.Error("a checkout wrote /tmp/escaped")
	}
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "escaped" && !strings.Contains(path, "/x/") {
			t.Errorf("a checkout wrote %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func gitFolder(t *testing.T, b *bench) {
	for i, name := range []string{".git", ".GIT", ".Git", "git~1", ".g\u200cit", ".git ", ".git."} {
		c := b.repo.RawCommit(t, "refs/heads/main", RawTree{Name: name, Under: []RawTree{{Name: "config", Entry: Text("[core]\n\tfsmonitor = touch /tmp/x\n")}}})
		if err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, b.token); err != nil {
			if errors.Is(err, source.ErrNoCommit) {
				t.Errorf("%q: %v; it is there, and refused", name, err)
			}
			continue
		}
		if w, err := b.src.Workspace(t.Context(), b.repo.Repo, c, fmt.Sprintf("w%d", i)); err == nil {
			t.Errorf("the folder %q was laid out: %s", name, look(t, w.Dir()))
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	good := b.repo.Commit(t, "refs/heads/main", "", Files{".github/conveyor.yml": Text("version: 1\n"), ".gitignore": Text("*\n"), "ignored": Text("1")})
	b.fetch(t, good)
	b.workspace(t, good, "good")
}

func noPrograms(t *testing.T, b *bench) {
	mark := filepath.Join(t.TempDir(), "ran")
	touch := "touch " + mark
	c := b.repo.Commit(t, "refs/heads/main", "", Files{
		".gitattributes":      Text("*.bin filter=lfs diff=lfs merge=lfs -text\n*.x filter=evil\n"),
		".lfsconfig":          Text("[lfs]\n\turl = ext::" + touch + "\n"),
		".gitconfig":          Text("[filter \"evil\"]\n\tsmudge = " + touch + "\n"),
		"a.bin":               Text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
		"a.x":                 Text("as it is"),
		"hooks/post-checkout": Program("#!/bin/sh\n" + touch + "\n"),
	})
	b.fetch(t, c)
	w := b.workspace(t, c, "w")
	if got, err := os.ReadFile(filepath.Join(w.Dir(), "a.x")); err != nil || string(got) != "as it is" {
		t.Errorf("a.x holds %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(w.Dir(), "a.bin")); err != nil || !strings.HasPrefix(string(got), "version https://git-lfs") {
		t.Errorf("a.bin holds %q, %v", got, err)
	}
	if _, err := os.Lstat(mark); err == nil {
		t.Error("a commit made the source run a program")
	}
}

func following(t *testing.T, b *bench) {
	files := Files{"link": Link("f1"), "will-be-dir": Text("file"), "will-be-file/in": Text("in"), "gone/a": Text("a"), "gone/b/c": Text("c")}
	for i := range 150 { // enough that a source has a reason to be clever
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = Text(fmt.Sprint("file ", i))
	}
	var last pipeline.Commit
	for round := range 4 {
		switch round {
		case 1:
			files["d1/f1"], files["added/deep/er"] = Text("changed"), Program("new")
			delete(files, "d2/f2")
		case 2:
			delete(files, "gone/a")
			delete(files, "gone/b/c")
			delete(files, "will-be-dir")
			files["will-be-dir/now"] = Text("dir")
			delete(files, "will-be-file/in")
			files["will-be-file"], files["link"], files["d3/f3"] = Text("file"), Link("f2"), Program("file 3")
		case 3:
			files["gone/a"] = Text("back")
			delete(files, "link")
			files["link/a"] = Text("no link any more")
		}
		last = b.repo.Commit(t, "refs/heads/main", last, files)
		b.fetch(t, last)
		dir := b.workspace(t, last, fmt.Sprintf("w%d", round)).Dir()
		got := look(t, dir)
		n := 0
		for path, e := range files {
			mode := map[string]string{"100644": "-rw-r--r--", "100755": "-rwxr-xr-x", "120000": "Lrwxrwxrwx"}[e.mode]
			if !strings.Contains(got, fmt.Sprintf("%q %s %q\n", path, mode, e.text)) {
				t.Errorf("round %d: %s is not what the commit holds", round, path)
			}
			n++
		}
		if lines := strings.Count(got, "\n") - strings.Count(got, " drwxr-xr-x "); lines != n {
			t.Errorf("round %d: %d files, want %d", round, lines, n)
		}
		if _, err := os.Lstat(filepath.Join(dir, "gone")); round == 2 && err == nil {
			t.Error("a folder without files is still there")
		}
	}
}

func partsFill(t *testing.T, b *bench) {
	other := b.Repository(t, 1003, "acme", "lib")
	lib := other.Commit(t, "refs/heads/main", "", Files{"lib": Text("lib")})
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1"), "lib": Submodule(lib), "sub": Submodule(lib)})
	b.fetch(t, c)
	part := pipeline.Part{Path: "lib", Repo: other.Repo, Commit: lib}
	if w, err := b.src.Workspace(t.Context(), b.repo.Repo, c, "early", part); err == nil {
		_ = w.Close()
		t.Error("a part that was not fetched is no error")
	}
	if err := b.src.Fetch(t.Context(), other.Repo, "", lib, b.token); err != nil {
		t.Fatal(err)
	}
	b.src.Expect(b.repo.Repo, c, part)
	for _, id := range []string{"w1", "w2"} {
		w, err := b.src.Workspace(t.Context(), b.repo.Repo, c, id, part)
		if err != nil {
			t.Fatal(err)
		}
		if got := look(t, w.Dir()); !strings.Contains(got, `"lib/lib" -rw-r--r-- "lib"`) || strings.Contains(got, "sub/") {
			t.Errorf("it holds\n%s", got)
		}
		if err := os.WriteFile(filepath.Join(w.Dir(), "lib", "lib"), []byte("written"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := look(t, b.workspace(t, c, "without").Dir()); strings.Contains(got, "lib/lib") {
		t.Errorf("a workspace without parts holds\n%s", got)
	}
}
