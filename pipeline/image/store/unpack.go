package store

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// limits bound an image: its layers, which are unpacked at once, take from the same ones.
type limits struct {
	bytes, entries atomic.Int64 // that may still come
}

func newLimits(bytes, entries int64) *limits {
	l := &limits{}
	l.bytes.Store(bytes)
	l.entries.Store(entries)
	return l
}

// take reports whether so many bytes and entries are still within the limits.
func (l *limits) take(bytes, entries int64) error {
	switch {
	case bytes < 0 || l.bytes.Add(-bytes) < 0:
		return errTooLarge
	case l.entries.Add(-entries) < 0:
		return refused("it has more files and folders than an image may have")
	}
	return nil
}

// Marks of a layer that removes something of those below it.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
const (
	whiteout       = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutOwn    = ".wh..wh."

	opaque = "trusted.overlay.opaque"
)

const (
	box      = 65536 // ids that there are in a box
	nobody   = 65534
	maxDepth = 200
	maxName  = 4096
	maxAttr  = 64 << 10 // bytes of one extended attribute
)

// unpacker lays one layer out. It keeps to three rules. An entry is made in a folder that this layer has made itself: what
// lies behind a link is never written to. The last part of a name is made new: what was there before is removed, not
// opened. And all of it goes through an os.Root, so that a mistake in the first two still leaves nothing outside.
type unpacker struct {
	first   int // id of this machine that stands for 0
	limits  *limits
	root    *os.Root
	at      *os.Root // the folder of the last entry, whose path is atPath
	atPath  string
	folders map[string]*tar.Header // those made, by path; nil where no entry tells of it
	hides   map[string]bool        // whiteouts made, by the path that they hide
	size    int64
	entries int64
	alone   bool // the layer shows nothing of what is below it
}

// unpack lays out a layer below dir, which is empty, and tells about it. Errors that are the layer's own fault wrap image.ErrRefused.
func unpack(dir string, layer io.Reader, first int, l *limits) (a about, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return a, err
	}
	u := &unpacker{first: first, limits: l, root: root, at: root, folders: map[string]*tar.Header{".": nil}, hides: map[string]bool{}}
	defer func() {
		if u.at != root {
			err = errors.Join(err, u.at.Close())
		}
		err = errors.Join(err, root.Close())
	}()
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return about{Size: u.size, Entries: u.entries, Alone: u.alone}, u.finish()
		case errors.Is(err, tar.ErrHeader):
			return a, fmt.Errorf("%w: a layer is no tar archive, or a broken one", image.ErrRefused)
		case err != nil:
			return a, fmt.Errorf("read a layer: %w", err)
		}
		u.entries++
		if err := l.take(0, 1); err != nil {
			return a, err
		}
		if err := u.entry(h, r); err != nil {
			return a, err
		}
	}
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name, err := clean(h.Name)
	if err != nil || name == "." { // the mode of the root is the box's business
		return err
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if err := u.enter(dir, name); err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteout) {
		return u.hide(dir, base)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.folder(name, base, h)
	case tar.TypeReg, tar.TypeGNUSparse:
		if err := u.clear(name, base); err != nil {
			return err
		}
		return u.file(base, h, content)
	case tar.TypeSymlink:
		if err := u.clear(name, base); err != nil {
			return err
		}
		if h.Linkname == "" || len(h.Linkname) > maxName {
			return refused("the link %q leads nowhere", name)
		}
		if err := u.at.Symlink(h.Linkname, base); err != nil {
			return err
		}
		return u.own(base, h)
	case tar.TypeLink:
		return u.link(name, base, h)
	}
	return nil // devices, pipes and what is not known: a box has its own
}

// clean is a name without its ways around. One that leaves is refused, not mended.
func clean(name string) (string, error) {
	if len(name) > maxName || strings.ContainsRune(name, 0) {
		return "", refused("a name is too long, or holds a NUL byte")
	}
	name = strings.TrimLeft(name, "/") // tar itself drops it
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", refused("the name %.100q leaves the image", name)
		}
		if len(part) > 255 {
			return "", refused("the name %.100q… is too long", name)
		}
	}
	if strings.Count(name, "/") > maxDepth {
		return "", refused("the name %.100q… is too deep", name)
	}
	return path.Clean("./" + name), nil
}

// enter makes dir the folder in which the next entry is made. It has to be one of this layer's own.
func (u *unpacker) enter(dir, name string) error {
	if dir == u.atPath || dir == "." && u.at == u.root {
		return nil
	}
	if err := u.make(dir, name); err != nil {
		return err
	}
	at := u.root
	if dir != "." {
		var err error
		if at, err = u.root.OpenRoot(dir); err != nil {
			return err
		}
	}
	return u.move(at, dir)
}

func (u *unpacker) move(at *os.Root, dir string) (err error) {
	if u.at != u.root {
		err = u.at.Close()
	}
	u.at, u.atPath = at, dir
	return err
}

