package app

import (
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// askStage tells the repository's stream that a run wants to enter a stage. The run rests until it is its turn.
func (a *App) askStage(ctx context.Context, w *runWork, e pipeline.AskStage) error {
	s := w.Latest()
	wanted := deploy.StageWanted{Run: s.Run, Stage: e.Stage, At: a.now().UTC()}
	if _, err := a.post(ctx, repoStream(s.Trigger.Repo.ID), fmt.Sprintf("stage/%s/%d", s.Run, e.Stage), wanted); err != nil {
		return err
	}
	_, err := w.Append(ctx, pipeline.StageAsked{Stage: e.Stage, At: wanted.At})
	return err
}

// admit tells a run that it is its turn.
func (a *App) admit(ctx context.Context, w *repoWork, e deploy.Admit) error {
	if _, err := a.post(ctx, string(e.Run), fmt.Sprintf("enter/%d", e.Stage), pipeline.StageEntered{Stage: e.Stage, At: a.now().UTC()}); err != nil {
		return err
	}
	_, err := w.Append(ctx, deploy.AdmissionSent(e))
	return err
}
