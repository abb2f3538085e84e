package github

import (
	"context"
	"errors"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Comparison is what one commit has that another has not.
type Comparison struct {
	Commits []Commit // oldest first, as many as asked for and what came with them
	Total   int
	Behind  int // commits that only the other one has
}

// Commit is a commit with the people behind it.
type Commit struct {
	Commit  pipeline.Commit
	Title   string           // the first line of its message; text from outside
	Author  string           // a login, else the name that the commit claims
	People  []pipeline.Actor // its author and committer, as accounts
	Unknown bool             // no account belongs to its author
}

// commitPage is how many commits one call brings.
const commitPage = 100

// Compare tells which commits head has and base has not, at least so many or all there are, the oldest first. It may be
// repeated: the answer is kept.
//
// https://docs.github.com/rest/commits/commits#compare-two-commits
func (in *Installation) Compare(ctx context.Context, repo pipeline.Repo, base, head pipeline.Commit, most int) (c Comparison, err error) {
	if err := errors.Join(checkRepo(repo), checkCommit(base), checkCommit(head)); err != nil {
		return c, err
	}
	key := keptKey{repo.ID, base, head}
	if c, ok := in.kept.find(key, most); ok {
		return c, nil
	}
	ctx = withRoute(ctx, "compare")
	for o := (&gh.ListOptions{PerPage: commitPage, Page: 1}); o.Page != 0 && len(c.Commits) < most; {
		found, resp, err := in.client.Repositories.CompareCommits(ctx, repo.Owner, repo.Name, string(base), string(head), o)
		if err != nil {
			return c, said(ctx, err, false, "compare "+base.Short()+" and "+head.Short()+" in", repo.Slug())
		}
		c.Total, c.Behind = found.GetTotalCommits(), found.GetBehindBy()
		for _, k := range found.Commits {
			c.Commits = append(c.Commits, commitOf(k))
		}
		o.Page = resp.NextPage
	}
	in.kept.keep(key, c)
	return c, nil
}

// Commit reads one commit. It may be repeated: the answer is kept.
//
// https://docs.github.com/rest/commits/commits#get-a-commit
func (in *Installation) Commit(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (Commit, error) {
	if err := errors.Join(checkRepo(repo), checkCommit(commit)); err != nil {
		return Commit{}, err
	}
	key := keptKey{repo: repo.ID, head: commit}
	if c, ok := in.kept.find(key, 1); ok {
		return c.Commits[0], nil
	}
	ctx = withRoute(ctx, "commits")
	found, _, err := in.client.Repositories.GetCommit(ctx, repo.Owner, repo.Name, string(commit), &gh.ListOptions{PerPage: 1}) // of its files
	if err != nil {
		return Commit{}, said(ctx, err, false, "read", repo.Slug()+"@"+commit.Short())
	}
	one := commitOf(found)
	in.kept.keep(key, Comparison{Commits: []Commit{one}, Total: 1})
	return one, nil
}

// PullCommits are the commits of a pull request, at most the 250 that GitHub tells of. It may be repeated.
//
// https://docs.github.com/rest/pulls/pulls#list-commits-on-a-pull-request
func (in *Installation) PullCommits(ctx context.Context, repo pipeline.Repo, number int) (commits []Commit, err error) {
	if err := checkRepo(repo); err != nil {
		return nil, err
	}
	ctx = withRoute(ctx, "pulls")
	for o := (&gh.ListOptions{PerPage: commitPage, Page: 1}); o.Page != 0; {
		list, resp, err := in.client.PullRequests.ListCommits(ctx, repo.Owner, repo.Name, number, o)
		if err != nil {
			return nil, said(ctx, err, false, "list the commits of", fmt.Sprintf("%s#%d", repo.Slug(), number))
		}
		for _, k := range list {
			commits = append(commits, commitOf(k))
		}
		o.Page = resp.NextPage
	}
	return commits, nil
}

// commitOf reads what GitHub says of a commit. Whom the commit itself names is a claim that anyone can make; GitHub finds
// an account by it. A merge that GitHub made and signed is nobody's work.
func commitOf(k *gh.RepositoryCommit) Commit {
	c := Commit{Commit: pipeline.Commit(k.GetSHA()), Author: k.GetAuthor().GetLogin()}
	title, _, _ := strings.Cut(k.GetCommit().GetMessage(), "\n")
	c.Title = strings.Clone(title) // it may be kept, and the rest of the message is not
	if c.Author == "" {
		c.Author = k.GetCommit().GetAuthor().GetName()
	}
	if len(k.Parents) > 1 && k.GetCommit().GetVerification().GetVerified() && k.GetCommit().GetCommitter().GetEmail() == "noreply@github.com" {
		return c
	}
	for _, u := range []*gh.User{k.Author, k.Committer} {
		if u.GetID() != 0 && u.GetLogin() != "web-flow" { // which stands for GitHub's own editor
			c.People = append(c.People, pipeline.Actor{ID: u.GetID(), Login: u.GetLogin(), Bot: u.GetType() == "Bot"})
		}
	}
	c.Unknown = k.GetAuthor().GetID() == 0
	return c
}
