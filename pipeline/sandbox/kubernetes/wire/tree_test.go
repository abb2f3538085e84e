package wire

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// archive is a tree as one could send it who means harm.
func archive(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		h.Mode = 0o4777
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = w.Write([]byte("evil"))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

var plenty = Most{Bytes: 1 << 20, Files: 1000}

func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
func dir(name string) tar.Header  { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
func link(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}

func TestNothingIsUnpackedOutsideOfItsFolder(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "there"), []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, sent := range map[string][]tar.Header{
		"a way up":                        {file("../evil")},
		"a way up from within":            {dir("a"), file("a/../../evil")},
		"an absolute name":                {file(outside + "/evil")},
		"its own top":                     {dir("./")},
		"through a link out":              {link("l", outside), file("l/evil")},
		"through a link in a folder":      {dir("a"), link("a/l", outside), file("a/l/evil")},
		"through a link that is a folder": {link("l", outside), dir("l/evil")},
		"through a link within":           {dir("a"), link("l", "a"), file("l/evil")},
		"a hard link":                     {{Name: "evil", Typeflag: tar.TypeLink, Linkname: outside + "/there"}},
		"a device":                        {{Name: "evil", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1}},
		"a disk":                          {{Name: "evil", Typeflag: tar.TypeBlock}},
		"a pipe":                          {{Name: "evil", Typeflag: tar.TypeFifo}},
		"no folder for it":                {file("a/evil")},
	} {
		to := t.TempDir()
		if err := Unpack(t.Context(), archive(t, sent...), to, plenty, -1, -1); err == nil {
			t.Errorf("%s was unpacked", name)
		}
		if left, _ := os.ReadDir(outside); len(left) != 1 {
			t.Errorf("%s: outside there is %v", name, left)
		}
	}
	to := t.TempDir()
	if err := Unpack(t.Context(), archive(t, link("there", outside+"/there"), file("there")), to, plenty, -1, -1); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(filepath.Join(outside, "there")); string(got) != "good" {
		t.Errorf("a file was written through a link: %q", got)
	}
	if info, err := os.Lstat(filepath.Join(to, "there")); err != nil || info.Mode() != 0o777 {
		t.Errorf("it keeps more than its rights: %v, %v", info.Mode(), err)
	}
}

func TestNothingIsRemovedOutsideOfItsFolder(t *testing.T) {
	t.Parallel()
	outside, in := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(outside, "there"), nil, 0o600), os.Symlink(outside, filepath.Join(in, "l")), os.WriteFile(filepath.Join(in, "old"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../" + filepath.Base(outside) + "/there", outside + "/there", ".", "", "a/../old"} {
		if err := Remove(in, []string{name}); err == nil {
			t.Errorf("%q could be removed", name)
		}
	}
	if err := Remove(in, []string{"l/there", "old", "never/there"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outside, "there")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(in, "old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is gone is still there: %v", err)
	}
}

func TestMoreThanATreeMayHaveIsRefused(t *testing.T) {
	t.Parallel()
	for _, most := range []Most{{Bytes: 7, Files: 10}, {Bytes: 100, Files: 1}} {
		if err := Unpack(t.Context(), archive(t, file("a"), file("b")), t.TempDir(), most, -1, -1); !errors.Is(err, ErrMost) {
			t.Errorf("%+v: %v", most, err)
		}
	}
}

func TestATreeComesOutAsItWentIn(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(from, name) }
	when := time.Unix(1_600_000_000, 123_456_789)
	err := errors.Join(
		os.MkdirAll(at("a/b"), 0o755), os.WriteFile(at("a/b/file"), []byte("text"), 0o640), os.WriteFile(at("run"), []byte("#!/bin/sh\n"), 0o755),
		os.Symlink("../nowhere", at("a/link")), unix.Mkfifo(at("pipe"), 0o666), os.WriteFile(at("shut"), []byte("x"), 0), os.Chmod(at("a/b"), 0o555),
		os.Chtimes(at("a/b/file"), when, when), os.Chtimes(at("a"), when, when),
	)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Pack(t.Context(), from, &b, nil); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), &b, to, plenty, -1, -1); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{"a": fs.ModeDir | 0o755, "a/b": fs.ModeDir | 0o555, "a/b/file": 0o640, "run": 0o755, "shut": 0, "a/link": fs.ModeSymlink | 0o777} {
		if info, err := os.Lstat(filepath.Join(to, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for _, name := range []string{"a", "a/b/file"} {
		if info, err := os.Lstat(filepath.Join(to, name)); err != nil || !info.ModTime().Equal(when) {
			t.Errorf("%s: %v, %v", name, info.ModTime(), err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(to, "a/b/file")); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := os.Lstat(filepath.Join(to, "pipe")); err == nil {
		t.Error("a pipe went over")
	}
}

func TestOnlyWhatHasChangedComesBack(t *testing.T) {
	t.Parallel()
	in, out := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(in, name) }
	err := errors.Join(
		os.MkdirAll(at("deep/old"), 0o755), os.WriteFile(at("same"), []byte("same"), 0o600), os.WriteFile(at("changed"), []byte("1"), 0o600),
		os.WriteFile(at("gone"), nil, 0o600), os.WriteFile(at("deep/old/gone"), nil, 0o600), os.WriteFile(at("becomes"), nil, 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(out, os.DirFS(in)); err != nil {
		t.Fatal(err)
	}
	seen, err := Look(in)
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.Stat(at("changed"))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(at("changed"), []byte("2"), 0o600), os.Chtimes(at("changed"), was.ModTime(), was.ModTime()), // as if it had not
		os.WriteFile(at("new"), []byte("new"), 0o600), os.Remove(at("gone")), os.RemoveAll(at("deep/old")), os.Remove(at("becomes")), os.MkdirAll(at("becomes/deeper"), 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := seen.Gone(in)
	if err != nil || !slices.Equal(gone, []string{"deep/old", "deep/old/gone", "gone"}) {
		t.Errorf("gone: %q, %v", gone, err)
	}
	var b bytes.Buffer
	if err := Pack(t.Context(), in, &b, seen.Changed); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "same") {
		t.Error("what is the same comes back")
	}
	if err := errors.Join(Remove(out, gone), Unpack(t.Context(), &b, out, plenty, -1, -1)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"same": "same", "changed": "2", "new": "new"} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"gone", "deep/old"} {
		if _, err := os.Lstat(filepath.Join(out, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if info, err := os.Stat(filepath.Join(out, "becomes/deeper")); err != nil || !info.IsDir() {
		t.Errorf("%v", err)
	}
}
