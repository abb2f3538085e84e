package static

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/deploy/target"
)

// name names a new release: when it was made, of which commit, for which deployment of which artifact.
func name(now time.Time, d target.Deployment) string {
	sum := sha256.Sum256([]byte(d.ID + "\n" + string(d.Digest)))
	return fmt.Sprintf("%s-%s-%s", now.UTC().Format("20060102150405"), d.Commit[:12], hex.EncodeToString(sum[:4]))
}

// partial is a release that is being staged. Its folder is locked while its maker lives, so that what a dead one left
// can be told from what is at work.
type partial struct {
	path string
	lock *os.File
}

// partial makes one. The place must be locked, or sweep could take it away before it has its own lock.
func (p place) partial(release string) (*partial, error) {
	path, err := os.MkdirTemp(p.releases(), release+".*.partial")
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("static: lock %s: %w", path, err), f.Close())
	}
	return &partial{path, f}, nil
}

// files is where the files are laid out. It lies a folder deeper, so that what a half-done layout leaves beside it goes
// away with the partial.
func (s *partial) files() string { return filepath.Join(s.path, "files") }

// become gives the release its name. Another attempt of the same deployment may have been faster; then its release,
// which has the same content, stays.
func (s *partial) become(path string) error {
	err := unix.Rename(s.files(), path)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "rename", Path: path, Err: err}
	}
	return syncFolder(filepath.Dir(path))
}

// discard takes away what is left; what cannot be taken away is swept by the next deployment.
func (s *partial) discard() {
	_ = os.RemoveAll(s.path)
	_ = s.lock.Close()
}

// stage lays the files out, says in them what they are, and makes all of it durable.
func (t *Target) stage(ctx context.Context, s *partial, d target.Deployment, files target.Files) error {
	if err := files(ctx, d.Digest, s.files()); err != nil {
		return fmt.Errorf("static: lay out %s: %w", d.Digest.Short(), err)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	t.point("files laid out")
	root, err := os.OpenRoot(s.files())
	if err != nil {
		return fmt.Errorf("static: %w", err)
	}
	defer root.Close()
	if err := seal(ctx, root); err != nil {
		return err
	}
	if err := mark(root, marker{Digest: d.Digest, Commit: d.Commit, Deployment: d.ID}); err != nil {
		return err
	}
	// One call for the whole file system: a sync of each of many thousand small files takes minutes, and links cannot be
	// synced at all.
	if err := unix.Syncfs(int(s.lock.Fd())); err != nil {
		return fmt.Errorf("static: make the release durable: %w", err)
	}
	t.point("sealed")
	return nil
}

// seal makes everything readable by everyone, and refuses what must not be served: devices, pipes, links that lead out.
func seal(ctx context.Context, root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		switch e.Type() {
		case fs.ModeDir:
			err = root.Chmod(path, 0o755)
		case 0:
			st, err := e.Info()
			if err != nil {
				return fmt.Errorf("static: %w", err)
			}
			mode := fs.FileMode(0o644)
			if st.Mode()&0o111 != 0 {
				mode = 0o755
			}
			if err := root.Chmod(path, mode); err != nil {
				return fmt.Errorf("static: %w", err)
			}
		case fs.ModeSymlink:
			// The root follows the whole chain and fails where it leaves; that it leads nowhere harms nobody.
			if _, err := root.Stat(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: the artifact's link %q leads out of it", target.ErrRefused, path)
			}
		default:
			return fmt.Errorf("%w: the artifact's %q is neither a file, a folder nor a link", target.ErrRefused, path)
		}
		if err != nil {
			return fmt.Errorf("static: %w", err)
		}
		return nil
	})
}

// mark writes the marker into the release.
func mark(root *os.Root, m marker) error {
	dir := filepath.Dir(markerPath)
	switch st, err := root.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		if err := root.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("static: %w", err)
		}
		if err := root.Chmod(dir, 0o755); err != nil {
			return fmt.Errorf("static: %w", err)
		}
	case err != nil:
		return fmt.Errorf("static: %w", err)
	case !st.IsDir():
		return fmt.Errorf("%w: the artifact's %s is not a folder, and %s must be written there", target.ErrRefused, dir, markerPath)
	}
	f, err := root.OpenFile(markerPath, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: the artifact holds %s itself, where the release's own mark has to be; leave it out of the artifact's paths", target.ErrRefused, markerPath)
	}
	if err != nil {
		return fmt.Errorf("static: %w", err)
	}
	err = json.NewEncoder(f).Encode(m)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("static: %w", err)
	}
	return nil
}
