package artifacttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// plant stores any manifest, by storing a file that holds it: a manifest is an object like others. It returns the
// manifest's digest. The content "x" is stored with it.
func plant(t *testing.T, s artifact.Store, files ...artifact.File) pipeline.Digest {
	t.Helper()
	encoded := artifact.Manifest{Files: files}.Encode()
	m, err := s.Put(t.Context(), Write(t, map[string]string{"manifest": string(encoded), "x": "x"}), everything, artifact.Limits{})
	must(t, err)
	return m.Files[0].Digest
}

var contentX = artifact.DigestOf([]byte("x"))

func plainFile(path string) artifact.File {
	return artifact.File{Path: path, Mode: 0o644, Size: 1, Digest: contentX}
}

func link(path, target string) artifact.File { return artifact.File{Path: path, Link: target} }

func hostileManifests(t *testing.T, s artifact.Store) {
	chain := func(n int) (files []artifact.File) {
		for i := range n {
			files = append(files, link(fmt.Sprintf("l%03d", i), fmt.Sprintf("l%03d", i+1)))
		}
		return files
	}
	tangle := func() (files []artifact.File) {
		for i := range 3000 {
			files = append(files, link(fmt.Sprintf("l%04d", i), strings.Repeat(fmt.Sprintf("l%04d/", (i+1)%3000), 100)))
		}
		return files
	}
	for name, files := range map[string][]artifact.File{
		"absolute":                  {plainFile("/tmp/evil")},
		"dot dot":                   {plainFile("../evil")},
		"dot dot inside":            {plainFile("a/../../evil")},
		"dot":                       {plainFile("./evil")},
		"empty name":                {plainFile("a//evil")},
		"folder":                    {plainFile("a/")},
		"no path":                   {plainFile("")},
		"the folder itself":         {plainFile(".")},
		"backslash":                 {plainFile(`..\evil`)},
		"newline":                   {plainFile("a\nb")},
		"nul":                       {plainFile("a\x00b")},
		"escape":                    {plainFile("a\x1b[2J")},
		"long name":                 {plainFile(strings.Repeat("n", 256))},
		"long path":                 {plainFile(strings.Repeat("n/", 600) + "n")},
		"deep":                      {plainFile(strings.Repeat("n/", 200) + "n")},
		"twice":                     {plainFile("a"), plainFile("a")},
		"case":                      {plainFile("Readme"), plainFile("readme")},
		"case of folders":           {plainFile("A/x"), plainFile("a/y")},
		"case of a link":            {link("A", "b"), plainFile("a/y")},
		"case beyond ASCII":         {plainFile("É"), plainFile("é")},
		"file and folder":           {plainFile("a"), plainFile("a/b")},
		"below a link":              {link("a", "b"), plainFile("a/evil"), plainFile("b/c")},
		"setuid":                    {{Path: "a", Mode: 0o4755, Size: 1, Digest: contentX}},
		"device mode":               {{Path: "a", Mode: 0o20644, Size: 1, Digest: contentX}},
		"no mode":                   {{Path: "a", Size: 1, Digest: contentX}},
		"world-writable":            {{Path: "a", Mode: 0o666, Size: 1, Digest: contentX}},
		"negative size":             {{Path: "a", Mode: 0o644, Size: -1, Digest: contentX}},
		"no digest":                 {{Path: "a", Mode: 0o644, Size: 1}},
		"path as digest":            {{Path: "a", Mode: 0o644, Size: 1, Digest: "sha256:../../../etc/shadow"}},
		"link and file":             {{Path: "a", Mode: 0o644, Size: 1, Digest: contentX, Link: "b"}},
		"absolute link":             {link("a", "/etc/passwd")},
		"leaving link":              {link("a", "../evil")},
		"leaving from below":        {link("a/b", "../../evil")},
		"leaving through a folder":  {link("a", "b/../../evil"), plainFile("b/c")},
		"leaving through nothing":   {link("a", "missing/../../evil")},
		"leaving through a link":    {link("a", "b/../../../evil"), link("b", "c/d"), plainFile("c/d/e")},
		"leaving through two links": {link("a/up", ".."), link("b", "a/up/up/up/evil"), link("up", "a/up/..")},
		"leaving by a link to here": {link("here", "."), link("out", "here/../evil")},
		"circle":                    {link("a", "b"), link("b", "a")},
		"link to itself":            {link("a", "a/x")},
		"long chain":                chain(60),
		"tangle":                    tangle(),
		"link with a newline":       {link("a", "b\nc")},
		"link with a backslash":     {link("a", `..\b`)},
	} {
		digest := plant(t, s, files...)
		if m, err := s.Manifest(t.Context(), digest); !errors.Is(err, artifact.ErrUnsafe) {
			t.Errorf("%s: Manifest gave %d files and %v, want ErrUnsafe", name, len(m.Files), err)
		}
		mustRefuse(t, s, digest, name, artifact.ErrUnsafe)
	}
	for name, text := range map[string]string{
		"unknown field": `{"files":[{"path":"a","mode":420,"size":1,"digest":"` + string(contentX) + `","device":"8:0"}]}` + "\n",
		"other form":    ` {"files": []}`,
		"not UTF-8":     "{\"files\":[{\"path\":\"a\xff\",\"mode\":420,\"size\":1,\"digest\":\"" + string(contentX) + "\"}]}\n",
		"no files":      `{"files":[]}` + "\n",
		"too many ends": string(artifact.Manifest{Files: []artifact.File{plainFile("a")}}.Encode()) + "x",
	} {
		m, err := s.Put(t.Context(), Write(t, map[string]string{"manifest": text, "x": "x"}), everything, artifact.Limits{})
		must(t, err)
		mustRefuse(t, s, m.Files[0].Digest, name, nil)
	}
}

