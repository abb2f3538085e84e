// Package artifacttest proves that an artifact.Store keeps its contract: what goes in comes out, under the same name,
// once; and neither a hostile workspace nor a hostile manifest gets anything in or out that it should not.
package artifacttest

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// Run runs the suite. Each call of open returns an empty store, which the test closes by itself if it must.
func Run(t *testing.T, open func(t testing.TB) artifact.Store) {
	tests := map[string]func(*testing.T, artifact.Store){
		"WhatGoesInComesOut":                    roundTrip,
		"ALongFileComesBackWhole":               longFile,
		"TheDigestDependsOnTheContentOnly":      deterministic,
		"OnlyWhatMatchesIsStored":               matching,
		"NothingThatMatchesIsAnError":           nothing,
		"BadPatternsAreRefused":                 badPatterns,
		"TheLimitsHoldForPutAndExtract":         limits,
		"AnUnknownDigestIsNotFound":             unknown,
		"ExtractTakesOnlyAnEmptyFolder":         onlyEmpty,
		"ManyPutsAtOnceAllArrive":               concurrent,
		"AnEndedContextEndsPut":                 ended,
		"HostileManifestsAreRefusedEverywhere":  hostileManifests,
		"AManifestThatLiesLeavesNothing":        lyingManifests,
		"HarmlessLinksAreKept":                  harmlessLinks,
		"LinksThatLeaveAreRefused":              leavingLinks,
		"SpecialFilesAreRefusedAndNeverWaited":  specialFiles,
		"SpecialFilesThatDoNotMatchAreNoMatter": otherSpecialFiles,
		"SetuidBitsAreDropped":                  setuid,
		"NamesThatMeanTwoThingsAreRefused":      ambiguousNames,
		"AFileThatGrowsIsRefused":               growing,
		"AWorkspaceThatIsSwappedGivesNothing":   swapped,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var everything = []string{"**"}

func roundTrip(t *testing.T, s artifact.Store) {
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9._-]{1,8}é?`).Filter(func(s string) bool { return s != "." && s != ".." })
		files := make(map[string]string)
		for range rapid.IntRange(1, 12).Draw(r, "files") {
			// Files end in .f and folders do not, so that no path is both.
			path := strings.Join(rapid.SliceOfN(name, 0, 3).Draw(r, "folders"), "/")
			if path != "" {
				path += "/"
			}
			path += name.Draw(r, "name") + ".f"
			if rapid.Bool().Draw(r, "executable") {
				path += "!"
			}
			content := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(r, "content")
			repeat := rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 100, 5000}).Draw(r, "repeat")
			files[path] = strings.Repeat(string(content), repeat)
		}
		for path := range files {
			delete(files, strings.TrimSuffix(path, "!")+"!!")
			if strings.HasSuffix(path, "!") {
				delete(files, strings.TrimSuffix(path, "!"))
			}
			for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
				delete(files, dir) // a folder may have drawn a file's name
				delete(files, dir+"!")
			}
		}
		m, err := s.Put(t.Context(), Write(t, files), everything, artifact.Limits{})
		if err != nil {
			r.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		if _, err := s.Extract(t.Context(), m.Digest(), out, artifact.Limits{}); err != nil {
			r.Fatal(err)
		}
		if got := Tree(t, out); !maps.Equal(got, files) {
			r.Fatalf("%d files came out, other than the %d that went in", len(got), len(files))
		}
		again, err := s.Manifest(t.Context(), m.Digest())
		if err != nil || again.Digest() != m.Digest() {
			r.Fatalf("the manifest came back as %v, %v", again, err)
		}
	})
}

func longFile(t *testing.T, s artifact.Store) {
	for _, size := range []int{1<<20 - 1, 1 << 20, 1<<20 + 1, 5<<20 + 77} {
		content := strings.Repeat("0123456789abcdef\n", size/17+1)[:size]
		root := Write(t, map[string]string{"big": content})
		m, err := s.Put(t.Context(), root, everything, artifact.Limits{})
		must(t, err)
		got, err := Content(t.Context(), s, m.Files[0])
		must(t, err)
		if got != content {
			t.Errorf("a file of %d bytes came back with %d other ones", size, len(got))
		}
	}
}

func deterministic(t *testing.T, s artifact.Store) {
	files := map[string]string{"b/x": "1", "a!": "2", "c": "link:a", "b/y": ""}
	one, two := Write(t, files), Write(t, files)
	old := time.Unix(1_000_000, 0)
	must(t, os.Chtimes(filepath.Join(two, "a"), old, old))
	must(t, os.Chmod(filepath.Join(two, "b/x"), 0o606))
	must(t, os.Chmod(filepath.Join(two, "a"), 0o711))
	first, err := s.Put(t.Context(), one, everything, artifact.Limits{})
	must(t, err)
	second, err := s.Put(t.Context(), two, []string{"c", "b/*", "a"}, artifact.Limits{})
	must(t, err)
	if first.Digest() != second.Digest() {
		t.Errorf("two names for the same content: %s and %s", first.Encode(), second.Encode())
	}
	must(t, os.WriteFile(filepath.Join(two, "b/y"), []byte("!"), 0o644))
	third, err := s.Put(t.Context(), two, everything, artifact.Limits{})
	must(t, err)
	if third.Digest() == first.Digest() {
		t.Error("one name for different content")
	}
}

func matching(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"dist/a.js": "a", "dist/deep/b.css": "b", "dist/deep/er/c.js": "c", "src/d.js": "d", "e.js": "e", "distant/f.js": "f"})
	for want, globs := range map[string][]string{
		"dist/a.js dist/deep/b.css dist/deep/er/c.js": {"dist/**"},
		"dist/a.js":                                 {"dist/*"},
		"dist/a.js dist/deep/er/c.js":               {"dist/**/*.js"},
		"dist/a.js e.js src/d.js":                   {"{src,dist}/*.js", "./e.js"},
		"dist/deep/b.css dist/deep/er/c.js e.js":    {"*.js", "dist/de?p/**"},
		"dist/deep/er/c.js":                         {"*/*/er/c.js", "nothing/**"},
		"dist/a.js distant/f.js e.js src/d.js":      {"*.js", "*/*.js"},
		"dist/a.js dist/deep/er/c.js e.js src/d.js": {"**/[a-e].js"},
	} {
		m, err := s.Put(t.Context(), root, globs, artifact.Limits{})
		must(t, err)
		var got []string
		for _, f := range m.Files {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q stored %q, want %q", globs, got, want)
		}
	}
}

func nothing(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"dist/a": "a"})
	_, err := s.Put(t.Context(), root, []string{"build/**", "dist"}, artifact.Limits{})
	if !errors.Is(err, artifact.ErrEmpty) {
		t.Fatalf("want ErrEmpty, got %v", err)
	}
	for _, part := range []string{`"build/**"`, `"dist"`, `write "dist/**"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %s: %v", part, err)
		}
	}
}