// make makes the folders of a path that no entry has told of.
func (u *unpacker) make(dir, name string) error {
	if _, ours := u.folders[dir]; ours {
		return nil
	}
	if err := u.make(path.Dir(dir), name); err != nil {
		return err
	}
	if u.hides[dir] { // hidden, and then made anew
		return u.unhide(dir, nil)
	}
	switch _, err := u.root.Lstat(dir); {
	case err == nil:
		return refused("%q lies below %q, which is no folder", name, dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := errors.Join(u.root.Mkdir(dir, 0o755), u.root.Lchown(dir, u.first, u.first)); err != nil {
		return err
	}
	u.folders[dir] = nil
	return nil
}

func (u *unpacker) folder(name, base string, h *tar.Header) error {
	if _, ours := u.folders[name]; ours {
		u.folders[name] = h
		return nil
	}
	if u.hides[name] {
		return u.unhide(name, h)
	}
	if err := u.clear(name, base); err != nil {
		return err
	}
	if err := u.at.Mkdir(base, 0o700); err != nil {
		return err
	}
	u.folders[name] = h // mode, owner and time are given when nothing is made in it any more
	return u.attributes(base, h)
}

// clear removes what an earlier entry has made under the same name.
func (u *unpacker) clear(name, base string) error {
	delete(u.hides, name)
	if _, ours := u.folders[name]; ours {
		for at := range u.folders {
			if at == name || strings.HasPrefix(at, name+"/") {
				delete(u.folders, at)
			}
		}
		return u.at.RemoveAll(base)
	}
	if err := u.at.Remove(base); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (u *unpacker) file(base string, h *tar.Header, content io.Reader) error {
	if err := u.limits.take(h.Size, 0); err != nil {
		return err
	}
	f, err := u.at.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, content)
	u.size += n
	if err != nil {
		return errors.Join(fmt.Errorf("read a layer: %w", err), f.Close())
	}
	for name, value := range kept(h) {
		if err := unix.Fsetxattr(int(f.Fd()), name, value, 0); err != nil && err != unix.ENOTSUP {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(f.Close(), u.own(base, h), u.at.Chmod(base, mode(h))); err != nil {
		return err
	}
	return u.at.Chtimes(base, time.Time{}, modified(h))
}

// link makes a hard link to a file of this layer. To one of a layer below there is no link: it would be a copy.
func (u *unpacker) link(name, base string, h *tar.Header) error {
	to, err := clean(h.Linkname)
	if err != nil {
		return err
	}
	if _, ours := u.folders[path.Dir(to)]; !ours {
		return refused("the hard link %q leads to %q, which is not in its layer", name, to)
	}
	switch st, err := u.root.Lstat(to); {
	case errors.Is(err, fs.ErrNotExist):
		return refused("the hard link %q leads to %q, which is not in its layer", name, to)
	case err != nil:
		return err
	case !st.Mode().IsRegular() && st.Mode().Type() != fs.ModeSymlink:
		return refused("the hard link %q leads to %q, which is no file", name, to)
	}
	if to == name {
		return nil
	}
	if strings.HasPrefix(to, name+"/") {
		return refused("the hard link %q leads to %q, whose place it takes", name, to)
	}
	if err := u.clear(name, base); err != nil {
		return err
	}
	return u.root.Link(to, name)
}

// own gives an entry the id of this machine that stands for the image's.
func (u *unpacker) own(base string, h *tar.Header) error {
	return u.at.Lchown(base, u.first+within(h.Uid), u.first+within(h.Gid))
}

func within(id int) int {
	if id < 0 || id >= box {
		return nobody
	}
	return id
}

// mode drops what gives rights: no file of an image makes anyone someone else.
func mode(h *tar.Header) fs.FileMode {
	m := fs.FileMode(h.Mode & 0o777)
	if h.Typeflag == tar.TypeDir && h.Mode&unix.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// modified is when the image says that a file was changed, if a file system can hold it.
func modified(h *tar.Header) time.Time {
	if s := h.ModTime.Unix(); s < 0 || s > math.MaxUint32 {
		return time.Unix(0, 0)
	}
	return h.ModTime
}

// attributes are set where they are users' own. All others mean something to the kernel: capabilities, access lists, and
// overlayfs's orders to look elsewhere.
func (u *unpacker) attributes(base string, h *tar.Header) error {
	values := kept(h)
	if len(values) == 0 {
		return nil
	}
	f, err := u.at.Open(base)
	if err != nil {
		return err
	}
	for name, value := range values {
		if err := unix.Fsetxattr(int(f.Fd()), name, value, 0); err != nil && err != unix.ENOTSUP {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func kept(h *tar.Header) map[string][]byte {
	var values map[string][]byte
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, "SCHILY.xattr.")
		if !ok || !strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "user.overlay.") || len(name) > 255 || len(value) > maxAttr {
			continue
		}
		if values == nil {
			values = map[string][]byte{}
		}
		values[name] = []byte(value)
	}
	return values
}

// finish gives the folders what they have in the image, once nothing is made in them any more.
func (u *unpacker) finish() error {
	for name, h := range u.folders {
		if h == nil {
			continue
		}
		if err := errors.Join(
			u.root.Lchown(name, u.first+within(h.Uid), u.first+within(h.Gid)), u.root.Chmod(name, mode(h)), u.root.Chtimes(name, time.Time{}, modified(h)),
		); err != nil {
			return err
		}
	}
	return nil
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{image.ErrRefused}, args...)...)
}
