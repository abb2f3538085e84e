package github

import (
	"context"
	"errors"
	"fmt"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Pull is a pull request as it stands now.
type Pull struct {
	Number      int
	State       string // open or closed
	Draft       bool
	Merged      bool
	Head        pipeline.Commit
	HeadBranch  string
	HeadRepo    int64 // 0 when the fork has been deleted
	Base        string
	BaseCommit  pipeline.Commit
	MergeCommit pipeline.Commit // what merging made; empty until Merged
	Author      pipeline.Actor
	Updated     time.Time // GitHub's own time of the last change, in whole seconds
}

// Pull reads a pull request. It may be repeated.
//
// https://docs.github.com/rest/pulls/pulls#get-a-pull-request
func (in *Installation) Pull(ctx context.Context, repo pipeline.Repo, number int) (Pull, error) {
	if err := checkRepo(repo); err != nil {
		return Pull{}, err
	}
	to := fmt.Sprintf("%s#%d", repo.Slug(), number)
	if number <= 0 {
		return Pull{}, fmt.Errorf("github: %s is not a pull request", to)
	}
	ctx = withRoute(ctx, "pulls")
	found, _, err := in.client.PullRequests.Get(ctx, repo.Owner, repo.Name, number)
	if err == nil && found.GetBase().GetRepo().GetID() != repo.ID {
		err = &goneError{reason: "the name belongs to another repository now"}
	}
	if err != nil {
		return Pull{}, said(ctx, err, false, "read", to)
	}
	p := Pull{
		Number: found.GetNumber(), State: found.GetState(), Draft: found.GetDraft(), Merged: found.GetMerged(),
		Head: pipeline.Commit(found.GetHead().GetSHA()), HeadBranch: found.GetHead().GetRef(), HeadRepo: found.GetHead().GetRepo().GetID(),
		Base: found.GetBase().GetRef(), BaseCommit: pipeline.Commit(found.GetBase().GetSHA()),
		Author: pipeline.Actor{
			ID: found.GetUser().GetID(), Login: found.GetUser().GetLogin(), Bot: found.GetUser().GetType() == "Bot",
		},
		Updated: found.GetUpdatedAt().UTC(),
	}
	if p.Merged { // before, it names a trial merge that GitHub makes when it likes
		p.MergeCommit = pipeline.Commit(found.GetMergeCommitSHA())
	}
	if !p.Head.Valid() || p.Merged && !p.MergeCommit.Valid() {
		return Pull{}, said(ctx, errors.New("GitHub's answer holds no commit"), false, "read", to)
	}
	return p, nil
}

// Wrote are the authors of the pull requests that brought a commit. It may be repeated.
func (in *Installation) Wrote(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (authors []pipeline.Actor, err error) {
	pulls, err := in.Brought(ctx, repo, commit)
	for _, p := range pulls {
		if p.Author.ID != 0 {
			authors = append(authors, p.Author)
		}
	}
	return authors, err
}

// Brought are the pull requests that brought a commit, as GitHub knows at this moment: one that was merged, however it was
// merged, and those whose head it is. Of each only the number and the author are told. It may be repeated.
//
// https://docs.github.com/rest/commits/commits#list-pull-requests-associated-with-a-commit
func (in *Installation) Brought(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (pulls []Pull, err error) {
	if err := errors.Join(checkRepo(repo), checkCommit(commit)); err != nil {
		return nil, err
	}
	ctx = withRoute(ctx, "pulls")
	o := &gh.ListOptions{PerPage: 100}
	for o.Page = 1; o.Page != 0; {
		list, resp, err := in.client.PullRequests.ListPullRequestsWithCommit(ctx, repo.Owner, repo.Name, string(commit), o)
		if err != nil {
			return nil, said(ctx, err, false, "ask who wrote", repo.Slug()+"@"+commit.Short())
		}
		for _, p := range list {
			u := p.GetUser()
			pulls = append(pulls, Pull{Number: p.GetNumber(), Author: pipeline.Actor{ID: u.GetID(), Login: u.GetLogin(), Bot: u.GetType() == "Bot"}})
		}
		o.Page = resp.NextPage
	}
	return pulls, nil
}

// Repo reads a repository by its name, following a rename. It may be repeated.
//
// https://docs.github.com/rest/repos/repos#get-a-repository
func (in *Installation) Repo(ctx context.Context, owner, name string) (pipeline.Repo, error) {
	asked := pipeline.Repo{ID: 1, Owner: owner, Name: name} // the number is what we ask for
	if err := checkRepo(asked); err != nil {
		return pipeline.Repo{}, err
	}
	ctx = withRoute(ctx, "repos")
	found, _, err := in.client.Repositories.Get(ctx, owner, name)
	if err != nil {
		return pipeline.Repo{}, said(ctx, err, false, "read", asked.Slug())
	}
	repo := pipeline.Repo{
		ID: found.GetID(), Owner: found.GetOwner().GetLogin(), Name: found.GetName(), Installation: in.id, Branch: found.GetDefaultBranch(),
	}
	if checkRepo(repo) != nil {
		return pipeline.Repo{}, said(ctx, errors.New("GitHub's answer names no repository"), false, "read", asked.Slug())
	}
	return repo, nil
}