func badPatterns(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"a": "a"})
	for _, glob := range []string{"", "/etc/**", "../**", "a/../../b", "a//b", "[", "{a", "a/", strings.Repeat("{a,b}", 9), strings.Repeat("x", 2000)} {
		if m, err := s.Put(t.Context(), root, []string{"a", glob}, artifact.Limits{}); err == nil {
			t.Errorf("%q was taken and gave %v", glob, m)
		}
	}
}

func limits(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"a": "12345", "b": "12345"})
	m, err := s.Put(t.Context(), root, everything, artifact.Limits{Files: 2, Bytes: 10, File: 5})
	must(t, err)
	for name, l := range map[string]artifact.Limits{"files": {Files: 1}, "bytes": {Bytes: 9}, "one file": {File: 4}} {
		if _, err := s.Put(t.Context(), root, everything, l); !errors.Is(err, artifact.ErrTooBig) {
			t.Errorf("Put over the limit of %s: want ErrTooBig, got %v", name, err)
		}
		out := filepath.Join(t.TempDir(), "out")
		if _, err := s.Extract(t.Context(), m.Digest(), out, l); !errors.Is(err, artifact.ErrTooBig) {
			t.Errorf("Extract over the limit of %s: want ErrTooBig, got %v", name, err)
		}
		mustBeEmpty(t, filepath.Dir(out))
	}
}

func unknown(t *testing.T, s artifact.Store) {
	for _, digest := range []pipeline.Digest{"", "sha256:..", "../../etc/passwd", artifact.DigestOf([]byte("never stored"))} {
		if _, err := s.Manifest(t.Context(), digest); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("Manifest(%q): want ErrNotFound, got %v", digest, err)
		}
		if _, err := s.Open(t.Context(), digest); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("Open(%q): want ErrNotFound, got %v", digest, err)
		}
		if _, err := s.Extract(t.Context(), digest, filepath.Join(t.TempDir(), "out"), artifact.Limits{}); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("Extract(%q): want ErrNotFound, got %v", digest, err)
		}
	}
	m, err := s.Put(t.Context(), Write(t, map[string]string{"a": "plain text"}), everything, artifact.Limits{})
	must(t, err)
	if _, err := s.Manifest(t.Context(), m.Files[0].Digest); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("a plain file was taken for a manifest: %v", err)
	}
}

func onlyEmpty(t *testing.T, s artifact.Store) {
	m, err := s.Put(t.Context(), Write(t, map[string]string{"a": "a"}), everything, artifact.Limits{})
	must(t, err)
	empty := t.TempDir()
	_, err = s.Extract(t.Context(), m.Digest(), empty, artifact.Limits{})
	must(t, err)
	if got := Tree(t, empty); got["a"] != "a" {
		t.Errorf("an empty folder got %v", got)
	}
	if _, err := s.Extract(t.Context(), m.Digest(), empty, artifact.Limits{}); err == nil {
		t.Error("a full folder was taken")
	}
	parent := t.TempDir()
	must(t, os.Symlink(t.TempDir(), filepath.Join(parent, "link")))
	if _, err := s.Extract(t.Context(), m.Digest(), filepath.Join(parent, "link"), artifact.Limits{}); err == nil {
		t.Error("a link was taken for an empty folder")
	}
}

func concurrent(t *testing.T, s artifact.Store) {
	var wg sync.WaitGroup
	digests := make([]pipeline.Digest, 8)
	for i := range digests {
		root := Write(t, map[string]string{"own": strings.Repeat(string(rune('a'+i)), 2<<20), "shared": strings.Repeat("shared", 1<<19)})
		wg.Go(func() {
			for range 3 {
				m, err := s.Put(t.Context(), root, everything, artifact.Limits{})
				if err != nil {
					t.Error(err)
					return
				}
				digests[i] = m.Digest()
			}
		})
	}
	wg.Wait()
	for i, digest := range digests {
		out := filepath.Join(t.TempDir(), "out")
		_, err := s.Extract(t.Context(), digest, out, artifact.Limits{})
		must(t, err)
		if got := Tree(t, out); got["own"] != strings.Repeat(string(rune('a'+i)), 2<<20) || got["shared"] != strings.Repeat("shared", 1<<19) {
			t.Errorf("artifact %d came back wrong", i)
		}
	}
}

func ended(t *testing.T, s artifact.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, Write(t, map[string]string{"a": "a"}), everything, artifact.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}
