package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// tree is a commit's files, laid out once and never written again. It holds nothing but what the commit holds, so that
// runs of different trust can stand on the same one.
//
// A complete tree has all files. A layer has what differs from a complete tree, its base, in the form in which an
// overlay mount keeps it; so the next commit of a big repository costs its changes only.
type tree struct {
	commit  pipeline.Commit
	folder  string
	base    *tree
	entries int    // how many files a complete tree has
	users   int    // open workspaces and layers that stand on it; at 0 it may be removed
	used    uint64 // the moment of its last use
}

func (t *tree) files() string { return filepath.Join(t.folder, "files") }

// lowers are the folders of the tree, the topmost first.
func (t *tree) lowers() []string {
	if t.base == nil {
		return []string{t.files()}
	}
	return []string{t.files(), t.base.files()}
}

// tree returns a commit's tree, laid out when it was not there, with one more user. Call leave when done with it.
func (s *Source) tree(ctx context.Context, r *repository, repo pipeline.Repo, commit pipeline.Commit) (*tree, error) {
	if t := r.use(commit); t != nil {
		return t, nil
	}
	if err := r.layout.enter(ctx); err != nil {
		return nil, fmt.Errorf("source: wait for another checkout of %s: %w", repo.Slug(), err)
	}
	defer r.layout.leave()
	if err := s.loadTrees(r); err != nil {
		return nil, err
	}
	if t := r.use(commit); t != nil {
		return t, nil
	}
	if ok, err := s.holds(ctx, r, commit); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("%w: %s of %s was not fetched", source.ErrNoCommit, commit.Short(), repo.Slug())
	}
	t, err := s.layOut(ctx, r, repo, commit)
	if err != nil {
		return nil, err
	}
	r.state.Lock()
	r.kept[commit] = t
	if t.base != nil {
		t.base.users++
	}
	r.state.Unlock()
	t = r.use(commit)
	s.prune(r)
	return t, nil
}

// use returns a tree that is there, with one more user, or nil.
func (r *repository) use(commit pipeline.Commit) *tree {
	r.state.Lock()
	defer r.state.Unlock()
	t := r.kept[commit]
	if t == nil {
		return nil
	}
	r.moment++
	t.users++
	t.used = r.moment
	if t.base != nil {
		t.base.used = r.moment
	}
	return t
}

// leave takes a user away.
func (r *repository) leave(t *tree) {
	r.state.Lock()
	defer r.state.Unlock()
	t.users--
}

// prune removes the trees that were not used for the longest time, down to the number that is kept. The caller holds
// the layout gate.
func (s *Source) prune(r *repository) {
	for {
		r.state.Lock()
		var oldest *tree
		for _, t := range r.kept {
			if t.users == 0 && (oldest == nil || t.used < oldest.used) {
				oldest = t
			}
		}
		if len(r.kept) <= s.opts.Trees || oldest == nil {
			r.state.Unlock()
			return
		}
		delete(r.kept, oldest.commit)
		if oldest.base != nil {
			oldest.base.users--
		}
		r.state.Unlock()
		// The new name says that it is no tree any more, should the server end before all of it is gone.
		gone := filepath.Join(r.trees, ".gone-"+string(oldest.commit))
		err := os.Rename(oldest.folder, gone)
		if err == nil {
			err = layers.RemoveAll(gone)
		}
		if err != nil {
			s.log.Warn("an unused tree could not be removed", "repository", r.id, "error", err)
		}
	}
}

// loadTrees finds the trees of an earlier server, once. The caller holds the layout gate.
func (s *Source) loadTrees(r *repository) error {
	r.state.Lock()
	defer r.state.Unlock()
	if r.kept != nil {
		return nil
	}
	if err := os.MkdirAll(r.trees, 0o700); err != nil {
		return fmt.Errorf("source: create a folder for trees: %w", err)
	}
	entries, err := os.ReadDir(r.trees)
	if err != nil {
		return fmt.Errorf("source: look for trees: %w", err)
	}
	age := map[*tree]int64{}
	found, bases := map[pipeline.Commit]*tree{}, map[*tree]pipeline.Commit{}
	for _, e := range entries {
		t := &tree{commit: pipeline.Commit(e.Name()), folder: filepath.Join(r.trees, e.Name())}
		base, err := os.ReadFile(filepath.Join(t.folder, "base"))
		info, statErr := e.Info()
		switch {
		case !t.commit.Valid() || statErr != nil:
			err = layers.RemoveAll(t.folder) // half made or half removed
		case errors.Is(err, os.ErrNotExist):
			t.entries, err = indexEntries(filepath.Join(t.folder, "index"))
			found[t.commit], age[t] = t, info.ModTime().UnixNano()
		case err == nil:
			bases[t] = pipeline.Commit(strings.TrimSpace(string(base)))
			found[t.commit], age[t] = t, info.ModTime().UnixNano()
		}
		if err != nil {
			return fmt.Errorf("source: look at a tree: %w", err)
		}
	}
	for t, base := range bases {
		if t.base = found[base]; t.base == nil || t.base.entries == 0 {
			delete(found, t.commit)
			if err := layers.RemoveAll(t.folder); err != nil {
				return fmt.Errorf("source: remove a layer without its base: %w", err)
			}
			continue
		}
		t.base.users++
	}
	inOrder := make([]*tree, 0, len(found))
	for _, t := range found {
		inOrder = append(inOrder, t)
	}
	slices.SortFunc(inOrder, func(a, b *tree) int { return cmp.Compare(age[a], age[b]) })
	for _, t := range inOrder {
		r.moment++
		t.used = r.moment
	}
	r.kept = found
	return nil
}

// forgetUnsureTrees removes all trees when the machine was started anew (they are not synced to disk, so that a power
// cut leaves holes in them), when they belong to somebody else than now, or when workspaces are made in another way.
func (s *Source) forgetUnsureTrees() error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("source: ask the kernel when it was started: %w", err)
	}
	stamp := fmt.Sprintf("1 %s %d:%d %t\n", strings.TrimSpace(string(boot)), s.opts.Owner.UID, s.opts.Owner.GID, s.lay.Overlay)
	file := s.path("trees", "stamp")
	if old, err := os.ReadFile(file); err == nil && string(old) == stamp {
		return nil
	}
	if err := layers.RemoveAll(s.path("trees")); err != nil {
		return fmt.Errorf("source: clear the trees of an earlier start: %w", err)
	}
	if err := os.Mkdir(s.path("trees"), 0o700); err != nil {
		return fmt.Errorf("source: create a folder for trees: %w", err)
	}
	if err := os.WriteFile(file, []byte(stamp), 0o600); err != nil {
		return fmt.Errorf("source: mark the trees: %w", err)
	}
	return nil
}
