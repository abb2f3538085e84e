package git

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestWhatACrashedServerLeftIsCleared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	first := b.open(t)
	b.fetch(t, first, c)
	w := b.workspace(t, first, c, "left")
	if err := os.WriteFile(filepath.Join(w.Dir(), "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	half := first.path("trees", "7", ".new-"+strings.Repeat("1", 40))
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	crash(t, first)
	fetches := b.Fetches()

	second := b.open(t)
	if left, err := os.ReadDir(second.path("work")); err != nil || len(left) != 0 {
		t.Errorf("work holds %v, %v", left, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), second.opts.Dir) {
		t.Errorf("something is still mounted, %v", err)
	}
	b.fetch(t, second, c)
	again := b.workspace(t, second, c, "left")
	if names, err := filepath.Glob(again.Dir() + "/*"); err != nil || len(names) != 1 {
		t.Errorf("the new workspace holds %v, %v", names, err)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("a half-made tree is still there")
	}
	if b.Fetches() != fetches {
		t.Error("what was fetched before the crash was fetched again")
	}
}

func TestAfterARestartOfTheMachineTreesAreLaidOutAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	first := b.open(t)
	b.fetch(t, first, c)
	b.workspace(t, first, c, "w")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A power cut leaves a file empty, and another boot id.
	if err := os.Truncate(first.path("trees", "7", string(c), "files", "a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first.path("trees", "stamp"), []byte("1 another-boot -1:-1 true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := b.open(t)
	got, err := os.ReadFile(filepath.Join(b.workspace(t, second, c, "w").Dir(), "a"))
	if err != nil || string(got) != "1" {
		t.Errorf("a holds %q, %v", got, err)
	}
}

func TestTwoServersCannotUseOneFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.open(t)
	if _, err := New(b.opts); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Fatalf("%v, want a sentence about another server", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(t)
}

func TestUnusedTreesAreRemovedAndUsedOnesKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.opts.Trees = 3
	s := b.open(t)
	var commits []pipeline.Commit
	var first source.Workspace
	var last pipeline.Commit
	for i := range 8 {
		last = b.commit(t, last, sourcetest.Files{"a": sourcetest.Text(fmt.Sprint(i))})
		commits = append(commits, last)
		b.fetch(t, s, last)
		w := b.workspace(t, s, last, fmt.Sprint("w", i))
		if i == 0 {
			first = w // stays open
			continue
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var left []pipeline.Commit
	entries, err := os.ReadDir(s.path("trees", "7"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, pipeline.Commit(e.Name()))
	}
	want := []pipeline.Commit{commits[0], commits[6], commits[7]}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("kept are %v, want %v", left, want)
	}
	if got, err := os.ReadFile(filepath.Join(first.Dir(), "a")); err != nil || string(got) != "0" {
		t.Errorf("the open workspace holds %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(b.workspace(t, s, commits[3], "again").Dir(), "a")); err != nil || string(got) != "3" {
		t.Errorf("a removed tree that is needed again holds %q, %v", got, err)
	}
}

func TestALayerIsWhatACompleteCheckoutIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	b.opts.Dir += "-complete"
	fresh := b.open(t)
	fresh.layersFrom = 1 << 30
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	files := sourcetest.Files{}
	for i := range many {
		files[fmt.Sprintf("d%d/e%d/f%d.txt", i%5, i%7, i)] = sourcetest.Text(fmt.Sprintf("file %d\n", i))
	}
	var last pipeline.Commit
	layers := 0
	for round := range 8 {
		names := slices.Sorted(maps.Keys(files))
		for range dice.IntN(8) {
			name := names[dice.IntN(len(names))]
			if name == ".gitattributes" {
				continue // git takes it for damage when this name is a folder or a link, and that is another test's business
			}
			switch dice.IntN(15) % 9 {
			case 6, 7, 8:
				files[fmt.Sprintf("d%d/new%d", dice.IntN(9), dice.IntN(99))] = sourcetest.Text("new")
			case 0:
				delete(files, name)
			case 1:
				files[name] = sourcetest.Text(fmt.Sprint("round ", round, "\n"))
			case 2:
				files[name] = sourcetest.Program("#!/bin/sh\n")
			case 3:
				files[name] = sourcetest.Link("/etc/passwd")
			case 4: // a file becomes a folder
				delete(files, name)
				files[name+"/in"] = sourcetest.Text("in")
			case 5: // a folder becomes a file
				dir := filepath.Dir(name)
				if strings.Count(dir, "/") == 0 {
					continue
				}
				for other := range files {
					if strings.HasPrefix(other, dir+"/") {
						delete(files, other)
					}
				}
				files[dir] = sourcetest.Text("was a folder")
			}
			names = slices.Sorted(maps.Keys(files))
		}
		if round == 5 {
			files[".gitattributes"] = sourcetest.Text("*.txt eol=crlf\n")
		}
		last = b.commit(t, last, files)
		b.fetch(t, s, last)
		layered := b.workspace(t, s, last, fmt.Sprint("r", round))
		if s.repos[7].kept[last].base != nil {
			layers++
		}
		b.fetch(t, fresh, last)
		complete := b.workspace(t, fresh, last, fmt.Sprint("r", round))
		if out, err := exec.Command("diff", "-r", "--no-dereference", layered.Dir(), complete.Dir()).CombinedOutput(); err != nil {
			t.Fatalf("round %d: the layer differs: %v\n%s", round, err, out)
		}
		if a, z := modes(t, layered.Dir()), modes(t, complete.Dir()); a != z {
			t.Fatalf("round %d: the modes differ:\n%s\n%s", round, a, z)
		}
	}
	if s.lay.Overlay && layers < 4 {
		t.Errorf("only %d of 8 trees are layers; this test compares nothing", layers)
	}
}

func modes(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&b, strings.TrimPrefix(path, dir), info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestALayerOutlivesARestartOnItsBase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.opts.Trees = 2
	s := b.open(t)
	files := sourcetest.Files{}
	for i := range many {
		files[fmt.Sprint("f", i)] = sourcetest.Text("old")
	}
	base := b.commit(t, "", files)
	files["f1"] = sourcetest.Text("new")
	delete(files, "f2")
	next := b.commit(t, base, files)
	for _, c := range []pipeline.Commit{base, next} {
		b.fetch(t, s, c)
		if err := b.workspace(t, s, c, "w").Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := b.open(t)
	w := b.workspace(t, again, next, "w")
	got, err := os.ReadFile(filepath.Join(w.Dir(), "f1"))
	if err != nil || string(got) != "new" {
		t.Errorf("f1 holds %q, %v", got, err)
	}
	if _, err := os.Lstat(filepath.Join(w.Dir(), "f2")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("f2 was removed by the commit and is there: %v", err)
	}
	if names, err := os.ReadDir(w.Dir()); err != nil || len(names) != many-1 {
		t.Errorf("%d files, %v", len(names), err)
	}
	// Two trees more: the base must stay as long as its layer is in use.
	for i := range 3 {
		c := b.commit(t, next, sourcetest.Files{"a": sourcetest.Text(fmt.Sprint(i))})
		b.fetch(t, again, c)
		if err := b.workspace(t, again, c, "other").Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(w.Dir(), "f3")); err != nil || string(got) != "old" {
		t.Errorf("after others came, f3 holds %q, %v", got, err)
	}
}

func TestADamagedBaseCostsTimeAndNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	files := sourcetest.Files{}
	for i := range many {
		files[fmt.Sprint("f", i)] = sourcetest.Text("old")
	}
	base := b.commit(t, "", files)
	b.fetch(t, s, base)
	b.workspace(t, s, base, "base")
	if err := os.Truncate(s.path("trees", "7", string(base), "index"), 40); err != nil {
		t.Fatal(err)
	}
	files["f1"] = sourcetest.Text("new")
	next := b.commit(t, base, files)
	b.fetch(t, s, next)
	w := b.workspace(t, s, next, "next")
	if s.repos[7].kept[next].base != nil {
		t.Error("the damaged base was used")
	}
	names, err := os.ReadDir(w.Dir())
	got, readErr := os.ReadFile(filepath.Join(w.Dir(), "f1"))
	if err != nil || readErr != nil || len(names) != many || string(got) != "new" {
		t.Errorf("%d files, f1 holds %q; %v, %v", len(names), got, err, readErr)
	}
}

func TestATreeThatUnfoldsTooBigIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.opts.MaxTree = 1 << 20
	s := b.open(t)
	files := sourcetest.Files{}
	for i := range many {
		files[fmt.Sprint("f", i)] = sourcetest.Text("old")
	}
	good := b.commit(t, "", files)
	b.fetch(t, s, good)
	b.workspace(t, s, good, "good")
	for _, size := range []int{1<<20 + 1, 1<<20 - 1} {
		files["bomb"] = sourcetest.Text(strings.Repeat("0", size))
		bomb := b.commit(t, good, files)
		b.fetch(t, s, bomb)
		if _, err := s.Workspace(t.Context(), b.repo.Repo, bomb, "bomb"); (err == nil) != (size < 1<<20) {
			t.Errorf("a layer of %d bytes gave %v", size, err)
		}
	}
	whole := b.commit(t, "", sourcetest.Files{"bomb": sourcetest.Text(strings.Repeat("0", 1<<20+1))})
	b.fetch(t, s, whole)
	if _, err := s.Workspace(t.Context(), b.repo.Repo, whole, "whole"); err == nil {
		t.Error("a tree over the limit was laid out")
	}
	if left, err := filepath.Glob(s.path("trees", "7", ".*")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestAWorkspaceBelongsToItsOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := os.Chmod(filepath.Dir(filepath.Dir(b.opts.Dir)), 0o711); err != nil { // the test's own folder is closed to others
		t.Fatal(err)
	}
	b.opts.Owner = Owner{UID: os.Geteuid(), GID: os.Getegid()}
	if os.Geteuid() == 0 {
		b.opts.Owner = Owner{UID: 12345, GID: 12346}
	}
	s := b.open(t)
	files := sourcetest.Files{"dir/a": sourcetest.Text("1"), "b": sourcetest.Text("2"), "link": sourcetest.Link("/etc/passwd")}
	for i := range many {
		files[fmt.Sprint("f", i)] = sourcetest.Text("f")
	}
	first := b.commit(t, "", files)
	files["dir/new"] = sourcetest.Program("#!/bin/sh\n")
	for i, c := range []pipeline.Commit{first, b.commit(t, first, files)} {
		b.fetch(t, s, c)
		w := b.workspace(t, s, c, fmt.Sprint("w", i))
		err := filepath.WalkDir(w.Dir(), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != b.opts.Owner.UID || int(st.Gid) != b.opts.Owner.GID {
				t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-ec", "echo more >> dir/a; rm b; mkdir n; echo x > n/x; mv dir moved; rm -r moved; ln -s a c; chmod 700 .")
		cmd.Dir = w.Dir()
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12346}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("its owner cannot work in workspace %d: %v: %s", i, err, out)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Lstat("/etc/passwd"); err != nil || info.Sys().(*syscall.Stat_t).Uid == 12345 {
		t.Errorf("a link was followed when files were given away: %v", err)
	}
}
