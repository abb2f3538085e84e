package dir

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// overlay is a workspace as a step has it.
type overlay struct{ lower, merged, upper string }

func mount(t *testing.T, lower string) overlay {
	t.Helper()
	at := t.TempDir()
	lay := layers.Probe(filepath.Join(at, "probe"))
	if !lay.Overlay {
		t.Fatalf("run this as root, where overlays can be mounted: %s", lay)
	}
	o := overlay{lower: lower, merged: filepath.Join(at, "merged"), upper: filepath.Join(at, "upper")}
	for _, dir := range []string{o.merged, o.upper, filepath.Join(at, "scratch")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := lay.Mount([]string{lower}, o.upper, filepath.Join(at, "scratch"), o.merged); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := layers.Unmount(o.merged); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o overlay) put(t *testing.T, s *Store, folder string, globs ...string) artifact.Manifest {
	t.Helper()
	base := artifact.Base{Name: o.lower, Written: o.upper, Folder: folder}
	m, err := s.PutOver(t.Context(), filepath.Join(o.merged, folder), base, globs, artifact.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (o overlay) plain(t *testing.T, s *Store, folder string, globs ...string) artifact.Manifest {
	t.Helper()
	m, err := s.Put(t.Context(), filepath.Join(o.merged, folder), globs, artifact.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func fresh(t *testing.T) *Store {
	t.Helper()
	s, err := open(t.TempDir(), slog.New(slog.DiscardHandler), 1<<20, 4<<10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// do is a step, whose commands may fail.
func do(t *testing.T, dir string, commands ...func(path func(string) string) error) {
	t.Helper()
	for _, c := range commands {
		if err := c(func(name string) string { return filepath.Join(dir, name) }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatAStepCannotHaveWrittenIsNotReadAgain(t *testing.T) {
	t.Parallel()
	lower := artifacttest.Write(t, map[string]string{"a/kept": "kept", "a/changed": "before", "long": strings.Repeat("many words ", 2000)})
	s := fresh(t)
	first := mount(t, lower)
	before := first.put(t, s, "", "**")
	// Nothing but this test can write to what lies below. That it does not come out shows that it is not read.
	for path, content := range map[string]string{"a/kept": "KEPT", "long": "short"} {
		if err := os.WriteFile(filepath.Join(lower, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if again := mount(t, lower).put(t, s, "", "**"); again.Digest() != before.Digest() {
		t.Error("what lies below was read again")
	}
	if other := fresh(t); mount(t, lower).put(t, other, "", "**").Digest() == before.Digest() {
		t.Error("a store that does not hold it believed another's word")
	}
}

func TestWhatAStepHasWrittenIsReadWhateverItsTimeAndSize(t *testing.T) {
	t.Parallel()
	lower := artifacttest.Write(t, map[string]string{"a/file": "before", "a/b/other": "other!"})
	s := fresh(t)
	mount(t, lower).put(t, s, "", "**")
	o := mount(t, lower)
	info, err := os.Stat(filepath.Join(lower, "a/file"))
	if err != nil {
		t.Fatal(err)
	}
	do(t, o.merged, func(path func(string) string) error { return os.WriteFile(path("a/file"), []byte("AFTER!"), 0o644) },
		func(path func(string) string) error { return os.Chtimes(path("a/file"), time.Time{}, info.ModTime()) })
	if got, want := o.put(t, s, "", "**"), o.plain(t, s, "", "**"); got.Digest() != want.Digest() {
		t.Errorf("stored was %+v, and there is %+v", got, want)
	}
}

func TestFoldersThatWereMovedOrReplacedAreRead(t *testing.T) {
	t.Parallel()
	lower := artifacttest.Write(t, map[string]string{"a/x": "of a", "b/x": "of b", "c/d/x": "of d", "c/e/x": "of e", "f/x": "of f"})
	s := fresh(t)
	mount(t, lower).put(t, s, "", "**")
	mount(t, lower).put(t, s, "c", "**")
	o := mount(t, lower)
	do(t, o.merged,
		func(path func(string) string) error { return os.RemoveAll(path("b")) },
		func(path func(string) string) error { return os.Rename(path("a"), path("b")) }, // the kernel only notes whence
		func(path func(string) string) error { return os.RemoveAll(path("c/d")) },
		func(path func(string) string) error { return os.Rename(path("c/e"), path("c/d")) },
		func(path func(string) string) error { return os.RemoveAll(path("f")) },
		func(path func(string) string) error { return os.Mkdir(path("f"), 0o755) }, // which hides what lies below
		func(path func(string) string) error { return os.WriteFile(path("f/x"), []byte("OF F"), 0o644) },
	)
	for _, folder := range []string{"", "c", "c/d", "b"} {
		if got, want := o.put(t, s, folder, "**"), o.plain(t, s, folder, "**"); got.Digest() != want.Digest() {
			t.Errorf("%q: stored was %+v, and there is %+v", folder, got, want)
		}
	}
}

func TestWhateverStepsDoItIsStoredAsItIs(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	name := func() string {
		return fmt.Sprintf("%c/%c/%c", 'a'+r.IntN(3), 'a'+r.IntN(3), 'a'+r.IntN(3))[:1+2*r.IntN(3)]
	}
	files := map[string]string{}
	for _, x := range "abc" {
		for _, y := range "abc" {
			for _, z := range "abc" {
				files[fmt.Sprintf("%c/%c/%c", x, y, z)] = fmt.Sprint(x, y, z)
			}
		}
	}
	lower := artifacttest.Write(t, files)
	s := fresh(t)
	for range 30 {
		o := mount(t, lower)
		at := func(name string) string { return filepath.Join(o.merged, name) }
		for range r.IntN(8) {
			one, two := at(name()), at(name())
			switch r.IntN(6) { // what is not possible just then is not done
			case 0:
				_ = os.RemoveAll(one)
			case 1:
				_ = os.Rename(one, two)
			case 2:
				_ = os.WriteFile(one, []byte(fmt.Sprint(r.Uint64())), 0o644)
			case 3:
				_ = os.MkdirAll(one, 0o755)
			case 4:
				_ = os.Chmod(one, 0o755)
			case 5:
				_ = os.Link(one, two)
			}
		}
		if err := os.WriteFile(at("last"), nil, 0o644); err != nil { // there is something to store in any case
			t.Fatal(err)
		}
		globs := [][]string{{"**"}, {"a/**", "last"}, {"**/b/*", "last"}}[r.IntN(3)]
		if got, want := o.put(t, s, "", globs...), o.plain(t, s, "", globs...); got.Digest() != want.Digest() {
			t.Fatalf("%q: stored was %+v, and there is %+v", globs, got, want)
		}
	}
}
