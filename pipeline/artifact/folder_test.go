package artifact

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func steadyOver(text string, size int64) *steady {
	return &steady{r: strings.NewReader(text), left: size, stop: func() error { return nil }}
}

func TestAFileIsReadExactlyWhenItHoldsStill(t *testing.T) {
	t.Parallel()
	if b, err := io.ReadAll(steadyOver("four", 4)); string(b) != "four" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	for name, size := range map[string]int64{"grown": 3, "shrunk": 5, "no longer empty": 0} {
		if _, err := io.ReadAll(steadyOver("four", size)); !errors.Is(err, errChanged) {
			t.Errorf("%s: want errChanged, got %v", name, err)
		}
	}
}

func TestWhateverTookAFilesPlaceIsNotRead(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(path string) error{
		"another file":   func(path string) error { return os.WriteFile(path, []byte("same"), 0o644) },
		"a pipe":         func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"a link":         func(path string) error { return os.Symlink("/etc/hostname", path) },
		"a folder":       func(path string) error { return os.Mkdir(path, 0o755) },
		"nothing at all": func(string) error { return nil },
	} {
		root := t.TempDir()
		path := filepath.Join(root, "f")
		if err := os.WriteFile(path, []byte("same"), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := openRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		st, err := d.lstat("f")
		if err != nil {
			t.Fatal(err)
		}
		// Renamed, not removed: a new file must not get the old one's number.
		if err := errors.Join(os.Rename(path, path+".old"), replace(path)); err != nil {
			t.Fatal(err)
		}
		if f, err := d.regular("f", identityOf(st), st.Size); err == nil {
			t.Errorf("%s was opened", name)
			_ = f.Close()
		}
		d.close()
	}
}

func TestAFolderThatBecameALinkOrAPipeIsNotEntered(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(root, "real"), 0o755), os.Symlink("real", filepath.Join(root, "link")),
		syscall.Mkfifo(filepath.Join(root, "pipe"), 0o644)); err != nil {
		t.Fatal(err)
	}
	d, err := openRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for _, name := range []string{"link", "pipe", "link/..", "missing"} {
		if sub, err := d.descend(name); err == nil {
			t.Errorf("%s was entered", name)
			sub.close()
		}
	}
	if sub, err := d.descend("real"); err != nil {
		t.Errorf("a plain folder was refused: %v", err)
	} else {
		sub.close()
	}
}

func TestKnownFilesAreBounded(t *testing.T) {
	t.Parallel()
	var k Known
	many := func(n int) []file {
		found := make([]file, n)
		for i := range found {
			found[i] = file{File: File{Path: fmt.Sprint(i), Digest: DigestOf([]byte{byte(i)})}, below: true}
		}
		return found
	}
	for _, base := range []string{"one", "two", "three"} {
		k.learn(base, many(mostKnown/2), nil)
		if k.of("one"); k.files > mostKnown { // the first is used all the while
			t.Fatalf("%d files are remembered", k.files)
		}
	}
	if k.of("one") == nil || k.of("two") != nil || k.of("three") == nil || k.files != mostKnown {
		t.Errorf("of %d files are known: %v", k.files, k.order)
	}
	if k.learn("all", many(mostKnown+1), nil); k.of("all") != nil {
		t.Error("more is remembered of one base than of all")
	}
}
