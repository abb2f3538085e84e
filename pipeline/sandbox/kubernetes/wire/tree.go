package wire

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Most bounds what is unpacked. It is counted before it is written.
type Most struct {
	Bytes int64
	Files int64
}

// ErrMost is of a tree that is larger than it may be.
var ErrMost = errors.New("it is larger than it may be")

// Pack writes what below a folder is chosen, or all of it when choose is nil. Files, folders and links go over; a socket, a
// pipe or a device does not. What its owner has made unreadable for itself is made readable: it is the owner who packs.
func Pack(ctx context.Context, folder string, to io.Writer, choose func(name string, info fs.FileInfo) bool) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	buffer := bufio.NewWriterSize(to, 256<<10)
	p := packer{ctx, root, tar.NewWriter(buffer), choose}
	if err := p.folder("."); err != nil {
		return err
	}
	return errors.Join(p.to.Close(), buffer.Flush())
}

type packer struct {
	ctx    context.Context
	root   *os.Root
	to     *tar.Writer
	choose func(string, fs.FileInfo) bool
}

// folder does not hold a folder open while it is below it: trees may be deeper than a process may have files open.
func (p *packer) folder(name string) error {
	entries, err := p.list(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		below := path.Join(name, e.Name())
		info, err := p.root.Lstat(below)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if p.choose == nil || p.choose(below, info) {
			if err := p.one(below, info); err != nil {
				return fmt.Errorf("%s: %w", below, err)
			}
		}
		if info.IsDir() {
			if err := p.folder(below); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *packer) list(name string) ([]fs.DirEntry, error) {
	d, err := p.root.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		_ = p.root.Chmod(name, 0o700)
		d, err = p.root.Open(name)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	entries, err := d.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

func (p *packer) one(name string, info fs.FileInfo) error {
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return p.to.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := p.root.Readlink(name)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, to
		return p.to.WriteHeader(h)
	case !info.Mode().IsRegular():
		return nil
	}
	f, err := p.root.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		_ = p.root.Chmod(name, info.Mode().Perm()|0o400)
		f, err = p.root.Open(name)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	now, err := f.Stat()
	if err != nil || !now.Mode().IsRegular() {
		return errors.Join(err, errors.New("it is no file any more"))
	}
	h.Typeflag, h.Size = tar.TypeReg, now.Size()
	if err := p.to.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(p.to, f, h.Size); err != nil {
		return fmt.Errorf("it shrank while it was read: %w", err)
	}
	return nil
}

// Unpack writes a tree into a folder. Whoever packed it is not trusted: a name that leads out, an entry that is no file,
// folder or link, or more than it may be, is an error. Nothing is written through a link, and none is followed out. What is
// there under a name that comes is replaced; a folder stays.
func Unpack(ctx context.Context, from io.Reader, folder string, most Most, uid, gid int) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	u := unpacker{root: root, most: most, uid: uid, gid: gid}
	archive := tar.NewReader(from)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := u.one(h, archive); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, err)
		}
	}
	return u.finish()
}

type unpacker struct {
	root     *os.Root
	most     Most
	uid, gid int
	folders  []*tar.Header // their modes and times come last, or nothing could be written into them
	within   string        // the folder that was looked at last, and is one all the way
}

func (u *unpacker) one(h *tar.Header, from io.Reader) error {
	name := path.Clean(h.Name)
	if !filepath.IsLocal(h.Name) || name == "." {
		return errors.New("it leads out of its folder")
	}
	if u.most.Files--; u.most.Files < 0 {
		return ErrMost
	}
	if h.Typeflag == tar.TypeReg {
		if u.most.Bytes -= h.Size; u.most.Bytes < 0 || h.Size < 0 {
			return ErrMost
		}
	}
	if err := u.above(path.Dir(name)); err != nil {
		return err
	}
	there, err := u.root.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && (h.Typeflag != tar.TypeDir || !there.IsDir()) {
		if err := u.root.RemoveAll(name); err != nil {
			return err
		}
		there, u.within = nil, ""
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if there == nil {
			if err := u.root.Mkdir(name, 0o700); err != nil {
				return err
			}
		} else if err := u.root.Chmod(name, there.Mode().Perm()|0o700); err != nil {
			return err
		}
		u.folders = append(u.folders, h)
		return u.own(name)
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		return u.own(name)
	case tar.TypeReg:
		return u.file(name, h, from)
	}
	return errors.New("it is no file, no folder and no link")
}

