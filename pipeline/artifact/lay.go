package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Lay writes the manifest's files below dir, which must be empty or absent while the folder above it exists. They are
// written to a folder beside dir that takes its name at the very end, so that dir never holds half an artifact. The
// files are not synced: a power cut may cost them, and laying them out again is safe.
func Lay(ctx context.Context, m Manifest, dir string, limits Limits, open func(pipeline.Digest) (io.ReadCloser, error)) (err error) {
	if err := m.Check(limits); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := vacant(dir); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".conveyor-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer root.Close()
	folders, err := layFolders(root, m)
	if err != nil {
		return err
	}
	if err := layFiles(ctx, root, folders, open); err != nil {
		return err
	}
	// Links come last: no file is ever written through one.
	for _, f := range m.Files {
		if f.Link == "" {
			continue
		}
		if err := root.Symlink(f.Link, f.Path); err != nil {
			return err
		}
	}
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	// The call itself, because os.Rename refuses an empty folder. The kernel refuses a full one.
	if err := unix.Rename(temp, dir); err != nil {
		return fmt.Errorf("give %s its name: %w", dir, err)
	}
	return nil
}

func vacant(dir string) error {
	st, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a folder; name one that is empty or does not exist", dir)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.ReadDir(1); err != io.EOF {
		return fmt.Errorf("%s is not empty; name a folder that is empty or does not exist", dir)
	}
	return nil
}

// layFolders makes the folders and returns the files of each.
func layFolders(root *os.Root, m Manifest) (map[string][]File, error) {
	made := map[string]bool{"": true}
	files := make(map[string][]File)
	var mkdir func(path string) error
	mkdir = func(path string) error {
		if made[path] {
			return nil
		}
		if err := mkdir(parentOf(path)); err != nil {
			return err
		}
		made[path] = true
		if err := root.Mkdir(path, 0o755); err != nil {
			return err
		}
		return root.Chmod(path, 0o755) // whatever the umask
	}
	for _, f := range m.Files {
		parent := parentOf(f.Path)
		if err := mkdir(parent); err != nil {
			return nil, err
		}
		if f.Link == "" {
			files[parent] = append(files[parent], f)
		}
	}
	return files, nil
}

func layFiles(ctx context.Context, root *os.Root, folders map[string][]File, open func(pipeline.Digest) (io.ReadCloser, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type batch struct {
		folder string
		files  []File
	}
	batches := make(chan batch)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			buf := make([]byte, 128<<10)
			for b := range batches {
				if err := layBatch(ctx, root, b.folder, b.files, open, buf); err != nil {
					cancel(err)
				}
			}
		})
	}
	for folder, files := range folders {
		for len(files) > 0 && ctx.Err() == nil {
			n := min(len(files), batchFiles)
			select {
			case batches <- batch{folder, files[:n]}:
			case <-ctx.Done():
			}
			files = files[n:]
		}
	}
	close(batches)
	workers.Wait()
	return context.Cause(ctx)
}

func layBatch(ctx context.Context, root *os.Root, folder string, files []File, open func(pipeline.Digest) (io.ReadCloser, error), buf []byte) error {
	d, err := root.OpenRoot("./" + folder)
	if err != nil {
		return err
	}
	defer d.Close()
	for _, f := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := layFile(ctx, d, f, open, buf); err != nil {
			return fmt.Errorf("write %q: %w", f.Path, err)
		}
	}
	return nil
}

func layFile(ctx context.Context, d *os.Root, f File, open func(pipeline.Digest) (io.ReadCloser, error), buf []byte) error {
	r, err := open(f.Digest)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := d.OpenFile(filepath.Base(f.Path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// One byte more than declared is enough to see that the manifest lies, and the digest is proven at the end only.
	limited := &io.LimitedReader{R: stoppable{ctx, r}, N: f.Size + 1}
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, limited, buf)
	if err == nil && n != f.Size {
		err = fmt.Errorf("%w: the manifest tells %d bytes, the content has others", ErrCorrupt, f.Size)
	}
	if err == nil {
		err = w.Chmod(os.FileMode(f.Mode)) // at the end, and whatever the umask
	}
	return errors.Join(err, w.Close())
}

// stoppable ends a long copy when the context ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
