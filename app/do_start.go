package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// runAsked starts the pipeline that a comment names, at the head of its pull request: only where that is trusted as a
// writer's, since what a person chooses goes with the repository's secrets.
func (a *App) runAsked(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	c := p.Command
	f := deploy.Forwarded{Command: c.ID}
	refuse := func(format string, args ...any) (deploy.Forwarded, error) {
		f.Refused, f.Say = true, fmt.Sprintf(format, args...)
		return f, nil
	}
	run := pipeline.NewRunID(s.Repo.ID, c.ID)
	t := askedRun(s, p)
	t.Commit = p.Commit // and not a head that came since
	ctx = github.WithRun(ctx, string(run))
	if _, begun := s.Begun(run); !begun { // else this server, or another one, was lost after it was decided
		pull := s.Pulls[c.Pull].PullSeen
		if pull.Fork {
			return refuse("The head lives in a fork, and nothing of a fork is started by hand. Its checks run by `/ok-to-test`.")
		}
		trust, _, err := a.trust(ctx, t, &pull)
		if err != nil {
			return f, err
		}
		if trust < pipeline.Writer {
			return refuse("The author of this pull request may not write to this repository, and nothing of theirs is started by hand.")
		}
	}
	given := map[string]string{}
	for _, in := range c.Inputs {
		given[in.Name] = in.Value
	}
	t.Kind = pipeline.ByHand
	id, why, err := a.startByHand(ctx, run, t, c.Word, given)
	if err != nil {
		return f, err
	}
	if why != "" {
		return refuse("Nothing was started: %s.", why)
	}
	f.Run = id
	f.Say = fmt.Sprintf("The pipeline `%s` [runs](%s) at %s. Nothing that it makes is deployed.", c.Word, a.RunURL(id), t.Commit.Short())
	return f, nil
}

// startAsked starts what the operator has asked for. It is given up when it cannot be done for as long as a webhook would be.
func (a *App) startAsked(ctx context.Context, w *repoWork, e deploy.StartAsked) error {
	s := w.Latest()
	ask, ok := s.Asks[e.Delivery]
	if !ok {
		return nil
	}
	ask.Trigger.Repo = ask.Trigger.Repo.Renamed(s.Repo)
	run := pipeline.NewRunID(s.Repo.ID, e.Delivery)
	done := deploy.AskDone{Delivery: e.Delivery, At: a.now().UTC()}
	var err error
	done.Run, done.Why, err = a.startByHand(github.As(github.WithRun(ctx, string(run)), github.Reply), run, ask.Trigger, ask.Pipeline, ask.Given)
	if err != nil && done.At.Sub(ask.Trigger.At) <= patience {
		return err
	}
	if err != nil {
		done.Why = "given up: " + err.Error()
	}
	_, err = w.Append(ctx, done)
	return err
}

// startByHand starts a pipeline as it stands at the trigger's commit, or says why not.
func (a *App) startByHand(ctx context.Context, run pipeline.RunID, t pipeline.Trigger, called string, given map[string]string) (id pipeline.RunID, why string, err error) {
	r, why, err := a.readByHand(ctx, run, t, called, given)
	if err == nil && why == "" {
		why, err = a.request(ctx, r, reservation(t, r.Trust))
	}
	if err != nil || why != "" || r.Run != run {
		a.release(context.WithoutCancel(ctx), t.Repo, run)
	}
	if err != nil || why != "" {
		return "", why, err
	}
	a.log.Info("a run was started by hand", "repo", t.Repo.Slug(), "pipeline", r.Plan.Called(), "commit", t.Commit, "actor", t.Actor.Login, "run", r.Run)
	return r.Run, "", nil
}

// readByHand is the request for a run of a pipeline as it stands at the trigger's commit, which someone who may write has
// pushed; or why there can be none. Values that a person gave are checked against the plan, and are repeated in no answer.
func (a *App) readByHand(ctx context.Context, run pipeline.RunID, t pipeline.Trigger, called string, given map[string]string) (r pipeline.Requested, why string, err error) {
	err = a.source.Fetch(ctx, t.Repo, t.Ref, t.Commit, a.token(t.Repo, run))
	if errors.Is(err, source.ErrNoCommit) || errors.Is(err, source.ErrUnusable) || errors.Is(err, github.ErrGone) {
		return r, sentence(err), nil
	}
	if err != nil {
		return r, "", err
	}
	all, err := a.pipelines(ctx, t.Repo, t.Commit)
	if errors.Is(err, source.ErrNoFile) {
		return r, fmt.Sprintf("%s has no %s", t.Commit.Short(), pipeline.PlanPath), nil
	}
	if err != nil {
		return r, "", err
	}
	p, why := pipelineNamed(all, called)
	switch {
	case why != "":
		return r, why, nil
	case !p.Good():
		return r, pipeline.Wrong(p.Problems) + " at " + t.Commit.Short() + ": `conveyor validate` shows where", nil
	case p.Plan.On.Manual == nil:
		return r, fmt.Sprintf("`%s` at %s has no on.manual, so that nobody starts it by hand", p.Plan.Path(), t.Commit.Short()), nil
	}
	values, wrong := p.Plan.On.Manual.Take(given)
	if len(wrong) > 0 {
		return r, strings.Join(wrong, "; "), nil
	}
	if t.Inputs = values; len(values) == 0 {
		t.Inputs = nil
	}
	t.Title, _ = a.source.Subject(ctx, t.Repo, t.Commit) // for display only
	return pipeline.Requested{Run: run.For(p.Plan.Name), Trigger: t, Trust: pipeline.Writer, Plan: p.Plan, PlanFrom: t.Commit, At: a.now().UTC()}, "", nil
}
