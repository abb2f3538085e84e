package app

import (
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
)

// runWork is what an effect of a run gets.
type runWork = engine.Work[pipeline.State, pipeline.Event]

// runs is the machine of runs.
func (a *App) runs() engine.Machine[pipeline.State, pipeline.Event, pipeline.Effect] {
	return engine.Machine[pipeline.State, pipeline.Event, pipeline.Effect]{
		Prefix: "run/",
		Decode: pipeline.Decode,
		Apply:  pipeline.Apply,
		Next:   pipeline.Next,
		Do: func(ctx context.Context, w *runWork, effect pipeline.Effect) (err error) {
			defer func() { a.held.note(w.Stream, effect, err) }()
			ctx = github.WithRun(ctx, w.Stream)
			switch e := effect.(type) {
			case pipeline.Exec:
				return a.exec(ctx, w, e)
			case pipeline.AskStage:
				return a.askStage(ctx, w, e)
			case pipeline.Decide:
				return a.decide(ctx, w, e)
			case pipeline.Alarm:
				return a.outOfTime(ctx, w, e.Why)
			case pipeline.TellCheck:
				return a.tellCheck(ctx, w, e)
			case pipeline.Upload:
				return a.upload(ctx, w, e)
			case pipeline.Report:
				return a.report(ctx, w)
			}
			return fmt.Errorf("app: a run owes %T, which nothing here can do", effect)
		},
	}
}

// outOfTime ends a run whose time is up.
func (a *App) outOfTime(ctx context.Context, w *runWork, why string) error {
	a.log.Warn("the time of a run is up", "stream", w.Stream, "why", why)
	_, err := w.Append(ctx, pipeline.DeadlinePassed{Reason: why, At: a.now().UTC()})
	return err
}

// report tells the repository's stream how the run ended, and what it offers, and ends the run's token.
func (a *App) report(ctx context.Context, w *runWork) error {
	s := w.State
	e := deploy.RunEnded{Run: s.Run, Conclusion: s.Conclusion(), At: a.now().UTC()}
	if e.Conclusion == pipeline.Success {
		e.Artifacts = s.Artifacts()
	}
	if _, err := a.post(ctx, repoStream(s.Trigger.Repo.ID), "ended/"+string(s.Run), e); err != nil {
		return err
	}
	a.release(github.As(ctx, github.Conclusion), s.Trigger.Repo, s.Run)
	a.releaseParts(github.As(ctx, github.Conclusion), s, s.Parts)
	a.log.Info("run ended", "stream", w.Stream, "conclusion", e.Conclusion, "artifacts", len(e.Artifacts))
	_, err := w.Append(ctx, pipeline.Reported{At: a.now().UTC()})
	return err
}
