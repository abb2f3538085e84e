package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// Lent is a cache's folders in the hands of one step. Close takes them back.
type Lent struct {
	Folders []Folder
	From    Key   // what they hold; the zero key when they are empty
	Exact   bool  // From is what was asked for
	Size    int64 // bytes of what they hold

	store  *Store
	asker  Asker
	key    Key
	id     string
	digest string // of the entry below, empty when there is none
	closed bool
}

// Folder is one folder of a cache.
type Folder struct {
	Source string // where it is
	Writes string // where what is written to it lies
	Target string // as the plan names it: "node_modules", "~/.npm"
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,199}$`)

// ErrTaken means that the commit itself holds something where a folder of the cache would be.
var ErrTaken = errors.New("cache: the commit holds files there")

// Lend prepares the folders of a cache for a step, with the contents of the key, with the newest of its family, or empty.
// id is unique among the steps that run. workspace is a fresh one; a folder that the commit has is not hidden.
func (s *Store) Lend(ctx context.Context, asker Asker, id string, spec pipeline.CacheSpec, key Key, workspace string) (_ *Lent, err error) {
	if !idForm.MatchString(id) || !hexForm.MatchString(key.Family) || !hexForm.MatchString(key.Name) || asker.Repository <= 0 {
		return nil, fmt.Errorf("cache: %q of repository %d wants %q, which names nothing", id, asker.Repository, key)
	}
	if err := free(workspace, spec.Paths); err != nil {
		return nil, err
	}
	l := &Lent{store: s, asker: asker, key: key, id: id}
	s.mu.Lock()
	taken := s.open[id] != nil
	if !taken {
		s.open[id] = l
	}
	s.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("cache: the step %s has one already", id)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if found, r := s.find(name{asker.Repository, key.Family, key.Name}); r != nil {
		l.From, l.Exact, l.Size, l.digest = Key{found.family, found.name}, found.name == key.Name, r.Size, r.Digest
	}
	if err := os.Mkdir(s.path("work", id), 0o711); err != nil {
		return nil, fmt.Errorf("cache: make a place for %s: %w", id, err)
	}
	for i, target := range spec.Paths {
		f, err := l.layOut(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("cache: lay %s out: %w", target, err)
		}
		f.Target = strings.TrimPrefix(target, "./")
		l.Folders = append(l.Folders, f)
	}
	return l, nil
}

// free wants nothing of the commit to be at the paths of the workspace, nor a link on the way to them.
func free(workspace string, paths []string) error {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return fmt.Errorf("cache: look at the workspace: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, path := range paths {
		path = strings.TrimPrefix(path, "./")
		if strings.HasPrefix(path, "~/") {
			continue
		}
		at := ""
		for part := range strings.SplitSeq(path, "/") {
			at = filepath.Join(at, part)
			info, err := root.Lstat(at)
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil {
				return fmt.Errorf("cache: look at %s: %w", at, err)
			}
			if at == filepath.Clean(path) || !info.IsDir() {
				return fmt.Errorf("%w: %s", ErrTaken, at)
			}
		}
	}
	return nil
}

// layOut makes the i-th folder: an overlay on the entry's, a copy of it, or an empty one.
func (l *Lent) layOut(ctx context.Context, i int) (f Folder, err error) {
	s, at := l.store, l.path(i)
	below := l.store.path(entryFolder(l.digest), strconv.Itoa(i))
	if err := os.Mkdir(at, 0o711); err != nil {
		return f, err
	}
	f.Source = filepath.Join(at, "files")
	f.Writes = f.Source
	switch {
	case l.digest == "":
		if err := os.Mkdir(f.Source, 0o755); err != nil {
			return f, err
		}
		return f, s.own(f.Source)
	case !s.lay.Overlay:
		return f, layers.Copy(ctx, below, f.Source, s.opts.Owner)
	}
	f.Writes = filepath.Join(at, "upper")
	for _, dir := range []string{f.Writes, filepath.Join(at, "scratch"), f.Source} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return f, err
		}
	}
	if err := s.own(f.Writes); err != nil { // what the mount's root shows
		return f, err
	}
	return f, s.lay.Mount([]string{below}, f.Writes, filepath.Join(at, "scratch"), f.Source)
}

func (s *Store) own(dir string) error {
	if !s.opts.Owner.Unchanged() {
		if err := os.Lchown(dir, s.opts.Owner.UID, s.opts.Owner.GID); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}

// Key is what was asked for.
func (l *Lent) Key() Key { return l.key }

func (l *Lent) path(i int) string { return l.store.path("work", l.id, strconv.Itoa(i)) }

// Close takes the folders back, with all that was written to them. It may be repeated, after an error too.
func (l *Lent) Close() error {
	if l.closed {
		return nil
	}
	for i := range l.Folders {
		if err := layers.Unmount(filepath.Join(l.path(i), "files")); err != nil {
			return fmt.Errorf("cache: %w", err)
		}
	}
	if err := layers.UnmountBelow(l.store.path("work", l.id)); err != nil { // of one that was never finished
		return fmt.Errorf("cache: %w", err)
	}
	if err := layers.RemoveAll(l.store.path("work", l.id)); err != nil {
		return fmt.Errorf("cache: take back what %s had: %w", l.id, err)
	}
	l.closed = true
	if l.digest != "" {
		l.store.leave(l.digest)
	}
	l.store.mu.Lock()
	delete(l.store.open, l.id)
	l.store.mu.Unlock()
	return nil
}
