package store

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// hide turns a mark of the archive into one of overlayfs: a folder that shows nothing of what is below it, or a device 0/0
// in the place of what is hidden. https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
func (u *unpacker) hide(dir, mark string) error {
	if mark == whiteoutOpaque {
		return u.cover(u.at, dir)
	}
	if strings.HasPrefix(mark, whiteoutOwn) {
		return nil // an older store's own
	}
	base := strings.TrimPrefix(mark, whiteout)
	if base == "" || base == "." || base == ".." {
		return refused("%q hides no file", path.Join(dir, mark))
	}
	name := path.Join(dir, base)
	if _, ours := u.folders[name]; ours { // made anew by this layer: what was there before is hidden below it
		at, err := u.at.OpenRoot(base)
		if err != nil {
			return err
		}
		return errors.Join(u.cover(at, name), at.Close())
	}
	switch _, err := u.at.Lstat(base); {
	case err == nil:
		return nil // this layer's own file stands for it, or it is hidden already
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	here, err := u.at.Open(".")
	if err != nil {
		return err
	}
	u.hides[name] = true
	return errors.Join(unix.Mknodat(int(here.Fd()), base, unix.S_IFCHR, 0), here.Close())
}

// unhide makes a folder where this layer has hidden something: it shows what the layer puts into it, and nothing else.
func (u *unpacker) unhide(name string, h *tar.Header) error {
	delete(u.hides, name)
	if err := errors.Join(u.root.Remove(name), u.root.Mkdir(name, 0o755), u.root.Lchown(name, u.first, u.first)); err != nil {
		return err
	}
	u.folders[name] = h
	at, err := u.root.OpenRoot(name)
	if err != nil {
		return err
	}
	return errors.Join(u.cover(at, name), at.Close())
}

func (u *unpacker) cover(at *os.Root, dir string) error {
	if dir == "." {
		u.alone = true // overlayfs knows no such mark at the root: the layers below are left out
		return nil
	}
	f, err := at.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsetxattr(int(f.Fd()), opaque, []byte("y"), 0), f.Close())
}
