package app

import (
	"context"

	"github.com/conveyor-ci/conveyor/deploy"
)

// endHold tells the stream that the time of a lock or a freeze is up.
func (a *App) endHold(ctx context.Context, w *repoWork, e deploy.EndHold) error {
	at := a.now().UTC()
	var ended deploy.Event = deploy.LockEnded{Environment: e.Environment, At: at}
	if e.Freeze {
		ended = deploy.FreezeEnded{Environment: e.Environment, At: at}
	}
	_, err := w.Append(ctx, ended)
	return err
}
