package age_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/age"
)

const canary = "canary-4711-canary"

var (
	build = age.Scope{Repository: 7}
	place = age.Scope{Repository: 7, Environment: "production"}
	now   = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
)

func set(t *testing.T, s *age.Store, scope age.Scope, name, value string) {
	t.Helper()
	if err := s.Set(age.Entry{Name: name, Scope: scope, Slug: "octo/shop", By: "ada"}, secret.New(value)); err != nil {
		t.Fatal(err)
	}
}

func finds(t *testing.T, s *age.Store, scope age.Scope, name, want string) {
	t.Helper()
	got, err := s.Find(scope, name)
	if want == "" && !errors.Is(err, age.ErrUnknown) || want != "" && (err != nil || got.Reveal() != want) {
		t.Errorf("%s in %v is %q, %v; want %q", name, scope, got.Reveal(), err, want)
	}
}

func TestASecretIsFoundInItsScopeOnly(t *testing.T) {
	t.Parallel()
	s := age.New(filepath.Join(t.TempDir(), "secrets"), "", now)
	finds(t, s, build, "TOKEN", "")
	set(t, s, build, "TOKEN", "of the build \xff\x00")
	set(t, s, place, "TOKEN", "of production")
	finds(t, s, build, "TOKEN", "of the build \xff\x00")
	finds(t, s, place, "TOKEN", "of production")
	finds(t, s, age.Scope{Repository: 8}, "TOKEN", "")
	finds(t, s, age.Scope{Repository: 7, Environment: "staging"}, "TOKEN", "")
	finds(t, s, build, "token", "")
	if err := s.Remove(build, "TOKEN", "ada"); err != nil {
		t.Fatal(err)
	}
	finds(t, s, build, "TOKEN", "")
	finds(t, s, place, "TOKEN", "of production")
	if err := s.Remove(build, "TOKEN", "ada"); !errors.Is(err, age.ErrUnknown) {
		t.Error(err)
	}
}

func TestAnotherStoreOfTheSameFolderSeesTheChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, hand := age.New(dir, "", now), age.New(dir, "", now)
	set(t, hand, build, "TOKEN", "first")
	finds(t, server, build, "TOKEN", "first")
	set(t, hand, build, "TOKEN", "second")
	finds(t, server, build, "TOKEN", "second")
	if _, err := hand.Rotate("ada"); err != nil {
		t.Fatal(err)
	}
	finds(t, server, build, "TOKEN", "second")
}

func TestNoFileHoldsAValueAndAllAreTheOwners(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere", "key")
	s := age.New(dir, key, now)
	set(t, s, build, "TOKEN", canary)
	set(t, s, build, "TOKEN", canary+"2")
	if _, err := s.Rotate("ada"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 3 {
		t.Errorf("%v", files)
	}
	for _, name := range append(files, key) {
		data, err := os.ReadFile(name)
		info, statErr := os.Stat(name)
		if err != nil || statErr != nil || bytes.Contains(data, []byte(canary)) || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, %v", name, err, info.Mode(), bytes.Contains(data, []byte(canary)))
		}
	}
	// The folder alone opens nothing.
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(build, "TOKEN"); err == nil || errors.Is(err, age.ErrUnknown) || !strings.Contains(err.Error(), "put it back") {
		t.Error(err)
	}
	if err := s.Set(age.Entry{Name: "X", Scope: build}, secret.New("word")); err == nil {
		t.Error("a second key was made for a store whose key is lost")
	}
}

func TestEachChangeHasALineThatNamesTheOneBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := age.New(dir, "", now)
	set(t, s, build, "TOKEN", canary)
	set(t, s, build, "TOKEN", canary)
	if _, err := s.Rotate("ada"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(build, "TOKEN", "ada"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "changes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, what := range []string{"set", "replaced", "rotated", "removed"} {
		if len(lines) != 4 || !strings.Contains(lines[i], `"what":"`+what+`"`) || !strings.Contains(lines[i], `"by":"ada"`) || strings.Contains(lines[i], `"before"`) != (i > 0) {
			t.Errorf("line %d of\n%s", i+1, text)
		}
	}
}

func TestARotationThatWasCutOffLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := age.New(dir, "", now)
	set(t, s, build, "TOKEN", canary)
	key, store := filepath.Join(dir, "key.txt"), filepath.Join(dir, "store.age")
	oldKey, oldStore := read(t, key), read(t, store)
	if _, err := s.Rotate("ada"); err != nil {
		t.Fatal(err)
	}
	newKey, newStore := read(t, key), read(t, store)
	if bytes.Equal(oldKey, newKey) {
		t.Fatal("the key is the old one")
	}
	for name, cut := range map[string][2][]byte{
		"both keys, the old store": {append(bytes.Clone(newKey), oldKey...), oldStore},
		"both keys, the new store": {append(bytes.Clone(newKey), oldKey...), newStore},
	} {
		write(t, key, cut[0])
		write(t, store, cut[1])
		finds(t, s, build, "TOKEN", canary)
		set(t, s, build, "OTHER", name)
		write(t, key, newKey) // what was written meanwhile opens with the new key alone
		finds(t, s, build, "OTHER", name)
	}
	write(t, store, oldStore)
	if _, err := s.Find(build, "TOKEN"); err == nil {
		t.Error("the new key opens what the old one has shut")
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := age.New(dir, "", now)
	set(t, s, build, "TOKEN", canary)
	if err := os.Chmod(filepath.Join(dir, "key.txt"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(build, "TOKEN"); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}

func TestADamagedStoreIsAnErrorThatQuotesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := age.New(dir, "", now)
	set(t, s, build, "TOKEN", canary)
	path := filepath.Join(dir, "store.age")
	whole := read(t, path)
	for at := 0; at < len(whole); at += 7 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x20
		write(t, path, bad)
		got, err := s.Find(build, "TOKEN")
		if err == nil && got.Reveal() != canary || err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("byte %d: %q, %v", at, got.Reveal(), err)
		}
		if at > 250 && err == nil {
			t.Errorf("byte %d was changed, and nobody noticed", at)
		}
	}
}

func TestChangesAtTheSameTimeAreAllKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set(t, age.New(dir, "", now), build, "FIRST", "word")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			s := age.New(dir, "", now)
			set(t, s, build, fmt.Sprintf("N%d", i), fmt.Sprintf("value %d", i))
			if i%5 == 0 {
				if _, err := s.Rotate("ada"); err != nil {
					t.Error(err)
				}
			}
			finds(t, s, build, "FIRST", "word")
		})
	}
	all.Wait()
	entries, err := age.New(dir, "", now).List()
	if err != nil || len(entries) != 21 {
		t.Errorf("%d, %v", len(entries), err)
	}
	for i := range 20 {
		finds(t, age.New(dir, "", now), build, fmt.Sprintf("N%d", i), fmt.Sprintf("value %d", i))
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
