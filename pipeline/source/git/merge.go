package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// Merged is what came of a merge.
type Merged struct {
	Commit    pipeline.Commit
	Conflicts []string // the paths that cannot be merged; then there is no commit
}

// Merge makes the commit that a pull request would be once it is merged: its tree is what git makes of both, its parents are
// base and head, and nothing else. All three commits must have been fetched. The same commits and time give the same
// commit, so that it can be made again when the mirror has dropped it.
//
// The mirror has no history, and needs none: what both come from is known, so that git is given three commits that say just
// that. Drivers of a merge that a repository names are never run.
func (s *Source) Merge(ctx context.Context, repo pipeline.Repo, ancestor, base, head pipeline.Commit, at time.Time) (m Merged, err error) {
	r, err := s.repository(repo)
	if err != nil {
		return m, err
	}
	fail := func(err error) (Merged, error) {
		return Merged{}, fmt.Errorf("source: merge %s and %s of %s: %w", base.Short(), head.Short(), repo.Slug(), err)
	}
	var trees []string
	for _, c := range []pipeline.Commit{ancestor, base, head} {
		tree, err := s.Tree(ctx, repo, c)
		if err != nil {
			return m, err
		}
		trees = append(trees, tree)
	}
	if err := r.fetch.enter(ctx); err != nil { // what is made is not tidied away before it is kept
		return fail(err)
	}
	defer r.fetch.leave()
	from, err := s.commit(ctx, r, time.Unix(0, 0), "what both come from", trees[0])
	if err != nil {
		return fail(err)
	}
	ours, err := s.commit(ctx, r, time.Unix(0, 0), "the base", trees[1], from)
	if err != nil {
		return fail(err)
	}
	theirs, err := s.commit(ctx, r, time.Unix(0, 0), "the head", trees[2], from)
	if err != nil {
		return fail(err)
	}
	tree, conflicts, err := s.mergeTrees(ctx, r, ours, theirs)
	if err != nil || len(conflicts) > 0 {
		if err != nil {
			return fail(err)
		}
		return Merged{Conflicts: conflicts}, nil
	}
	m.Commit, err = s.commit(ctx, r, at, fmt.Sprintf("Merge %s into %s", head, base), tree, base, head)
	if err != nil {
		return fail(err)
	}
	if !m.Commit.Valid() {
		return fail(fmt.Errorf("%w: git answered %q", source.ErrUnusable, oneLine(string(m.Commit), 60)))
	}
	keep := call{dir: r.mirror, args: []string{"update-ref", "--no-deref", "--end-of-options", keptRef(m.Commit), string(m.Commit)}}
	if _, err := s.git.run(ctx, keep); err != nil {
		return fail(err)
	}
	r.know(m.Commit)
	return m, nil
}

// mergeTrees merges what two commits hold, without a work tree. https://git-scm.com/docs/git-merge-tree
func (s *Source) mergeTrees(ctx context.Context, r *repository, ours, theirs pipeline.Commit) (tree string, conflicts []string, err error) {
	// git ends with 1 where there are conflicts, and its output is wanted then, too.
	p, err := s.git.start(ctx, call{dir: r.mirror, limit: mostPaths,
		args: []string{"merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", string(ours), string(theirs)}})
	if err != nil {
		return "", nil, err
	}
	_, err = p.wait()
	out := strings.Split(strings.TrimRight(string(p.out.bytes), "\x00"), "\x00")
	var f *failure
	switch {
	case err == nil:
		return strings.TrimSpace(out[0]), nil, nil
	case errors.As(err, &f) && f.code == 1 && len(out) > 1:
		for _, path := range out[1:] {
			conflicts = append(conflicts, oneLine(path, 100))
		}
		return "", conflicts, nil
	case errors.As(err, &f) && f.code == 129:
		return "", nil, fmt.Errorf("git %s cannot merge without a work tree; 2.38 and later can: %w", s.git.version, err)
	}
	return "", nil, err
}

// commit makes a commit that is always the same for the same tree, parents and time.
func (s *Source) commit(ctx context.Context, r *repository, at time.Time, message, tree string, parents ...pipeline.Commit) (pipeline.Commit, error) {
	var env []string
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env = append(env, "GIT_"+who+"_NAME=Conveyor", "GIT_"+who+"_EMAIL=none@localhost", fmt.Sprintf("GIT_%s_DATE=@%d +0000", who, at.Unix()))
	}
	args := []string{"commit-tree", "-m", message}
	for _, p := range parents {
		args = append(args, "-p", string(p))
	}
	out, err := s.git.run(ctx, call{dir: r.mirror, env: env, args: append(args, tree)})
	return pipeline.Commit(strings.TrimSpace(string(out))), err
}
