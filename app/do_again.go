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

// runAgain starts new runs of the pull request's head, as far trusted as those before: all of each pipeline, what has not
// passed, or what leads up to a stage of one.
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
	last := s.LastRuns(p.Command.Pull)
	if len(last) == 0 {
		if p.Command.Verb == deploy.Test && p.Command.Word == "" {
			return a.runFirst(ctx, s, p)
		}
		return refuse("There is no run of " + pull.Head.Short() + " to do again. `/test` starts the first one.")
	}
	var states []pipeline.State
	for _, r := range last {
		if why, err := a.noLonger(ctx, pull.PullSeen, r); err != nil || why != "" {
			f.Refused, f.Say = true, why
			return f, err
		}
		old, _, err := a.runs().Load(ctx, a.journal, string(r.ID))
		if err != nil {
			return f, err
		}
		old.Trigger = r.Trigger
		states = append(states, old)
	}
	requests, what, problems := anew(states, p.Command)
	var began []pipeline.Requested
	for _, request := range requests {
		request.Run, request.At = pipeline.NewRunID(request.Trigger.Repo.ID, p.Command.ID).For(request.Plan.Name), a.now().UTC()
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
			problems = append(problems, why)
			continue
		}
		began = append(began, request)
	}
	if len(began) == 0 {
		return refuse(strings.Join(slices.Compact(problems), " "))
	}
	f.Run = began[0].Run
	f.Say = fmt.Sprintf("%s of %s %s.", what, pull.Head.Short(), a.runLinks("run again", began))
	return f, nil
}

// runLinks lead to runs: by the words alone when there is one, else by the pipelines' names, too.
func (a *App) runLinks(words string, began []pipeline.Requested) string {
	if len(began) == 1 {
		return fmt.Sprintf("[%s](%s)", words, a.RunURL(began[0].Run))
	}
	var links []string
	for _, r := range began {
		links = append(links, fmt.Sprintf("[%s](%s)", github.Literal(r.Plan.Called()), a.RunURL(r.Run)))
	}
	return words + ": " + strings.Join(links, ", ")
}

// anew are the runs that a command asks for again, of the last one of each pipeline; what is said of them; and, in sentences,
// why there are not more.
func anew(last []pipeline.State, c deploy.Command) (requests []pipeline.Requested, what string, problems []string) {
	take := func(old pipeline.State, r pipeline.Requested, problem string) {
		if problem == "" {
			problem = notToRun(old)
		}
		if problem != "" {
			problems = append(problems, problem)
			return
		}
		requests = append(requests, r)
	}
	switch {
	case c.Word == "":
		for _, old := range last {
			take(old, pipeline.Again(old), "")
		}
		return requests, "The checks", problems
	case c.Verb == deploy.Retest:
		for _, old := range last {
			r, problem := pipeline.AgainFailed(old)
			take(old, r, problem)
		}
		return requests, "The steps that have not passed", problems
	}
	named, stage, both := strings.Cut(c.Word, "/")
	if !both {
		stage = c.Word
	}
	var have []string
	var of []pipeline.State
	for _, old := range last {
		called := old.Plan.Called()
		has := slices.ContainsFunc(old.Plan.Stages, func(s pipeline.Stage) bool { return s.Name == stage })
		if has && (!both || named == called) || len(last) == 1 && !both && c.Word != called {
			of = append(of, old)
			have = append(have, "`/test "+called+"/"+stage+"`")
		}
	}
	switch {
	case len(of) == 1:
		r, problem := pipeline.AgainStage(of[0], stage)
		take(of[0], r, problem)
		return requests, "The checks up to `" + c.Word + "`", problems
	case len(of) > 1:
		return nil, "", []string{"Several pipelines have a stage `" + stage + "`. Type one of " + strings.Join(have, ", ") + "."}
	}
	var names []string
	for _, old := range last {
		if old.Plan.Called() == c.Word {
			take(old, pipeline.Again(old), "")
			return requests, "The checks of `" + c.Word + "`", problems
		}
		names = append(names, quoted(old.Plan.Called()))
	}
	return nil, "", []string{"No pipeline has a stage `" + stage + "`, and none is called so. There are " + strings.Join(names, ", ") + "."}
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
	began, why, err := a.start(github.WithRun(ctx, string(run)), starting{run: run, trigger: t, pull: &pull})
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
	f.Run, f.Say = began[0], fmt.Sprintf("The checks of %s [run](%s).", t.Commit.Short(), a.RunURL(began[0]))
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
