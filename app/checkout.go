package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// maxDepth is how deep submodules may lie in submodules, and maxParts how many a workspace may have in all.
const (
	maxDepth = 5
	maxParts = 200
)

// unfitSource is a source that the plan asks for and that cannot be had, in words for people. Trying again is useless.
type unfitSource struct{ why string }

func (e *unfitSource) Error() string { return e.why }

func unfitf(format string, args ...any) error { return &unfitSource{fmt.Sprintf(format, args...)} }

// checkout brings all that a step's workspace holds to this machine: the commit or its merge, submodules, other
// repositories, and files in Git LFS. What is left out is said in the step's log. The fault is the plan's or the
// repository's, in words for people; an error is ours, and the step is tried again.
func (a *App) checkout(ctx context.Context, w *runWork, s pipeline.State, log io.Writer) (parts []pipeline.Part, fault string, err error) {
	t, want := s.Trigger, s.Plan.Source
	ctx = github.As(ctx, github.Conclusion)
	if s.Merge != nil {
		fmt.Fprintf(log, "testing the merge of %s into %s at %s\n", s.Merge.Head.Short(), t.Base, s.Merge.Base.Short())
		if err := a.haveMerge(ctx, s); err != nil {
			return nil, "", fmt.Errorf("the merge could not be made: %w", err)
		}
	} else if err := a.source.Fetch(ctx, t.Repo, t.Ref, t.Commit, a.token(t.Repo, s.Run)); err != nil {
		return nil, "", fmt.Errorf("the source could not be fetched: %w", err)
	}
	switch {
	case !want.Extra():
		return nil, "", nil
	case a.github == nil:
		fmt.Fprintln(log, "Submodules, files in Git LFS, the history and other repositories are left out: they are fetched by a server only.")
		return nil, "", nil
	case s.Trust < pipeline.Writer:
		if want.Submodules {
			fmt.Fprintln(log, "Submodules are left empty: the code comes from outside.")
		}
		if want.LFS {
			fmt.Fprintln(log, "Files in Git LFS stay pointers: the code comes from outside.")
		}
		if len(want.With) > 0 {
			return nil, "the plan gives every step other repositories, and code from outside is given none", nil
		}
		if want = (pipeline.SourceSpec{History: want.History}); !want.History {
			return nil, "", nil
		}
	}
	if s, err = a.resolveParts(ctx, w, s, want); err == nil {
		err = a.fetchParts(ctx, s)
	}
	var unfit *unfitSource
	switch {
	case errors.As(err, &unfit):
		return nil, unfit.why, nil
	case errors.Is(err, source.ErrUnusable), errors.Is(err, source.ErrNoCommit):
		return nil, unusable(err), nil
	case err != nil:
		return nil, "", fmt.Errorf("the source could not be completed: %w", err)
	}
	for _, p := range s.Parts {
		if p.Path != "" {
			fmt.Fprintf(log, "%s is %s at %s\n", p.Path, p.Repo.Slug(), p.Commit)
		}
	}
	return s.Parts, "", nil
}

// unusable is what is wrong with a source, without the words that say who says it.
func unusable(err error) string {
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), source.ErrUnusable.Error()+": ", ""), "source: ")
}

// resolveParts finds out, once in a run, what its workspaces hold. The first step that needs it does; the others take what
// stands in the journal.
func (a *App) resolveParts(ctx context.Context, w *runWork, s pipeline.State, want pipeline.SourceSpec) (pipeline.State, error) {
	if now := w.Latest(); now.PartsKnown {
		return now, nil
	}
	r := partFinder{App: a, s: s}
	if want.LFS || want.History {
		r.parts = append(r.parts, pipeline.Part{Repo: s.Trigger.Repo, Commit: s.Checkout(), LFS: want.LFS, History: want.History})
	}
	var err error
	if want.Submodules {
		err = r.submodules(ctx, s.Trigger.Repo, s.Checkout(), "", maxDepth)
	}
	for _, with := range want.With {
		if err == nil {
			err = r.with(ctx, with)
		}
	}
	if err != nil {
		a.releaseParts(context.WithoutCancel(ctx), s, r.parts) // the run's end would not know of them
		return s, err
	}
	return w.Append(ctx, pipeline.SourceResolved{Parts: r.parts, At: a.now().UTC()})
}

// partFinder collects the parts of a run's workspaces.
type partFinder struct {
	*App
	s     pipeline.State
	parts []pipeline.Part
}

func (r *partFinder) add(p pipeline.Part) error {
	if len(r.parts) >= maxParts {
		return unfitf("the workspace would have more than %d submodules and repositories", maxParts)
	}
	p.LFS = r.s.Plan.Source.LFS
	r.parts = append(r.parts, p)
	return nil
}

