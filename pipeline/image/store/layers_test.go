package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/test/images"
)

// merged mounts an image as a step sees it, and tells what is there: the names, and the text of files.
func merged(t *testing.T, h image.Held) map[string]string {
	t.Helper()
	at, above := t.TempDir(), t.TempDir()
	layers := slices.Clone(h.Layers)
	slices.Reverse(layers)
	if err := unix.Mount("test", at, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(append([]string{above}, layers...), ":")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
	seen := map[string]string{}
	err := filepath.WalkDir(at, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == at {
			return err
		}
		name, _ := filepath.Rel(at, path)
		switch {
		case e.IsDir():
			seen[name+"/"] = ""
		case e.Type() == 0:
			text, err := os.ReadFile(path)
			seen[name] = string(text)
			return err
		default:
			seen[name] = e.Type().String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestWhatALayerRemovesIsGoneAndWhatItReplacesIsReplaced(t *testing.T) {
	t.Parallel()
	below := images.Layer(t,
		images.Entry{Name: "gone", Text: "1"}, images.Entry{Name: "stays", Text: "1"}, images.Entry{Name: "changes", Text: "1"},
		images.Entry{Name: "file-to-folder", Text: "1"}, images.Entry{Name: "folder-to-file/"}, images.Entry{Name: "folder-to-file/x", Text: "1"},
		images.Entry{Name: "opaque/"}, images.Entry{Name: "opaque/old", Text: "1"}, images.Entry{Name: "opaque/deep/"}, images.Entry{Name: "opaque/deep/old", Text: "1"},
		images.Entry{Name: "merged/"}, images.Entry{Name: "merged/old", Text: "1"}, images.Entry{Name: "merged/gone", Text: "1"},
		images.Entry{Name: "anew/"}, images.Entry{Name: "anew/old", Text: "1"}, images.Entry{Name: "later/"}, images.Entry{Name: "later/old", Text: "1"},
		images.Entry{Name: "implied/"}, images.Entry{Name: "implied/old", Text: "1"},
		images.Entry{Name: "link-to-folder", To: "merged"}, images.Entry{Name: "both", Text: "1"})
	above := images.Layer(t,
		images.Entry{Name: ".wh.gone"}, images.Entry{Name: ".wh.never-there"}, images.Entry{Name: "changes", Text: "2"},
		images.Entry{Name: "file-to-folder/"}, images.Entry{Name: "file-to-folder/y", Text: "2"}, images.Entry{Name: "folder-to-file", Text: "2"},
		images.Entry{Name: "opaque/new", Text: "2"}, images.Entry{Name: "opaque/.wh..wh..opq"},
		images.Entry{Name: "merged/new", Text: "2"}, images.Entry{Name: "merged/.wh.gone"}, images.Entry{Name: "merged/.wh..wh.plnk"},
		images.Entry{Name: ".wh.anew"}, images.Entry{Name: "anew/"}, images.Entry{Name: "anew/new", Text: "2"},
		images.Entry{Name: "later/"}, images.Entry{Name: "later/new", Text: "2"}, images.Entry{Name: ".wh.later"},
		images.Entry{Name: ".wh.implied"}, images.Entry{Name: "implied/new", Text: "2"},
		images.Entry{Name: "link-to-folder/"}, images.Entry{Name: "link-to-folder/z", Text: "2"}, images.Entry{Name: "both", Text: "2"}, images.Entry{Name: ".wh.both"})
	reg, s := served(t, Options{})
	h := hold(t, s, pushed(reg, images.Image(t, nil, below, above)))
	want := map[string]string{
		"stays": "1", "changes": "2", "file-to-folder/": "", "file-to-folder/y": "2", "folder-to-file": "2", "opaque/": "", "opaque/new": "2",
		"merged/": "", "merged/old": "1", "merged/new": "2", "anew/": "", "anew/new": "2", "later/": "", "later/new": "2", "implied/": "", "implied/new": "2",
		"link-to-folder/": "", "link-to-folder/z": "2", "both": "2",
	}
	got := merged(t, h)
	for name, text := range want {
		if g, ok := got[name]; !ok || g != text {
			t.Errorf("%s is %q (%t), want %q", name, g, ok, text)
		}
	}
	for name, text := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is there: %q", name, text)
		}
	}
}

func TestALayerThatHidesAllStandsAlone(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{})
	below := images.Layer(t, images.Entry{Name: "old", Text: "1"})
	h := hold(t, s, pushed(reg, images.Image(t, nil, below, images.Layer(t, images.Entry{Name: ".wh..wh..opq"}, images.Entry{Name: "new", Text: "2"}))))
	if got := merged(t, h); len(got) != 1 || got["new"] != "2" {
		t.Errorf("%v", got)
	}
}

func TestALayerThatStandsInAnImageTwiceShowsOnTop(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{})
	a, b := images.Layer(t, images.Entry{Name: "x", Text: "a"}), images.Layer(t, images.Entry{Name: "x", Text: "b"})
	h := hold(t, s, pushed(reg, images.Image(t, nil, a, b, a)))
	if got := merged(t, h); len(got) != 1 || got["x"] != "a" || len(h.Layers) != 2 {
		t.Errorf("%v of %v", got, h.Layers)
	}
}

func TestHardLinksStayOneFile(t *testing.T) {
	t.Parallel()
	dir, size, err := laid(t, bounds{}, images.Entry{Name: "a/"}, images.Entry{Name: "a/one", Text: "x"}, images.Entry{Name: "two", Header: kindOf('1', "a/one")}, images.Entry{Name: "a/three", Header: kindOf('1', "/a/one")})
	if err != nil || size != 1 {
		t.Fatal(size, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "two"), &st); err != nil || st.Nlink != 3 {
		t.Errorf("%d links, %v", st.Nlink, err)
	}
}

// open opens a store that trusts the loopback, where registries of tests are.
func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.FirstID == 0 {
		o.FirstID = first
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}
