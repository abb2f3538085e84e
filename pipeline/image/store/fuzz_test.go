package store

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/test/images"
)

// FuzzALayerStaysWhereItIsPut unpacks archives of any kind. Whatever they hold, nothing is made or changed beside the
// folder, and nothing in it gives rights or belongs to a user of this machine.
func FuzzALayerStaysWhereItIsPut(f *testing.F) {
	for _, entries := range [][]images.Entry{
		{{Name: "a/"}, {Name: "a/b", Text: "x"}, {Name: "c", To: "../outside"}, {Name: "c/d", Text: "x"}},
		{{Name: "a", Text: "x"}, {Name: "b", Header: kindOf(tar.TypeLink, "a")}, {Name: ".wh.a"}, {Name: "d/.wh..wh..opq"}, {Name: "a/"}, {Name: "a", Text: "y"}},
		{{Name: ".wh.a"}, {Name: "a/"}, {Name: "a/b/c", Text: "x"}, {Name: "a", To: "b"}, {Name: "dev", Header: kindOf(tar.TypeChar, "")}, {Name: "su", Header: withMode(0o4755)}},
	} {
		f.Add(images.Archive(f, entries...))
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "fs")
		for _, d := range []string{dir, filepath.Join(top, "outside")} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		a, err := unpack(dir, bytes.NewReader(archive), first, newLimits(1<<20, 100))
		if err == nil && (a.Size > 1<<20 || a.Entries > 100) {
			t.Errorf("beyond the limits: %+v", a)
		}
		if beside := images.Tree(t, filepath.Join(top, "outside")); len(beside) > 0 {
			t.Errorf("outside there is %q", beside)
		}
		if all, err := os.ReadDir(top); err != nil || len(all) != 2 {
			t.Errorf("beside it there is %v, %v", all, err)
		}
		err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return err
			}
			hidden := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
			switch kind := e.Type(); {
			case !hidden && kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink:
				t.Errorf("%s is %s", path, kind)
			case st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0:
				t.Errorf("%s has the mode %o", path, st.Mode)
			case !hidden && a != (about{}) && (st.Uid < first || st.Gid < first || st.Uid >= first+box || st.Gid >= first+box):
				t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
			}
			return nil
		})
		if err != nil && !strings.Contains(err.Error(), "file name too long") {
			t.Error(err)
		}
	})
}