// submodules adds those of a commit, and theirs.
func (r *partFinder) submodules(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, below string, depth int) error {
	found, err := r.source.Submodules(ctx, repo, commit)
	if err != nil || len(found) == 0 {
		return err
	}
	if depth == 0 {
		return unfitf("submodules lie in submodules more than %d deep, below %s", maxDepth, below)
	}
	for _, m := range found {
		at := path.Join(below, m.Path)
		other, err := r.other(ctx, m.Owner, m.Name, "the submodule "+at)
		if err != nil {
			return err
		}
		if err := r.add(pipeline.Part{Path: at, Repo: other, Commit: m.Commit}); err != nil {
			return err
		}
		if err := r.source.Fetch(ctx, other, "", m.Commit, r.otherToken(other, r.s)); err != nil {
			return fmt.Errorf("the submodule %s: %w", at, err)
		}
		if err := r.submodules(ctx, other, m.Commit, at, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// with adds another repository that the plan names, at the commit that its ref shows now.
func (r *partFinder) with(ctx context.Context, w pipeline.FromRef) error {
	what := "the repository " + w.Repository
	t := r.s.Trigger
	there, err := r.source.Exists(ctx, t.Repo, r.s.Checkout(), w.Path)
	if err != nil {
		return err
	}
	if there {
		return unfitf("%s cannot be placed at %s: the commit has something there", what, w.Path)
	}
	isFile, err := r.source.Paths(ctx, t.Repo, r.s.Checkout())
	if err != nil {
		return err
	}
	for at := path.Dir(w.Path); at != "."; at = path.Dir(at) {
		if isFile(at) {
			return unfitf("%s cannot be placed at %s: %s is no folder", what, w.Path, at)
		}
	}
	owner, name, _ := strings.Cut(w.Repository, "/")
	other, err := r.other(ctx, owner, name, what)
	if err != nil {
		return err
	}
	ref := w.Ref
	if ref == "" {
		ref = other.Branch
	}
	commit := pipeline.Commit(ref)
	if !commit.Valid() {
		commit, err = r.github.Installation(t.Repo.Installation).CommitAt(ctx, other, ref)
		if errors.Is(err, github.ErrGone) {
			return unfitf("%s has no branch, tag or commit %s", w.Repository, ref)
		}
		if err != nil {
			return err
		}
	}
	return r.add(pipeline.Part{Path: w.Path, Repo: other, Commit: commit})
}

// other finds a repository that the run needs. One that not everybody may read is given only where whoever started the run
// may read it at GitHub, or the operator lets every run of the installation read it: the plan of one repository is not a
// key to all others.
func (r *partFinder) other(ctx context.Context, owner, name, what string) (pipeline.Repo, error) {
	t := r.s.Trigger
	in := r.github.Installation(t.Repo.Installation)
	slug := owner + "/" + name
	found, err := in.Other(ctx, owner, name)
	if errors.Is(err, github.ErrGone) {
		return pipeline.Repo{}, unfitf("%s cannot be had: %s is not there, or the App was not given access to it", what, slug)
	}
	if err != nil {
		return pipeline.Repo{}, err
	}
	if found.Public || found.ID == t.Repo.ID || slices.Contains(r.config.SharedRepositories, found.Slug()) {
		return found.Repo, nil
	}
	if t.Actor.ID == 0 {
		return pipeline.Repo{}, unfitf("%s cannot be had: %s is private, and this run was started by nobody whose right to read it could be asked; the operator can name it in CONVEYOR_SHARED_REPOSITORIES", what, slug)
	}
	role, err := in.RoleNow(ctx, found.Repo, t.Actor.Login, t.Actor.ID)
	var no *github.Refused
	if err != nil && !errors.As(err, &no) {
		return pipeline.Repo{}, err
	}
	if !role.AtLeast(pipeline.Read) {
		return pipeline.Repo{}, unfitf("%s cannot be had: %s is private, and @%s, who started this run, may not read it; the operator can name it in CONVEYOR_SHARED_REPOSITORIES", what, slug, t.Actor.Login)
	}
	return found.Repo, nil
}

// checkShared is Config.Check of the repositories that every run may read.
func (c Config) checkShared() (problems []string) {
	for _, slug := range c.SharedRepositories {
		if owner, name, ok := strings.Cut(slug, "/"); !ok || owner == "" || name == "" || strings.ContainsAny(slug, " *") || strings.Contains(name, "/") {
			problems = append(problems, fmt.Sprintf("CONVEYOR_SHARED_REPOSITORIES names %q; give repositories as owner/name, for example octo/tools.", slug))
		}
	}
	return problems
}

// otherToken is a token that reads one other repository and nothing else, where the installation has it; what everybody
// may read is fetched without one elsewhere.
func (a *App) otherToken(other pipeline.Repo, s pipeline.State) source.Token {
	return func(ctx context.Context) (string, error) {
		if !strings.EqualFold(other.Owner, s.Trigger.Repo.Owner) {
			return "", nil
		}
		t, err := a.github.Installation(other.Installation).Token(ctx, other, string(s.Run))
		if errors.Is(err, github.ErrGone) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return t.Value.Reveal(), nil
	}
}

// releaseParts ends the tokens of other repositories.
func (a *App) releaseParts(ctx context.Context, s pipeline.State, parts []pipeline.Part) {
	for _, p := range parts {
		if p.Repo.ID != s.Trigger.Repo.ID {
			a.release(ctx, p.Repo, s.Run)
		}
	}
}

// fetchParts brings the parts of a run's workspaces here.
func (a *App) fetchParts(ctx context.Context, s pipeline.State) error {
	for _, p := range s.Parts {
		token := a.otherToken(p.Repo, s)
		if p.Path != "" {
			if err := a.source.Fetch(ctx, p.Repo, "", p.Commit, token); err != nil {
				return fmt.Errorf("%s: %w", p.Path, err)
			}
		}
		if p.History {
			commits := []pipeline.Commit{s.Trigger.Commit}
			if s.Merge != nil {
				commits = append(commits, s.Merge.Base)
			}
			if err := a.source.FetchHistory(ctx, p.Repo, a.token(p.Repo, s.Run), commits...); err != nil {
				return err
			}
		}
		if p.LFS {
			if err := a.source.FetchLarge(ctx, p.Repo, p.Commit, token); err != nil {
				return err
			}
		}
	}
	return nil
}
