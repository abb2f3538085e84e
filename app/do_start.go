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
	if begun, ok := s.Begun(run); ok { // this server, or another one, was lost after it was requested
		f.Run, f.Say = begun.ID, startedWords(begun, a.RunURL(begun.ID))
		return f, nil
	}
	pull := s.Pulls[c.Pull].PullSeen
	if pull.Fork {
		return refuse("The head lives in a fork, and nothing of a fork is started by hand. Its checks run by `/ok-to-test`.")
	}
	t := askedRun(s, p)
	t.Commit = p.Commit // and not a head that came since
	ctx = github.WithRun(ctx, string(run))
	trust, _, err := a.trust(ctx, t, &pull)
	if err != nil {
		return f, err
	}
	if trust < pipeline.Writer {
		return refuse("The author of this pull request may not write to this repository, and nothing of theirs is started by hand.")
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
	f.Run, f.Say = id, startedWords(deploy.Run{Pipeline: pipeline.PipelineNamed(c.Word), Trigger: t}, a.RunURL(id))
	return f, nil
}

func startedWords(r deploy.Run, url string) string {
	return fmt.Sprintf("The pipeline `%s` [runs](%s) at %s. Nothing that it makes is deployed.", pipeline.Called(r.Pipeline), url, r.Trigger.Commit.Short())
}

// startByHand starts a pipeline as it stands at the trigger's commit, which someone who may write has pushed; or says why
// not. Values that a person gave are checked against the plan, and are repeated in no answer.
func (a *App) startByHand(ctx context.Context, run pipeline.RunID, t pipeline.Trigger, called string, given map[string]string) (id pipeline.RunID, why string, err error) {
	defer func() {
		if id != run {
			a.release(context.WithoutCancel(ctx), t.Repo, run)
		}
	}()
	err = a.source.Fetch(ctx, t.Repo, t.Ref, t.Commit, a.token(t.Repo, run))
	if errors.Is(err, source.ErrNoCommit) || errors.Is(err, source.ErrUnusable) || errors.Is(err, github.ErrGone) {
		return "", sentence(err), nil
	}
	if err != nil {
		return "", "", err
	}
	all, err := a.pipelines(ctx, t.Repo, t.Commit)
	if errors.Is(err, source.ErrNoFile) {
		return "", fmt.Sprintf("%s has no %s", t.Commit.Short(), pipeline.PlanPath), nil
	}
	if err != nil {
		return "", "", err
	}
	p, why := pipelineNamed(all, called)
	switch {
	case why != "":
		return "", why, nil
	case !p.Good():
		return "", pipeline.Wrong(p.Problems) + " at " + t.Commit.Short() + ": `conveyor validate` shows where", nil
	case p.Plan.On.Manual == nil:
		return "", fmt.Sprintf("`%s` at %s has no on.manual, so that nobody starts it by hand", p.Plan.Path(), t.Commit.Short()), nil
	}
	values, wrong := p.Plan.On.Manual.Take(given)
	if len(wrong) > 0 {
		return "", strings.Join(wrong, "; "), nil
	}
	if t.Inputs = values; len(values) == 0 {
		t.Inputs = nil
	}
	t.Title, _ = a.source.Subject(ctx, t.Repo, t.Commit) // for display only
	r := pipeline.Requested{Run: run.For(p.Plan.Name), Trigger: t, Trust: pipeline.Writer, Plan: p.Plan, PlanFrom: t.Commit, At: a.now().UTC()}
	if why, err = a.request(ctx, r, reservation(t, r.Trust)); err != nil || why != "" {
		return "", why, err
	}
	a.log.Info("a run was started by hand", "repo", t.Repo.Slug(), "pipeline", p.Plan.Called(), "commit", t.Commit, "actor", t.Actor.Login, "run", r.Run)
	return r.Run, "", nil
}