// above makes sure that what an entry lies in are folders: a link there is never walked through.
func (u *unpacker) above(dir string) error {
	if dir == "." || dir == u.within {
		return nil
	}
	for end := 1; end <= len(dir); end++ {
		if end < len(dir) && dir[end] != '/' {
			continue
		}
		if info, err := u.root.Lstat(dir[:end]); err != nil || !info.IsDir() {
			return errors.New("it lies in no folder of its tree")
		}
	}
	u.within = dir
	return nil
}

func (u *unpacker) file(name string, h *tar.Header, from io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, from, h.Size)
	if err := errors.Join(err, f.Chmod(fs.FileMode(h.Mode).Perm()), f.Close()); err != nil {
		return err
	}
	if err := u.own(name); err != nil {
		return err
	}
	return u.root.Chtimes(name, time.Time{}, h.ModTime)
}

func (u *unpacker) own(name string) error {
	if u.uid < 0 {
		return nil
	}
	return u.root.Lchown(name, u.uid, u.gid)
}

func (u *unpacker) finish() error {
	for _, h := range slices.Backward(u.folders) {
		name := path.Clean(h.Name)
		info, err := u.root.Lstat(name)
		if err != nil || !info.IsDir() {
			continue // something else of the same name has come after it
		}
		if err := errors.Join(u.root.Chmod(name, fs.FileMode(h.Mode).Perm()), u.root.Chtimes(name, time.Time{}, h.ModTime)); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes away what is gone on the other side.
func Remove(folder string, names []string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, name := range names {
		if !filepath.IsLocal(name) || path.Clean(name) != name || name == "." {
			return fmt.Errorf("%.200q leads out of its folder", name)
		}
		if dir := path.Dir(name); dir != "." {
			if info, err := root.Lstat(dir); err != nil || !info.IsDir() {
				continue // it went with the folder that it was in
			}
		}
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// Seen is what a folder held when it was looked at: what changes afterwards can be told from what does not.
type Seen map[string]stamp

type stamp struct {
	size         int64
	mode         fs.FileMode
	inode        uint64
	wrote, chain syscall.Timespec // of the content, and of anything: nobody but the kernel sets the second
}

// Look remembers a folder.
func Look(folder string) (Seen, error) {
	s := Seen{}
	return s, s.walk(folder, func(name string, now stamp) { s[name] = now })
}

func (s Seen) walk(folder string, each func(string, stamp)) error {
	return filepath.WalkDir(folder, func(at string, e fs.DirEntry, err error) error {
		if err != nil || at == folder {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, at)
		if err == nil {
			each(name, stampOf(info))
		}
		return err
	})
}

func stampOf(info fs.FileInfo) stamp {
	st := info.Sys().(*syscall.Stat_t)
	return stamp{size: st.Size, mode: info.Mode(), inode: st.Ino, wrote: st.Mtim, chain: st.Ctim}
}

// Gone are the names that are not there any more: each, but not what was in a folder that is gone.
func (s Seen) Gone(folder string) (gone []string, err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	for name := range s {
		if _, err := root.Lstat(name); err != nil {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

// Changed tells whether something is new or other than it was.
func (s Seen) Changed(name string, info fs.FileInfo) bool {
	was, known := s[name]
	return !known || was != stampOf(info)
}

// Size is what a folder holds, as a bound for what comes of it.
func Size(folder string) (m Most) {
	_ = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		m.Files++
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			m.Bytes += info.Size()
		}
		return nil
	})
	return m
}
