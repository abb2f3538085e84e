package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Other is a repository that a run needs besides its own.
type Other struct {
	pipeline.Repo
	Public bool // everybody may read it
}

// Other reads a repository by its name: one of the installation's, or one that everybody may read. ErrGone says that it is
// neither.
//
// https://docs.github.com/rest/repos/repos#get-a-repository
func (in *Installation) Other(ctx context.Context, owner, name string) (Other, error) {
	asked := pipeline.Repo{ID: 1, Owner: owner, Name: name} // the number is what we ask for
	if err := checkRepo(asked); err != nil {
		return Other{}, err
	}
	found, _, err := in.client.Repositories.Get(withRoute(ctx, "repos"), owner, name)
	if err != nil {
		return Other{}, said(ctx, err, false, "read", asked.Slug())
	}
	repo := pipeline.Repo{
		ID: found.GetID(), Owner: found.GetOwner().GetLogin(), Name: found.GetName(), Installation: in.id, Branch: found.GetDefaultBranch(),
	}
	if checkRepo(repo) != nil {
		return Other{}, said(ctx, errors.New("GitHub's answer names no repository"), false, "read", asked.Slug())
	}
	return Other{Repo: repo, Public: found.Visibility != nil && found.GetVisibility() == "public" || found.Visibility == nil && found.Private != nil && !found.GetPrivate()}, nil
}

var otherRef = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,254}$`)

// CommitAt is the commit that a branch, a tag or a commit id names at this moment.
//
// https://docs.github.com/rest/commits/commits#get-a-commit
func (in *Installation) CommitAt(ctx context.Context, repo pipeline.Repo, ref string) (pipeline.Commit, error) {
	if err := checkRepo(repo); err != nil {
		return "", err
	}
	if !otherRef.MatchString(ref) {
		return "", fmt.Errorf("github: %q is not a ref that can be asked for", ref)
	}
	ctx = withRoute(ctx, "commits")
	found, resp, err := in.client.Repositories.GetCommit(ctx, repo.Owner, repo.Name, ref, &gh.ListOptions{PerPage: 1}) // of its files
	if resp != nil && (resp.StatusCode == http.StatusUnprocessableEntity || resp.StatusCode == http.StatusNotFound) {
		return "", &goneError{reason: repo.Slug() + " has no branch, tag or commit " + ref}
	}
	if err != nil {
		return "", said(ctx, err, false, "look up "+ref+" in", repo.Slug())
	}
	commit := pipeline.Commit(found.GetSHA())
	if !commit.Valid() {
		return "", said(ctx, errors.New("GitHub's answer names no commit"), false, "look up "+ref+" in", repo.Slug())
	}
	return commit, nil
}

// Ancestor is the commit that two commits come from. ErrGone says that there is none.
//
// https://docs.github.com/rest/commits/commits#compare-two-commits
func (in *Installation) Ancestor(ctx context.Context, repo pipeline.Repo, base, head pipeline.Commit) (pipeline.Commit, error) {
	if err := errors.Join(checkRepo(repo), checkCommit(base), checkCommit(head)); err != nil {
		return "", err
	}
	ctx = withRoute(ctx, "compare")
	found, _, err := in.client.Repositories.CompareCommits(ctx, repo.Owner, repo.Name, string(base), string(head), &gh.ListOptions{PerPage: 1})
	if err != nil {
		return "", said(ctx, err, false, "compare "+base.Short()+" and "+head.Short()+" in", repo.Slug())
	}
	commit := pipeline.Commit(found.GetMergeBaseCommit().GetSHA())
	if !commit.Valid() {
		return "", said(ctx, errors.New("GitHub's answer names no common ancestor"), false, "compare "+base.Short()+" and "+head.Short()+" in", repo.Slug())
	}
	return commit, nil
}
