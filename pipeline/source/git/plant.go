package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// ErrNoRepository says that a folder is in no working tree of Git.
var ErrNoRepository = errors.New("source: the folder is not in a working tree of git")

// Planted is a working folder as it was recorded.
type Planted struct {
	Commit pipeline.Commit
	Tree   string // Git's id of all files
	Head   pipeline.Commit
	Dirty  bool // the files are not those of Head
	Branch string
	Origin string // the address of its remote, as it is written there
}

// Top is the folder of the working tree that a folder is in.
func (s *Source) Top(ctx context.Context, folder string) (string, error) {
	out, err := s.git.run(ctx, call{args: []string{"-C", folder, "rev-parse", "--show-toplevel"}})
	if err != nil {
		return "", fmt.Errorf("%w: %s; make it one with git init", ErrNoRepository, folder)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// Plant records a working folder as it stands, as if it had been committed and fetched: what git tracks there and what it
// does not ignore. Only the .gitignore files of the folder and its info/exclude count, and no setting of this machine, so
// that the same files are the same tree everywhere. The folder and its repository are only read. When nothing was changed,
// the commit is the folder's own.
func (s *Source) Plant(ctx context.Context, repo pipeline.Repo, top string) (p Planted, err error) {
	r, err := s.repository(repo)
	if err != nil {
		return p, err
	}
	if err := r.fetch.enter(ctx); err != nil {
		return p, fmt.Errorf("source: wait for a fetch of %s: %w", repo.Slug(), err)
	}
	defer r.fetch.leave()
	if err := errors.Join(s.openMirror(ctx, r), s.recall(ctx, r)); err != nil {
		return p, err
	}
	where := func(args ...string) (string, error) {
		out, err := s.git.run(ctx, call{args: append([]string{"-C", top}, args...)})
		return strings.TrimSuffix(string(out), "\n"), err
	}
	dir, err := where("rev-parse", "--absolute-git-dir")
	if err != nil {
		return p, fmt.Errorf("%w: %s; make it one with git init", ErrNoRepository, top)
	}
	objects, err := where("rev-parse", "--path-format=absolute", "--git-path", "objects")
	if err != nil {
		return p, fmt.Errorf("source: find the objects of %s: %w", top, err)
	}
	index, err := where("rev-parse", "--path-format=absolute", "--git-path", "index")
	if err != nil {
		return p, fmt.Errorf("source: find the index of %s: %w", top, err)
	}
	// The mirror shows what the folder's repository has, and holds what is new.
	if err := os.WriteFile(filepath.Join(r.mirror, "objects", "info", "alternates"), []byte(objects+"\n"), 0o600); err != nil {
		return p, fmt.Errorf("source: use the objects of %s: %w", top, err)
	}
	fresh := filepath.Join(r.mirror, "plant.index") // as git last saw the folder: only what has changed since is read
	_ = os.Remove(fresh)                            // of an earlier time
	if data, err := os.ReadFile(index); err == nil {
		if err := os.WriteFile(fresh, data, 0o600); err != nil {
			return p, fmt.Errorf("source: copy the index of %s: %w", top, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("source: read the index of %s: %w", top, err)
	}
	env := []string{"GIT_WORK_TREE=" + top, "GIT_INDEX_FILE=" + fresh, "GIT_OBJECT_DIRECTORY=" + filepath.Join(r.mirror, "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + objects}
	if _, err := s.git.run(ctx, call{dir: dir, env: env, args: []string{"-C", top, "add", "--all"}}); err != nil {
		return p, fmt.Errorf("source: record %s: %w", top, err)
	}
	out, err := s.git.run(ctx, call{dir: dir, env: env, args: []string{"-C", top, "write-tree"}})
	if err != nil {
		return p, fmt.Errorf("source: record %s: %w", top, err)
	}
	p.Tree = strings.TrimSpace(string(out))
	p.Branch, _ = where("symbolic-ref", "--short", "--quiet", "HEAD") // none when it is detached
	p.Origin, _ = where("config", "--get", "remote.origin.url")
	if head, err := where("rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err == nil {
		tree, err := where("rev-parse", "--verify", "--quiet", "HEAD^{tree}")
		p.Head, p.Dirty = pipeline.Commit(head), err != nil || tree != p.Tree
	}
	p.Commit = p.Head
	if p.Head == "" || p.Dirty {
		if p.Commit, err = s.commit(ctx, r, time.Unix(0, 0), "the working tree, as it stood", p.Tree); err != nil {
			return p, fmt.Errorf("source: record %s: %w", top, err)
		}
	}
	if !p.Commit.Valid() {
		return p, fmt.Errorf("%w: %q is no commit that is known here", source.ErrUnusable, p.Commit)
	}
	keep := call{dir: r.mirror, args: []string{"update-ref", "--no-deref", "--end-of-options", keptRef(p.Commit), string(p.Commit)}}
	if _, err := s.git.run(ctx, keep); err != nil {
		return p, fmt.Errorf("source: keep what was recorded of %s: %w", top, err)
	}
	r.know(p.Commit)
	return p, nil
}
