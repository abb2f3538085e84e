package git

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
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// addition is what workspaces have besides the commit's own files: a layer above the tree, written once. It is named by what
// is in it, so that commits that have the same submodules share it. It lives as long as the server.
type addition struct {
	folder string
	users  int
	used   uint64
}

func (a *addition) files() string { return filepath.Join(a.folder, "files") }

// additionsKept is how many are kept for each repository.
const additionsKept = 8

// additions returns the layers of what a workspace has besides its commit's files, each with one more user. What is the
// commit's own (its files in Git LFS) is a layer of its own, so that the next commit has only that anew.
func (s *Source) additions(ctx context.Context, r *repository, commit pipeline.Commit, parts []pipeline.Part) (all []*addition, err error) {
	var own, others []pipeline.Part
	for _, p := range parts {
		if p.Path == "" {
			p.Commit = commit
			own = append(own, p)
			continue
		}
		others = append(others, p)
	}
	for _, group := range [][]pipeline.Part{own, others} {
		if len(group) == 0 {
			continue
		}
		one, err := s.addition(ctx, r, group)
		if err != nil {
			r.giveBack(all)
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *Source) addition(ctx context.Context, r *repository, parts []pipeline.Part) (*addition, error) {
	name, err := additionName(parts)
	if err != nil {
		return nil, err
	}
	// One at a time; a tree of another repository is laid out meanwhile, whose gate never waits for this one.
	if err := r.adding.enter(ctx); err != nil {
		return nil, fmt.Errorf("source: wait for other parts of workspaces: %w", err)
	}
	defer r.adding.leave()
	use := func() *addition {
		r.state.Lock()
		defer r.state.Unlock()
		one := r.added[name]
		if one != nil {
			r.moment++
			one.users, one.used = one.users+1, r.moment
		}
		return one
	}
	if one := use(); one != nil {
		return one, nil
	}
	fresh := s.path("added", fmt.Sprintf("%d-%s", r.id, name))
	if err := emptyAgain(fresh); err != nil {
		return nil, fmt.Errorf("source: make room for parts of workspaces: %w", err)
	}
	if err := s.fillAll(ctx, fresh, parts); err != nil {
		return nil, errors.Join(err, layers.RemoveAll(fresh))
	}
	r.state.Lock()
	r.added[name] = &addition{folder: fresh}
	r.state.Unlock()
	one := use()
	s.pruneAdded(r)
	return one, nil
}

func additionName(parts []pipeline.Part) (string, error) {
	said, err := json.Marshal(parts)
	sum := sha256.Sum256(said)
	return hex.EncodeToString(sum[:12]), err
}

// fillAll lays all parts out below a fresh folder, the outer ones first.
func (s *Source) fillAll(ctx context.Context, fresh string, parts []pipeline.Part) error {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b pipeline.Part) int { return strings.Compare(a.Path, b.Path) })
	files, total := filepath.Join(fresh, "files"), int64(0)
	for _, p := range parts {
		r, err := s.repository(p.Repo)
		if err != nil {
			return err
		}
		at := files
		if p.Path != "" {
			if at, err = makeFolder(files, p.Path); err != nil {
				return err
			}
			if ok, err := s.holds(ctx, r, p.Commit); err != nil {
				return err
			} else if !ok {
				return fmt.Errorf("%w: %s of %s was not fetched", source.ErrNoCommit, p.Commit.Short(), p.Repo.Slug())
			}
			_, size, err := s.checkOut(ctx, r, p.Commit, at, filepath.Join(fresh, "index"))
			if total += size; err == nil && total > s.opts.MaxTree {
				err = fmt.Errorf("%w: the parts of the workspace have %d bytes, more than the %d that are allowed", source.ErrUnusable, total, s.opts.MaxTree)
			}
			if err == nil {
				err = os.Remove(filepath.Join(fresh, "index"))
			}
			if err != nil {
				return fmt.Errorf("source: lay out %s of %s: %w", p.Commit.Short(), p.Repo.Slug(), err)
			}
		}
		if p.History {
			if err := s.placeHistory(ctx, r, p.Commit, at); err != nil {
				return fmt.Errorf("source: place the history of %s: %w", p.Repo.Slug(), err)
			}
		}
		if p.LFS {
			if err := s.placeLarge(ctx, r, p, at); err != nil {
				return err
			}
		}
	}
	return s.seal(files)
}

// makeFolder makes a folder below another, part by part, and never through a link.
func makeFolder(top, below string) (string, error) {
	if err := checkPath(below); err != nil {
		return "", err
	}
	at := top
	for part := range strings.SplitSeq(below, "/") {
		at = filepath.Join(at, part)
		if err := os.Mkdir(at, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("source: make the folder %s: %w", below, err)
		}
		if info, err := os.Lstat(at); err != nil {
			return "", fmt.Errorf("source: make the folder %s: %w", below, err)
		} else if !info.IsDir() {
			return "", fmt.Errorf("%w: %s would lie behind something that is no folder", source.ErrUnusable, below)
		}
	}
	return at, nil
}

func (r *repository) giveBack(all []*addition) {
	r.state.Lock()
	defer r.state.Unlock()
	for _, one := range all {
		one.users--
	}
}

// pruneAdded removes what was not used for the longest time. The caller holds the gate.
func (s *Source) pruneAdded(r *repository) {
	for {
		r.state.Lock()
		oldest := ""
		for name, one := range r.added {
			if one.users == 0 && (oldest == "" || one.used < r.added[oldest].used) {
				oldest = name
			}
		}
		if len(r.added) <= additionsKept || oldest == "" {
			r.state.Unlock()
			return
		}
		gone := r.added[oldest]
		delete(r.added, oldest)
		r.state.Unlock()
		if err := layers.RemoveAll(gone.folder); err != nil {
			s.log.Warn("unused parts of workspaces could not be removed", "repository", r.id, "error", err)
		}
	}
}
