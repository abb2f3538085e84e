package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// runAgain starts a new run of the pull request's head, as far trusted as the one before: all of it, what has not
// passed, or what leads up to a stage.
func (a *App) runAgain(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	f := deploy.Forwarded{Command: p.Command.ID}
	refuse := func(why string) (deploy.Forwarded, error) {
		f.Refused, f.Say = true, why
		return f, nil
	}
	if p.Command.AtCheck() {
		return a.pressedAgain(ctx, s, p)
	}
	pull := s.Pulls[p.Command.Pull]
	if !pull.Open {
		return refuse("The pull request is closed, so there is nothing to test.")
	}
	last, ok := s.Runs[pull.LastRun]
	if !ok || last.Trigger.Commit != pull.Head {
		if p.Command.Verb == deploy.Test && p.Command.Word == "" {
			return a.runFirst(ctx, s, p)
		}
		return refuse("There is no run of " + pull.Head.Short() + " to do again. `/test` starts the first one.")
	}
	old, _, err := a.runs().Load(ctx, a.journal, string(last.ID))
	if err != nil {
		return f, err
	}
	if why, err := a.noLonger(ctx, pull.PullSeen, last); err != nil || why != "" {
		f.Refused, f.Say = true, why
		return f, err
	}
	var (
		request pipeline.Requested
		problem string
		what    = "The checks"
	)
	switch {
	case p.Command.Word == "":
		request = pipeline.Again(old)
	case p.Command.Verb == deploy.Retest:
		request, problem = pipeline.AgainFailed(old)
		what = "The steps that have not passed"
	default:
		request, problem = pipeline.AgainStage(old, p.Command.Word)
		what = "The checks up to `" + p.Command.Word + "`"
	}
	if problem == "" {
		problem = notToRun(old)
	}
	if problem != "" {
		return refuse(problem)
	}
	request.Run, request.At = pipeline.NewRunID(old.Trigger.Repo.ID, p.Command.ID), a.now().UTC()
	request.Trigger = last.Trigger
	request.Trigger.Repo = request.Trigger.Repo.Renamed(s.Repo)
	if pull.BaseCommit.Valid() {
		request.Trigger.Onto = pull.BaseCommit // what is merged is merged into the base as it is now
	}
	request.Trigger.Delivery, request.Trigger.Actor, request.Trigger.At = p.Command.ID, p.Command.Actor, p.Command.At
	why, err := a.request(ctx, request, "run/"+p.Command.ID)
	if err != nil {
		return f, err
	}
	if why != "" {
		return refuse(why)
	}
	f.Run, f.Say = request.Run, fmt.Sprintf("%s of %s [run again](%s).", what, request.Trigger.Commit.Short(), a.RunURL(request.Run))
	return f, nil
}

// runFirst starts the run of a head that has none: its webhook was lost, or said so long ago that it is forgotten.
func (a *App) runFirst(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	f := deploy.Forwarded{Command: p.Command.ID}
	pull := s.Pulls[p.Command.Pull].PullSeen
	if pull.Fork { // who may write may still have let others push there
		f.Refused, f.Say = true, "No run of "+pull.Head.Short()+" is known, and neither is who pushed it to the fork. Push again."
		return f, nil
	}
	t := askedRun(s, p)
	run := pipeline.NewRunID(s.Repo.ID, p.Command.ID)
	why, err := a.start(github.WithRun(ctx, string(run)), run, t, &pull)
	if errors.Is(err, source.ErrNoCommit) || errors.Is(err, source.ErrUnusable) || errors.Is(err, github.ErrGone) {
		why, err = sentence(err), nil
	}
	if err != nil {
		return f, err
	}
	if why != "" {
		f.Refused, f.Say = true, "Nothing was started: "+why+"."
		return f, nil
	}
	f.Run, f.Say = run, fmt.Sprintf("The checks of %s [run](%s).", t.Commit.Short(), a.RunURL(run))
	return f, nil
}

// askedRun is the trigger of a run of the pull request's head that a person has asked for.
func askedRun(s deploy.State, p deploy.Pending) pipeline.Trigger {
	pull := s.Pulls[p.Command.Pull]
	return pipeline.Trigger{
		Kind: pipeline.PullRequest, Delivery: p.Command.ID, Repo: s.Repo, Commit: pull.Head, Ref: fmt.Sprintf("refs/pull/%d/head", pull.Number),
		Branch: pull.Branch, Pull: pull.Number, Base: pull.Base, Actor: p.Command.Actor, Fork: pull.Fork, Onto: pull.BaseCommit, At: p.Command.At,
	}
}