func mustRefuse(t *testing.T, s artifact.Store, digest pipeline.Digest, name string, want error) {
	t.Helper()
	parent := t.TempDir()
	_, err := s.Extract(t.Context(), digest, filepath.Join(parent, "out"), artifact.Limits{})
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: Extract gave %v, want %v", name, err, want)
	}
	mustBeEmpty(t, parent)
}

func lyingManifests(t *testing.T, s artifact.Store) {
	other := artifact.DigestOf([]byte("never stored"))
	for name, c := range map[string]struct {
		file artifact.File
		want error
	}{
		"content missing":  {artifact.File{Path: "z", Mode: 0o644, Size: 1, Digest: other}, artifact.ErrNotFound},
		"content longer":   {artifact.File{Path: "z", Mode: 0o644, Size: 0, Digest: contentX}, artifact.ErrCorrupt},
		"content shorter":  {artifact.File{Path: "z", Mode: 0o644, Size: 2, Digest: contentX}, artifact.ErrCorrupt},
		"over the default": {artifact.File{Path: "z", Mode: 0o644, Size: 1 << 60, Digest: contentX}, artifact.ErrTooBig},
	} {
		mustRefuse(t, s, plant(t, s, plainFile("a/b"), c.file), name, c.want)
	}
	// Two sizes that add up to less than nothing must not slip below the cap.
	half := artifact.File{Path: "a", Mode: 0o644, Size: 1 << 62, Digest: contentX}
	more := half
	more.Path = "b"
	encoded, err := json.Marshal(artifact.Manifest{Files: []artifact.File{half, more}})
	must(t, err)
	m, err := s.Put(t.Context(), Write(t, map[string]string{"m": string(encoded) + "\n"}), everything, artifact.Limits{})
	must(t, err)
	mustRefuse(t, s, m.Files[0].Digest, "overflow", artifact.ErrTooBig)
}

func harmlessLinks(t *testing.T, s artifact.Store) {
	files := map[string]string{
		"bin/tool!":      "#!/bin/sh\n",
		"lib/v1/x":       "x",
		"lib/current":    "link:v1",
		"bin/x":          "link:../lib/current/x",
		"missing":        "link:lib/not/there",
		"a/b/c/deep":     "link:../../../bin/../lib/current/../v1/x",
		"name with é .f": "y",
	}
	m, err := s.Put(t.Context(), Write(t, files), everything, artifact.Limits{})
	must(t, err)
	out := filepath.Join(t.TempDir(), "out")
	_, err = s.Extract(t.Context(), m.Digest(), out, artifact.Limits{})
	must(t, err)
	got := Tree(t, out)
	for path, content := range files {
		if got[path] != content {
			t.Errorf("%s came back as %q, want %q", path, got[path], content)
		}
	}
}

func leavingLinks(t *testing.T, s artifact.Store) {
	for name, files := range map[string]map[string]string{
		"absolute": {"a": "link:/etc/passwd"},
		"above":    {"d/a": "link:../../x"},
		"chain":    {"d/up": "link:..", "a": "link:d/up/../x"},
		"circle":   {"a": "link:b", "b": "link:a"},
	} {
		if _, err := s.Put(t.Context(), Write(t, files), everything, artifact.Limits{}); !errors.Is(err, artifact.ErrUnsafe) {
			t.Errorf("%s: want ErrUnsafe, got %v", name, err)
		}
	}
	// A folder behind a link is never walked, even when the pattern names it.
	outside := Write(t, map[string]string{"secret": "s3cret"})
	root := Write(t, map[string]string{"ok": "ok", "dist": "link:" + outside})
	if m, err := s.Put(t.Context(), root, []string{"ok", "dist/*"}, artifact.Limits{}); err != nil || len(m.Files) != 1 {
		t.Errorf("a linked folder was walked: %v, %v", m, err)
	}
}

