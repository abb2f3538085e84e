package layers

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Owner is a user and group of this machine by number. -1 leaves it as it is.
type Owner struct{ UID, GID int }

// Unchanged reports whether nothing is given away.
func (o Owner) Unchanged() bool { return o.UID < 0 && o.GID < 0 }

// Copy copies a tree that nobody writes to: folders, files with mode and time, links as links. The kernel copies,
// and shares blocks where the file system can (copy_file_range).
func Copy(ctx context.Context, from, to string, owner Owner) error {
	return copyAll(ctx, from, to, owner, false)
}

// Over is Copy into a tree that is there: its folders stay, and files take the place of files.
func Over(ctx context.Context, from, to string, owner Owner) error {
	return copyAll(ctx, from, to, owner, true)
}

func copyAll(ctx context.Context, from, to string, owner Owner, over bool) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		there, missing := os.Lstat(target)
		if over && missing == nil && !(d.IsDir() && there.IsDir()) {
			if err := os.Remove(target); err != nil {
				return err
			}
		}
		switch {
		case d.IsDir() && over && missing == nil && there.IsDir():
		case d.IsDir():
			err = os.Mkdir(target, 0o700)
		case d.Type()&fs.ModeSymlink != 0:
			var points string
			if points, err = os.Readlink(path); err == nil {
				err = os.Symlink(points, target)
			}
		default:
			err = copyFile(path, target)
		}
		if err == nil && !owner.Unchanged() {
			err = os.Lchown(target, owner.UID, owner.GID)
		}
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if err := os.Chmod(target, info.Mode().Perm()); err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(target, info.ModTime(), info.ModTime())
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// RemoveAll removes a folder and follows no link out of it. A step may have taken its own right to write from a
// folder; that is given back where removing fails. Removing what is not there is no error.
func RemoveAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
