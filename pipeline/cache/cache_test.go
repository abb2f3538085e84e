package cache_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/cache"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

var (
	npm  = pipeline.CacheSpec{Kind: "npm", Key: []string{"**/*.lock"}, Paths: []string{"node_modules", "~/.npm"}}
	main = cache.Asker{Repository: 7, Trust: pipeline.Writer, Fills: true}
	pull = cache.Asker{Repository: 7, Trust: pipeline.Writer}
	out  = cache.Asker{Repository: 7, Trust: pipeline.Allowed}
)

// clock gives a later time at each call.
func clock() func() time.Time {
	var mu sync.Mutex
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Minute)
		return at
	}
}

// bench is a store and what its steps need.
type bench struct {
	t     testing.TB
	opts  cache.Options
	store *cache.Store
	steps int
}

func newBench(t testing.TB, size int64) *bench {
	b := &bench{t: t, opts: cache.Options{Dir: filepath.Join(t.TempDir(), "cache"), Owner: layers.Owner{UID: -1, GID: -1}, Size: size, Now: clock()}}
	b.reopen()
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// reopen is a new server on the same folder. The old one is not told.
func (b *bench) reopen() {
	b.t.Helper()
	s, err := cache.Open(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = s
}

// workspace is a commit with a lock file.
func workspace(t testing.TB, lock string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "web", "package.lock"), lock)
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) lend(asker cache.Asker, lock string) *cache.Lent {
	b.t.Helper()
	ws := workspace(b.t, lock)
	key, err := cache.KeyOf(ws, npm)
	if err != nil {
		b.t.Fatal(err)
	}
	b.steps++
	l, err := b.store.Lend(b.t.Context(), asker, fmt.Sprintf("step-%d", b.steps), npm, key, ws)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// has is the text of a file in the first folder, empty when it is not there.
func has(l *cache.Lent, name string) string {
	text, _ := os.ReadFile(filepath.Join(l.Folders[0].Source, name))
	return string(text)
}

func (b *bench) close(l *cache.Lent) {
	b.t.Helper()
	if err := l.Close(); err != nil {
		b.t.Error(err)
	}
}

// fill is a run on the default branch that writes a file and keeps it.
func (b *bench) fill(lock, name, text string) {
	b.t.Helper()
	l := b.lend(main, lock)
	write(b.t, filepath.Join(l.Folders[0].Source, name), text)
	if _, err := l.Keep(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.close(l)
}

func TestWhatAPushHasKeptIsThereForEveryoneAndIsNotChangedByThem(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	b.fill("one", "deep/a", "first")
	for _, asker := range []cache.Asker{main, pull, out} {
		l := b.lend(asker, "one")
		if !l.Exact || has(l, "deep/a") != "first" || l.Size != 5 {
			t.Errorf("%+v got %+v with %q", asker, l, has(l, "deep/a"))
		}
		write(t, filepath.Join(l.Folders[0].Source, "deep/a"), "changed")
		if err := os.Remove(filepath.Join(l.Folders[0].Source, "deep/a")); err != nil {
			t.Error(err)
		}
		_, err := l.Keep(t.Context())
		if may := errors.Is(err, cache.ErrMayNot); may == asker.Fills {
			t.Errorf("%+v: %v", asker, err)
		}
		b.close(l)
	}
	if l := b.lend(main, "one"); has(l, "deep/a") != "first" {
		t.Errorf("it is %q now", has(l, "deep/a"))
	}
}

func TestAnotherKeyBeginsAsTheNewestOfTheSameDeclaration(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	b.fill("one", "a", "first")
	b.fill("two", "b", "second") // on top of the first
	l := b.lend(pull, "three")
	if l.Exact || (l.From == cache.Key{}) || has(l, "a") != "first" || has(l, "b") != "second" {
		t.Errorf("%+v: %q, %q", l, has(l, "a"), has(l, "b"))
	}
	if l := b.lend(main, "one"); !l.Exact || has(l, "b") != "" {
		t.Errorf("the first one has changed: %+v", l)
	}
	stranger := main
	stranger.Repository = 8
	if l := b.lend(stranger, "one"); l.From != (cache.Key{}) || has(l, "a") != "" {
		t.Errorf("another repository got %+v", l)
	}
	// Other folders, or other files that name it: another cache.
	for _, spec := range []pipeline.CacheSpec{{Key: npm.Key, Paths: []string{"other", "~/.npm"}}, {Key: []string{"web/*.lock"}, Paths: npm.Paths}} {
		ws := workspace(t, "one")
		key, err := cache.KeyOf(ws, spec)
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.store.Lend(t.Context(), main, "other-"+key.Short(), spec, key, ws)
		if err != nil || l.From != (cache.Key{}) {
			t.Errorf("%+v got %+v, %v", spec, l, err)
		}
	}
}

func TestAKeyIsNeverPointedAtOtherContents(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	first, second := b.lend(main, "one"), b.lend(main, "one")
	write(t, filepath.Join(first.Folders[0].Source, "a"), "first")
	write(t, filepath.Join(second.Folders[0].Source, "a"), "second")
	for _, l := range []*cache.Lent{first, second} {
		if _, err := l.Keep(t.Context()); err != nil {
			t.Error(err)
		}
		b.close(l)
	}
	if l := b.lend(pull, "one"); has(l, "a") != "first" {
		t.Errorf("it is %q", has(l, "a"))
	}
}

func TestOnlyFilesFoldersAndLinksAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	l := b.lend(main, "one")
	dir := l.Folders[0].Source
	write(t, filepath.Join(dir, "locked", "file"), "text")
	err := errors.Join(os.Chmod(filepath.Join(dir, "locked", "file"), 0o555), os.Symlink("/etc/passwd", filepath.Join(dir, "link")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644), os.Chmod(filepath.Join(dir, "locked"), 0o555))
	if err != nil {
		t.Fatal(err)
	}
	if size, err := l.Keep(t.Context()); err != nil || size != 4 {
		t.Fatalf("%d, %v", size, err)
	}
	b.close(l)
	for range 2 { // the second one is kept from a copy that lies on the first
		l = b.lend(main, fmt.Sprint("next ", b.steps))
		dir = l.Folders[0].Source
		info, err := os.Stat(filepath.Join(dir, "locked", "file"))
		if err != nil || info.Mode().Perm() != 0o555 || has(l, "locked/file") != "text" {
			t.Errorf("%v, %v", info, err)
		}
		if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "/etc/passwd" {
			t.Errorf("%q, %v", to, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "pipe")); err == nil {
			t.Error("the pipe was kept")
		}
		write(t, filepath.Join(dir, "more"), fmt.Sprint(b.steps))
		if _, err := l.Keep(t.Context()); err != nil {
			t.Error(err)
		}
		b.close(l)
	}
}

func TestTheLeastRecentlyUsedGoesWhenThereIsNoRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000)
	specs := map[string]string{}
	fill := func(name string, n int) {
		t.Helper()
		asker := main
		asker.Repository = int64(len(specs) + 10) // each its own repository: nothing stands in for another
		specs[name] = strings.Repeat(name, n)
		ws := workspace(t, name)
		key, err := cache.KeyOf(ws, npm)
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.store.Lend(t.Context(), asker, "fill-"+name, npm, key, ws)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(l.Folders[0].Source, "a"), specs[name])
		if _, err := l.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.close(l)
	}
	there := func(repository int64, name string) *cache.Lent {
		t.Helper()
		ws := workspace(t, name)
		key, err := cache.KeyOf(ws, npm)
		if err != nil {
			t.Fatal(err)
		}
		b.steps++
		l, err := b.store.Lend(t.Context(), cache.Asker{Repository: repository}, fmt.Sprint("look-", b.steps), npm, key, ws)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	fill("a", 400)
	fill("b", 400)
	b.close(there(10, "a"))
	b.reopen() // the order outlasts a restart
	fill("c", 400)
	if l := there(11, "b"); l.Exact {
		t.Error("b is there, and was used least")
	}
	held := there(10, "a")
	if !held.Exact || has(held, "a") != strings.Repeat("a", 400) {
		t.Error("a is gone")
	}
	fill("d", 400)
	fill("e", 400) // a is the oldest, and in use
	if has(held, "a") != strings.Repeat("a", 400) {
		t.Error("what a step stands on was taken away")
	}
	var total int64
	for _, size := range sizes(t, b.opts.Dir) {
		total += size
	}
	if total > 1000 || total < 400 {
		t.Errorf("%d bytes are kept of 1000", total)
	}
	l := there(99, "f")
	write(t, filepath.Join(l.Folders[0].Source, "a"), strings.Repeat("f", 501))
	if _, err := l.Keep(t.Context()); !errors.Is(err, cache.ErrMayNot) {
		t.Error(err)
	}
	big := b.lend(main, "big")
	write(t, filepath.Join(big.Folders[0].Source, "a"), strings.Repeat("f", 501))
	if _, err := big.Keep(t.Context()); !errors.Is(err, cache.ErrTooBig) {
		t.Error(err)
	}
}

