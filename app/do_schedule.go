package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile/cron"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// findTime looks up when a schedule comes next. One that never comes is said once, and then waits for another plan.
func (a *App) findTime(ctx context.Context, w *repoWork, e deploy.FindTime) error {
	now := a.now().UTC()
	next, err := cron.Next(e.Time.Cron, e.Time.Zone, now)
	if err != nil { // a plan that another version of this server has read
		a.log.Error("a schedule never comes", "stream", w.Stream, "cron", e.Time.Cron, "zone", e.Time.Zone, "err", err)
		next = now.AddDate(100, 0, 0)
	}
	_, err = w.Append(ctx, deploy.TimeKnown{Time: e.Time, Next: next, At: now})
	return err
}

// startAt starts the run of a schedule, of the default branch's commit whose plan has it. Its name holds the time, so
// that it is started once, however often this is done.
func (a *App) startAt(ctx context.Context, w *repoWork, e deploy.StartAt) error {
	s := w.Latest()
	word := e.Time.Cron + "/" + e.Time.Zone
	if e.Time.Pipeline != "" {
		word += "/" + e.Time.Pipeline
	}
	sum := sha256.Sum256([]byte(word))
	delivery := fmt.Sprintf("schedule-%d-%x", e.At.Unix(), sum[:4])
	run := pipeline.NewRunID(s.Repo.ID, delivery)
	ctx = github.As(github.WithRun(ctx, string(run)), github.Progress)
	began, why, err := a.start(ctx, starting{run: run, only: &e.Time.Pipeline, trigger: pipeline.Trigger{
		Kind: pipeline.Schedule, Delivery: delivery, Repo: s.Repo, Commit: s.ScheduledAt, Ref: "refs/heads/" + s.Repo.Branch, Branch: s.Repo.Branch,
		Actor: pipeline.Actor{Login: "schedule", Bot: true}, At: e.At,
	}})
	came := deploy.TimeCame{Time: e.Time, Due: e.At, Why: why, At: a.now().UTC()}
	switch {
	case errors.Is(err, github.ErrGone), errors.Is(err, source.ErrNoCommit), errors.Is(err, source.ErrUnusable):
		came.Why = err.Error()
	case err != nil && came.At.Sub(e.At) > patience:
		came.Why = "given up: " + err.Error()
	case err != nil:
		return err
	}
	if came.Why == "" {
		came.Run = began[0]
	}
	if came.Run != run {
		a.release(ctx, s.Repo, run)
	}
	a.log.Info("a schedule's time has come", "stream", w.Stream, "cron", e.Time.Cron, "due", e.At, "run", came.Run, "why", came.Why)
	_, err = w.Append(ctx, came)
	return err
}
