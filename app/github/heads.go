package github

import (
	"context"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Found is a repository of an installation.
type Found struct {
	pipeline.Repo
	Pushed time.Time // the last push to any of its branches
}

// Repos lists the repositories that the installation may see and that can still change. It may be repeated.
//
// https://docs.github.com/rest/apps/installations#list-repositories-accessible-to-the-app-installation
func (in *Installation) Repos(ctx context.Context) (repos []Found, err error) {
	o := &gh.ListOptions{PerPage: 100}
	for o.Page = 1; o.Page != 0; {
		found, resp, err := in.client.Apps.ListRepos(withRoute(ctx, "repos"), o)
		if err != nil {
			return nil, said(ctx, err, false, "list the repositories of", in)
		}
		for _, r := range found.Repositories {
			repo := pipeline.Repo{
				ID: r.GetID(), Owner: r.GetOwner().GetLogin(), Name: r.GetName(), Installation: in.id, Branch: r.GetDefaultBranch(),
			}
			if !r.GetArchived() && !r.GetDisabled() && checkRepo(repo) == nil {
				repos = append(repos, Found{Repo: repo, Pushed: r.GetPushedAt().UTC()})
			}
		}
		o.Page = resp.NextPage
	}
	return repos, nil
}

// OpenPull is an open pull request as a list shows it.
type OpenPull struct {
	Number     int
	Title      string
	Head       pipeline.Commit
	Branch     string
	HeadRepo   int64 // 0 when the fork has been deleted
	Base       string
	BaseCommit pipeline.Commit
	Author     pipeline.Actor
	Updated    time.Time
}

// OpenPulls lists a repository's open pull requests, those that changed last first, a hundred at most: older ones have been
// seen before. It may be repeated.
//
// https://docs.github.com/rest/pulls/pulls#list-pull-requests
func (in *Installation) OpenPulls(ctx context.Context, repo pipeline.Repo) (pulls []OpenPull, err error) {
	if err := checkRepo(repo); err != nil {
		return nil, err
	}
	found, _, err := in.client.PullRequests.List(withRoute(ctx, "pulls"), repo.Owner, repo.Name, &gh.PullRequestListOptions{
		State: "open", Sort: "updated", Direction: "desc", ListOptions: gh.ListOptions{PerPage: 100},
	})
	if err != nil {
		return nil, said(ctx, err, false, "list the pull requests of", repo.Slug())
	}
	for _, p := range found {
		open := OpenPull{
			Number: p.GetNumber(), Title: p.GetTitle(), Head: pipeline.Commit(p.GetHead().GetSHA()), Branch: p.GetHead().GetRef(),
			HeadRepo: p.GetHead().GetRepo().GetID(), Base: p.GetBase().GetRef(), BaseCommit: pipeline.Commit(p.GetBase().GetSHA()),
			Author:  pipeline.Actor{ID: p.GetUser().GetID(), Login: p.GetUser().GetLogin(), Bot: p.GetUser().GetType() == "Bot"},
			Updated: p.GetUpdatedAt().UTC(),
		}
		if open.Head.Valid() && p.GetBase().GetRepo().GetID() == repo.ID {
			pulls = append(pulls, open)
		}
	}
	return pulls, nil
}

// mostBranches is of how many branches the heads are looked at.
const mostBranches = 1000

// Heads are the commits at the ends of a repository's branches, of a thousand branches at most. It may be repeated.
//
// https://docs.github.com/rest/branches/branches#list-branches
func (in *Installation) Heads(ctx context.Context, repo pipeline.Repo) (heads map[string]pipeline.Commit, err error) {
	if err := checkRepo(repo); err != nil {
		return nil, err
	}
	heads = map[string]pipeline.Commit{}
	o := &gh.BranchListOptions{ListOptions: gh.ListOptions{PerPage: 100}}
	for o.Page = 1; o.Page != 0 && len(heads) < mostBranches; {
		found, resp, err := in.client.Repositories.ListBranches(withRoute(ctx, "branches"), repo.Owner, repo.Name, o)
		if err != nil {
			return nil, said(ctx, err, false, "list the branches of", repo.Slug())
		}
		for _, b := range found {
			if c := pipeline.Commit(b.GetCommit().GetSHA()); c.Valid() {
				heads[b.GetName()] = c
			}
		}
		o.Page = resp.NextPage
	}
	return heads, nil
}
