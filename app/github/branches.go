package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Required is a check without which nothing is merged into a branch.
type Required struct {
	Name string
	App  int64  // only this App's counts; 0 when anyone's does
	By   string // "branch protection", or the ruleset
}

// Branch is a branch as it is now, with what GitHub asks of those who merge into it.
type Branch struct {
	Name     string
	Commit   pipeline.Commit
	Required []Required
	Queue    bool // merges go through a merge queue
}

// Branch reads a branch, its protection and its rules. It needs no right to change them, and may be repeated. ErrGone means
// that there is no such branch.
//
// https://docs.github.com/rest/branches/branches#get-a-branch
// https://docs.github.com/rest/repos/rules#get-rules-for-a-branch
func (in *Installation) Branch(ctx context.Context, repo pipeline.Repo, name string) (Branch, error) {
	if err := checkRepo(repo); err != nil {
		return Branch{}, err
	}
	if name == "" || strings.Contains(name, "..") { // git has no such name, and an address would lead elsewhere
		return Branch{}, fmt.Errorf("github: %q is not a branch that can be asked for", name)
	}
	to := repo.Slug() + " " + name
	ctx = withRoute(ctx, "branches")
	b := Branch{Name: name}
	var found struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
		Protection struct {
			Required struct {
				Contexts []string `json:"contexts"`
				Checks   []struct {
					Context string `json:"context"`
					App     *int64 `json:"app_id"`
				} `json:"checks"`
			} `json:"required_status_checks"`
		} `json:"protection"`
	}
	if err := in.read(ctx, fmt.Sprintf("repos/%s/%s/branches/%s", repo.Owner, repo.Name, url.PathEscape(name)), &found); err != nil {
		return b, said(ctx, err, false, "read the branch", to)
	}
	b.Commit = pipeline.Commit(found.Commit.SHA)
	const classic = "branch protection"
	for _, c := range found.Protection.Required.Checks {
		r := Required{Name: c.Context, By: classic}
		if c.App != nil && *c.App > 0 { // -1 is anyone's
			r.App = *c.App
		}
		b.Required = append(b.Required, r)
	}
	for _, name := range found.Protection.Required.Contexts { // all that older servers tell
		if !slices.ContainsFunc(b.Required, func(r Required) bool { return r.Name == name }) {
			b.Required = append(b.Required, Required{Name: name, By: classic})
		}
	}
	var rules []struct {
		Type       string `json:"type"`
		Source     string `json:"ruleset_source"`
		Parameters struct {
			Checks []struct {
				Context string `json:"context"`
				App     int64  `json:"integration_id"`
			} `json:"required_status_checks"`
		} `json:"parameters"`
	}
	err := in.read(ctx, fmt.Sprintf("repos/%s/%s/rules/branches/%s?per_page=100", repo.Owner, repo.Name, url.PathEscape(name)), &rules)
	if err != nil && !notFound(err) { // an older Enterprise Server has no rulesets
		return b, said(ctx, err, false, "read the rules of", to)
	}
	for _, rule := range rules {
		b.Queue = b.Queue || rule.Type == "merge_queue"
		if rule.Type != "required_status_checks" {
			continue
		}
		for _, c := range rule.Parameters.Checks {
			b.Required = append(b.Required, Required{Name: c.Context, App: c.App, By: "a ruleset of " + rule.Source})
		}
	}
	return b, nil
}

// Repositories are those that the installation may see, at most so many, and how many there are. One that is taken away
// between two pages may cost another one its place.
func (in *Installation) Repositories(ctx context.Context, most int) (all []pipeline.Repo, total int, err error) {
	ctx = withRoute(ctx, "repositories")
	seen := map[int64]bool{}
	for page := 1; page != 0 && (len(all) < most || page == 1); {
		found, res, err := in.client.Apps.ListRepos(ctx, &gh.ListOptions{PerPage: 100, Page: page})
		if err != nil {
			return nil, 0, said(ctx, err, false, "list the repositories of", in)
		}
		for _, r := range found.Repositories {
			if len(all) < most && !seen[r.GetID()] {
				seen[r.GetID()] = true
				all = append(all, pipeline.Repo{ID: r.GetID(), Owner: r.GetOwner().GetLogin(), Name: r.GetName(), Installation: in.id, Branch: r.GetDefaultBranch()})
			}
		}
		page, total = res.NextPage, found.GetTotalCount()
	}
	return all, total, nil
}

// TeamExists reports whether a team is there for us to see. It may be repeated.
func (in *Installation) TeamExists(ctx context.Context, org, slug string) (bool, error) {
	if !ownerForm.MatchString(org) || !slugForm.MatchString(slug) {
		return false, nil
	}
	ctx = withRoute(ctx, "teams")
	_, _, err := in.client.Teams.GetTeamBySlug(ctx, org, slug)
	if notFound(err) {
		return false, nil
	}
	return err == nil, said(ctx, err, false, "look for the team", org+"/"+slug)
}

func (in *Installation) read(ctx context.Context, path string, into any) error {
	req, err := in.client.NewRequest(http.MethodGet, path, nil)
	if err == nil {
		_, err = in.client.Do(ctx, req, into)
	}
	return err
}