// sizes are the files that are kept.
func sizes(t testing.TB, dir string) (all []int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "entries"), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			info, statErr := e.Info()
			err = statErr
			all = append(all, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestACommitsOwnFilesAreNotHidden(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	for name, make := range map[string]func(dir string) error{
		"a folder":      func(dir string) error { return os.Mkdir(filepath.Join(dir, "node_modules"), 0o755) },
		"a file":        func(dir string) error { return os.WriteFile(filepath.Join(dir, "node_modules"), nil, 0o644) },
		"a link":        func(dir string) error { return os.Symlink("/etc", filepath.Join(dir, "node_modules")) },
		"a broken link": func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "node_modules")) },
	} {
		ws := workspace(t, "one")
		if err := make(ws); err != nil {
			t.Fatal(err)
		}
		key, err := cache.KeyOf(ws, npm)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.store.Lend(t.Context(), main, "step", npm, key, ws); !errors.Is(err, cache.ErrTaken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyIsMadeOfTheFilesThatNameIt(t *testing.T) {
	t.Parallel()
	of := func(change func(dir string) error) string {
		t.Helper()
		dir := workspace(t, "one")
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		key, err := cache.KeyOf(dir, npm)
		if err != nil {
			t.Fatal(err)
		}
		return key.Name
	}
	same := of(func(string) error { return nil })
	for name, c := range map[string]struct {
		change func(dir string) error
		same   bool
	}{
		"another file": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "main.go"), nil, 0o644) }, true},
		"a link":       {func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "evil.lock")) }, true},
		"its content": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "web/package.lock"), []byte("two"), 0o644)
		}, false},
		"one more":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "b.lock"), []byte("one"), 0o644) }, false},
		"another name": {func(dir string) error { return os.Rename(filepath.Join(dir, "web"), filepath.Join(dir, "site")) }, false},
		"another moment": {func(dir string) error {
			return os.Chtimes(filepath.Join(dir, "web/package.lock"), time.Time{}, time.Unix(1, 0))
		}, true},
	} {
		if got := of(c.change); (got == same) != c.same {
			t.Errorf("%s: the key is the same: %v", name, got == same)
		}
	}
	if _, err := cache.KeyOf(t.TempDir(), npm); !errors.Is(err, cache.ErrNoKey) {
		t.Error(err)
	}
}

func TestStepsAtTheSameTimeDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3000)
	ws := workspace(t, "one")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 6 {
				lock := fmt.Sprint(i)
				own := t.TempDir()
				write(t, filepath.Join(own, "a.lock"), lock)
				key, err := cache.KeyOf(own, npm)
				if err != nil {
					t.Error(err)
					return
				}
				l, err := b.store.Lend(t.Context(), main, fmt.Sprintf("w%d-%d", worker, i), npm, key, ws)
				if err != nil {
					t.Error(err)
					return
				}
				if l.Exact && has(l, "whose") != strings.Repeat(lock, 400) {
					t.Errorf("key %s holds %.10q", lock, has(l, "whose"))
				}
				write(t, filepath.Join(l.Folders[0].Source, "whose"), strings.Repeat(lock, 400))
				if _, err := l.Keep(t.Context()); err != nil {
					t.Error(err)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(filepath.Join(b.opts.Dir, "work")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestWhatACrashLeftIsTakenAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	b.fill("one", "a", "first")
	b.fill("two", "a", "second")
	b.lend(pull, "one") // is never closed, and stays mounted
	keys, _ := filepath.Glob(filepath.Join(b.opts.Dir, "keys", "*", "7", "*", "*.json"))
	entries, _ := filepath.Glob(filepath.Join(b.opts.Dir, "entries", "*", "*"))
	if len(keys) != 2 || len(entries) != 2 {
		t.Fatalf("%v, %v", keys, entries)
	}
	write(t, keys[0]+"x", "not a key")
	write(t, filepath.Join(filepath.Dir(keys[0]), strings.Repeat("ab", 32)+".json"), `{"digest":"../../../../etc"}`)
	write(t, filepath.Join(filepath.Dir(keys[0]), strings.Repeat("cd", 32)+".json"), `{"digest":"`+strings.Repeat("0", 64)+`"}`)
	write(t, filepath.Join(filepath.Dir(entries[0]), strings.Repeat("1", 64), "0", "whose"), "nobody's")
	write(t, filepath.Join(b.opts.Dir, "work", "half", "entry", "0", "a"), "half")
	b.reopen()
	for _, pattern := range []string{"keys/*/7/*/*", "entries/*/*"} {
		if left, _ := filepath.Glob(filepath.Join(b.opts.Dir, pattern)); len(left) != 2 {
			t.Errorf("%s: %v", pattern, left)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.opts.Dir, "work", "*")); len(left) != 0 {
		t.Errorf("%v", left)
	}
	for lock, want := range map[string]string{"one": "first", "two": "second"} {
		if l := b.lend(pull, lock); !l.Exact || has(l, "a") != want {
			t.Errorf("%s is %q", lock, has(l, "a"))
		}
	}
	// Another user's steps could not read them.
	b.opts.Owner = layers.Owner{UID: os.Geteuid(), GID: os.Getegid()}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if l := b.lend(pull, "one"); l.From != (cache.Key{}) {
		t.Errorf("%+v", l)
	}
}

func TestWhereOverlaysCannotBeMountedACacheIsCopied(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	b.opts.Dir = filepath.Join(t.TempDir(), "a:b", "cache")
	b.reopen()
	b.fill("one", "a", "first")
	l := b.lend(out, "one")
	if !l.Exact || has(l, "a") != "first" || l.Folders[0].Writes != l.Folders[0].Source {
		t.Errorf("%+v: %q", l, has(l, "a"))
	}
	write(t, filepath.Join(l.Folders[0].Source, "a"), "changed")
	b.close(l)
	b.fill("two", "b", "second")
	if l := b.lend(main, "two"); has(l, "a") != "first" || has(l, "b") != "second" {
		t.Errorf("%q, %q", has(l, "a"), has(l, "b"))
	}
}
