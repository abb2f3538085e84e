package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// allow lets one commit of an outside author be tested, on a writer's word. Everything that the word depends on is asked
// of GitHub again first: the head, and what the writer may do. From then on only the commit's full id is used, so that a
// push in the middle brings nothing in. The plan is the base's, never the commit's own.
func (a *App) allow(ctx context.Context, w *repoWork, id string) (deploy.Forwarded, error) {
	s := w.Latest()
	p := s.Commands[id]
	c := p.Command
	refuse := func(format string, args ...any) (deploy.Forwarded, error) {
		return deploy.Forwarded{Command: id, Refused: true, Say: fmt.Sprintf(format, args...)}, nil
	}
	now, err := a.pullNow(ctx, s.Repo, c.Pull)
	if errors.Is(err, github.ErrGone) {
		return refuse("GitHub does not know this pull request any more.")
	}
	if err != nil {
		return deploy.Forwarded{}, err
	}
	who := *p.Role
	who.Role, err = a.github.Installation(s.Repo.Installation).RoleNow(ctx, s.Repo, c.Actor.Login, c.Actor.ID)
	if err != nil && !a.useless(err) {
		return deploy.Forwarded{}, err
	}
	now.Reopened = false // only the webhook that says so reopens
	if s, err = w.Append(ctx, now); err != nil {
		return deploy.Forwarded{}, err
	}
	run, t := pipeline.NewRunID(s.Repo.ID, id), askedRun(s, p)
	if begun, ok := s.Begun(run); ok {
		t = begun.Trigger // this server, or another one, was lost after the word was taken
	} else if ruling := deploy.Decide(s, p, who); ruling.Refused {
		return refuse("%s", ruling.Say)
	} else if now.Head != t.Commit {
		return refuse("GitHub shows two heads at this moment, %s and %s. Look which one it is, read it, and type `/ok-to-test` with its id.", now.Head.Short(), t.Commit.Short())
	}
	if !now.BaseCommit.Valid() {
		return refuse("GitHub does not say which commit is the base, so there is no plan to go by.")
	}

	err = a.fetch(ctx, run, t, now.BaseCommit)
	defer a.release(context.WithoutCancel(ctx), t.Repo, run) // a run that needs one asks again
	if errors.Is(err, source.ErrNoCommit) || errors.Is(err, source.ErrUnusable) || errors.Is(err, github.ErrGone) {
		return refuse("Nothing was started: %s.", sentence(err))
	}
	if err != nil {
		return deploy.Forwarded{}, err
	}
	all, err := a.pipelines(ctx, t.Repo, now.BaseCommit)
	if errors.Is(err, source.ErrNoFile) {
		return refuse("The base, %s, has no %s, so there is nothing to run.", now.BaseCommit.Short(), pipeline.PlanPath)
	}
	if err != nil {
		return deploy.Forwarded{}, err
	}
	var reasons []string
	all = slices.DeleteFunc(all, func(p Planned) bool {
		why, _ := filtered(p.Plan, t)
		if !p.Good() || why == "" {
			return false
		}
		reasons = append(reasons, why)
		return true
	})
	if len(all) == 0 {
		return refuse("Nothing was started: %s.", strings.Join(slices.Compact(reasons), "; "))
	}
	t.Title, _ = a.source.Subject(ctx, t.Repo, t.Commit) // for display only
	if last := s.Pulls[c.Pull].Allowed; last == nil || last.Command != id {
		if _, err := w.Append(ctx, deploy.Allowed{Pull: c.Pull, Commit: t.Commit, Actor: c.Actor, Role: who.Role, Command: id, At: a.now().UTC()}); err != nil {
			return deploy.Forwarded{}, err
		}
	}
	var began []pipeline.Requested
	for _, p := range all {
		r := pipeline.Requested{
			Run: run.For(p.Plan.Name), Trigger: t, Trust: pipeline.Allowed, Plan: p.Plan, PlanFrom: now.BaseCommit, Problems: p.Problems, At: a.now().UTC(),
		}
		why, err := a.request(ctx, r, "run/"+id)
		if err != nil {
			return deploy.Forwarded{}, err
		}
		if why == "" {
			began = append(began, r)
		} else {
			reasons = append(reasons, why)
		}
	}
	if len(began) == 0 {
		return refuse("%s", strings.Join(slices.Compact(reasons), "; "))
	}
	a.log.Info("code from outside was allowed", "repo", s.Repo.Slug(), "pull", c.Pull, "commit", t.Commit, "actor", c.Actor.Login, "role", who.Role)
	return deploy.Forwarded{Command: id, Run: began[0].Run, Say: fmt.Sprintf(
		"%s is tested: its checks %s, by the plan of the base (%s), without secrets, and what they make is not kept. The word is for this commit; the next push needs another one.",
		t.Commit.Short(), a.runLinks("run", began), now.BaseCommit.Short())}, nil
}
