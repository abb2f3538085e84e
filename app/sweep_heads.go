package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// heads looks at the repositories from which something was heard before: at the heads of their open pull requests, and at
// those of their branches when something was pushed since. One account that is in trouble stops no other.
func (s *sweeper) heads(ctx context.Context) error {
	a := s.app
	installed, err := a.github.Installed(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, id := range installed {
		repos, err := a.github.Installation(id).Repos(ctx)
		if err != nil {
			all = append(all, err)
			continue
		}
		for _, r := range repos {
			if err := s.look(ctx, r); err != nil && !errors.Is(err, github.ErrGone) {
				all = append(all, err)
				break // most likely the account's limit: the next round begins with it
			}
		}
	}
	return errors.Join(all...)
}

// look takes in what one repository's heads tell and no webhook has.
func (s *sweeper) look(ctx context.Context, r github.Found) error {
	a := s.app
	known, version, err := a.repos().Load(ctx, a.journal, repoStream(r.ID))
	if err != nil || version == 0 {
		return err // nothing was ever heard of it: its first webhook says that it is there
	}
	in := a.github.Installation(r.Installation)
	pulls, err := in.OpenPulls(ctx, r.Repo)
	if err != nil {
		return err
	}
	for _, p := range pulls {
		if hasRun(known, p.Head, p.Base) {
			continue
		}
		guid := fmt.Sprintf("swept-%d-pr-%d-%s", r.ID, p.Number, p.Head)
		if err := a.takeIn(ctx, a.invented("pull_request", guid, pullBody(r.Repo, p)), "a pull request's head without a check was found"); err != nil {
			return err
		}
	}
	if s.pushedAt[r.ID].Equal(r.Pushed) {
		return nil
	}
	began := a.now()
	if err := s.branches(ctx, r.Repo, known); err != nil {
		return err
	}
	if began.Sub(r.Pushed) > time.Minute { // GitHub's times are whole seconds: another push may have the same
		s.pushedAt[r.ID] = r.Pushed
	}
	return nil
}

// branches takes in the heads that are others than when they were looked at last. The first look only remembers: what was
// there before this server is nobody's push.
func (s *sweeper) branches(ctx context.Context, repo pipeline.Repo, known deploy.State) error {
	a := s.app
	stream := sweepStream(fmt.Sprint(repo.ID))
	before, _, err := a.sweeps().Load(ctx, a.journal, stream)
	if err != nil {
		return err
	}
	now, err := a.github.Installation(repo.Installation).Heads(ctx, repo)
	if err != nil {
		return err
	}
	changed := map[string]pipeline.Commit{}
	for branch, head := range now {
		if head == before.Heads[branch] {
			continue
		}
		changed[branch] = head
		if before.Heads == nil || hasRun(known, head, "") {
			continue
		}
		guid := fmt.Sprintf("swept-%d-push-%s", repo.ID, head)
		body := pushBody(repo, branch, before.Heads[branch], head)
		if err := a.takeIn(ctx, a.invented("push", guid, body), "a branch's head without a check was found"); err != nil {
			return err
		}
	}
	for branch := range before.Heads {
		if _, there := now[branch]; !there {
			changed[branch] = ""
		}
	}
	if len(changed) == 0 && before.Heads != nil {
		return nil
	}
	_, err = a.post(ctx, stream, "", headsSeen{changed})
	return err
}

// hasRun reports whether a commit has a run; one that was skipped because of the base of its pull request counts for
// that base alone.
func hasRun(s deploy.State, c pipeline.Commit, base string) bool {
	for _, r := range s.Runs {
		if base != "" && len(s.Pipelines) > 1 && r.Trigger.Kind != pipeline.PullRequest {
			continue // of several pipelines, a push may have started others than the pull request does
		}
		if r.Trigger.Commit == c && r.Trigger.Kind != pipeline.ByHand && (!r.Skipped || r.Trigger.Base == base) {
			return true
		}
	}
	return false
}

// invented is a delivery that GitHub never sent. It has the form of one, so that it is decided like one; nobody is its
// sender, so that nobody's rights are lent to it.
func (a *App) invented(event, guid string, body any) webhook.Delivery {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of strings and numbers can always be encoded
	}
	return webhook.Delivery{Source: a.self(), GUID: guid, Event: event, Body: data, ReceivedAt: a.now().UTC(), Swept: true}
}

type object = map[string]any

func repoBody(r pipeline.Repo) object {
	return object{"id": r.ID, "name": r.Name, "full_name": r.Slug(), "owner": object{"login": r.Owner}, "default_branch": r.Branch}
}

func pullBody(r pipeline.Repo, p github.OpenPull) object {
	kind := "User"
	if p.Author.Bot {
		kind = "Bot"
	}
	head := object{"ref": p.Branch, "sha": p.Head, "repo": nil}
	if p.HeadRepo != 0 {
		head["repo"] = object{"id": p.HeadRepo}
	}
	return object{
		"action": "synchronize", "repository": repoBody(r), "installation": object{"id": r.Installation},
		"pull_request": object{
			"number": p.Number, "state": "open", "title": p.Title, "updated_at": p.Updated.Format(time.RFC3339),
			"user": object{"id": p.Author.ID, "login": p.Author.Login, "type": kind},
			"head": head, "base": object{"ref": p.Base, "sha": p.BaseCommit, "repo": repoBody(r)},
		},
	}
}

func pushBody(r pipeline.Repo, branch string, before, after pipeline.Commit) object {
	return object{
		"ref": "refs/heads/" + branch, "before": before, "after": after, "repository": repoBody(r), "installation": object{"id": r.Installation},
	}
}
