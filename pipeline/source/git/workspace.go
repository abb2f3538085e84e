package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// Workspace implements source.Source. The workspace has the commit's files, and those of parts, and no .git folder;
// other submodules are empty folders. Its links are the commit's links and may point anywhere: code of this server that reads from a workspace
// must do so through an os.Root, never by joining paths.
//
// Where overlays can be mounted it is one, in the server's mount namespace: nothing is copied, and what is written lies
// in a folder of its own. Elsewhere it is a copy, sharing blocks where the file system can.
func (s *Source) Workspace(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, id string, parts ...pipeline.Part) (source.Workspace, error) {
	if err := checkCommit(commit); err != nil {
		return nil, err
	}
	if err := checkID(id); err != nil {
		return nil, err
	}
	r, err := s.repository(repo)
	if err != nil {
		return nil, err
	}
	if w := s.takeSpare(repo, commit, id, parts); w != nil {
		return w, nil
	}
	w := &workspace{source: s, repository: r, id: id, folder: s.path("work", id)}
	s.mu.Lock()
	_, taken := s.open[id]
	if !taken {
		s.open[id] = w
	}
	s.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("source: a workspace named %q is open already", id)
	}
	if err := w.make(ctx, repo, commit, parts); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// workspace is a writable copy of one tree.
type workspace struct {
	source     *Source
	repository *repository
	id         string
	folder     string

	mu     sync.Mutex // held while it is made and while it is closed
	tree   *tree
	added  []*addition
	closed bool

	unclaimed *time.Timer // gives a spare one up; nil for others
}

// Dir implements source.Workspace.
func (w *workspace) Dir() string { return filepath.Join(w.folder, "merged") }

// Written implements source.Workspace.
func (w *workspace) Written() string {
	if w.source.lay.Overlay {
		return filepath.Join(w.folder, "upper")
	}
	return w.Dir()
}

func (w *workspace) make(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, parts []pipeline.Part) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.tree, err = w.source.tree(ctx, w.repository, repo, commit); err != nil {
		return err
	}
	if w.added, err = w.source.additions(ctx, w.repository, commit, parts); err != nil {
		return err
	}
	if err := w.build(ctx); err != nil {
		return fmt.Errorf("source: make a workspace of %s of %s: %w", commit.Short(), repo.Slug(), err)
	}
	return nil
}

func (w *workspace) build(ctx context.Context) error {
	s := w.source
	if err := os.Mkdir(w.folder, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(w.folder, 0o711); err != nil { // its owner passes through
		return err
	}
	if !s.lay.Overlay {
		if err := layers.Copy(ctx, w.tree.files(), w.Dir(), s.opts.Owner); err != nil {
			return err
		}
		for _, one := range w.added {
			if err := layers.Over(ctx, one.files(), w.Dir(), s.opts.Owner); err != nil {
				return err
			}
		}
		return s.own(w.Dir())
	}
	upper, scratch := filepath.Join(w.folder, "upper"), filepath.Join(w.folder, "scratch")
	for _, dir := range []string{upper, scratch, w.Dir()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := s.own(upper); err != nil { // what the mount's root shows
		return err
	}
	var lowers []string
	for _, one := range w.added {
		lowers = append(lowers, one.files())
	}
	return s.lay.Mount(append(lowers, w.tree.lowers()...), upper, scratch, w.Dir())
}

// own makes a folder the root of a workspace: its owner's, and closed to others of this machine.
func (s *Source) own(dir string) error {
	if !s.opts.Owner.Unchanged() {
		if err := os.Lchown(dir, s.opts.Owner.UID, s.opts.Owner.GID); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o750)
}

// Close implements source.Workspace. After an error it may be called again.
func (w *workspace) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if w.source.lay.Overlay {
		if err := layers.Unmount(w.Dir()); err != nil {
			return err
		}
	}
	if err := layers.RemoveAll(w.folder); err != nil {
		return fmt.Errorf("source: remove the workspace %s: %w", w.id, err)
	}
	w.closed = true
	if w.tree != nil {
		w.repository.leave(w.tree)
	}
	w.repository.giveBack(w.added)
	w.source.mu.Lock()
	delete(w.source.open, w.id)
	w.source.mu.Unlock()
	return nil
}