func specialFiles(t *testing.T, s artifact.Store) {
	for name, make := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"device": func(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o644, 1<<8|5) }, // /dev/zero never ends
		"socket": func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o644, 0) },
	} {
		root := Write(t, map[string]string{"a": "a"})
		if err := make(filepath.Join(root, "special")); err != nil {
			t.Fatalf("make a %s: %v; run the tests as root", name, err)
		}
		if _, err := s.Put(t.Context(), root, everything, artifact.Limits{}); !errors.Is(err, artifact.ErrUnsafe) {
			t.Errorf("%s: want ErrUnsafe, got %v", name, err)
		}
	}
}

func otherSpecialFiles(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"dist/a": "a", "tmp/b": "b"})
	must(t, syscall.Mkfifo(filepath.Join(root, "tmp/pipe"), 0o644))
	if _, err := s.Put(t.Context(), root, []string{"dist/**", "tmp/b"}, artifact.Limits{}); err != nil {
		t.Error(err)
	}
}

func setuid(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"tool": "#!/bin/sh\n"})
	must(t, os.Chmod(filepath.Join(root, "tool"), 0o755|os.ModeSetuid|os.ModeSetgid))
	m, err := s.Put(t.Context(), root, everything, artifact.Limits{})
	must(t, err)
	if m.Files[0].Mode != 0o755 {
		t.Errorf("stored with the mode %#o", m.Files[0].Mode)
	}
}

func ambiguousNames(t *testing.T, s artifact.Store) {
	for name, files := range map[string]map[string]string{
		"case":      {"Readme": "1", "readme": "2"},
		"backslash": {`a\b`: "1"},
		"newline":   {"a\nb": "1"},
		"not UTF-8": {"a\xff": "1"},
	} {
		if _, err := s.Put(t.Context(), Write(t, files), everything, artifact.Limits{}); !errors.Is(err, artifact.ErrUnsafe) {
			t.Errorf("%s: want ErrUnsafe, got %v", name, err)
		}
	}
}

// growing keeps appending to a file while it is stored. Put must end, with the error or with a content that the file
// once had.
func growing(t *testing.T, s artifact.Store) {
	root := Write(t, map[string]string{"log": "0\n"})
	f, err := os.OpenFile(filepath.Join(root, "log"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		line := strings.Repeat("0", 4095) + "\n"
		for n := 0; !stop.Load() && n < 500; n++ {
			if _, err := f.WriteString(line); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 10 {
		m, err := s.Put(t.Context(), root, everything, artifact.Limits{})
		if err != nil && !strings.Contains(err.Error(), "changed while it was stored") {
			t.Errorf("want the sentence about a file that changes, got %v", err)
		}
		if err != nil {
			continue
		}
		content, err := Content(t.Context(), s, m.Files[0])
		must(t, err)
		if int64(len(content)) != m.Files[0].Size {
			t.Errorf("stored %d bytes, announced were %d", len(content), m.Files[0].Size)
		}
	}
	stop.Store(true)
	wg.Wait()
}

// swapped replaces a folder and a file by links to the outside, and by pipes, again and again while Put runs.
func swapped(t *testing.T, s artifact.Store) {
	outside := Write(t, map[string]string{"f": "s3cret"})
	root := Write(t, map[string]string{"d/f": "ok"})
	d, hidden, file := filepath.Join(root, "d"), filepath.Join(root, ".d"), filepath.Join(root, "d/f")
	var stop atomic.Bool
	var wg sync.WaitGroup
	swap := func(path string, make func() error) {
		_ = os.Rename(path, hidden)
		_ = make()
		_ = os.Remove(path)
		_ = os.Rename(hidden, path)
	}
	wg.Go(func() {
		for !stop.Load() {
			swap(d, func() error { return os.Symlink(outside, d) })
			swap(d, func() error { return syscall.Mkfifo(d, 0o644) })
			swap(file, func() error { return os.Symlink(filepath.Join(outside, "f"), file) })
			swap(file, func() error { return syscall.Mkfifo(file, 0o644) })
		}
	})
	for range 1000 {
		m, err := s.Put(t.Context(), root, []string{"d/**"}, artifact.Limits{})
		if err != nil {
			continue // refused, or nothing matched at that moment
		}
		for _, f := range m.Files {
			if content, err := Content(t.Context(), s, f); err != nil || content != "ok" {
				t.Fatalf("%s was read as %q, %v", f.Path, content, err)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}
