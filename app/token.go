package app

import (
	"context"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// token hands out the repository's read-only token at the moment when git needs it. It belongs to the run until the run
// releases it.
func (a *App) token(repo pipeline.Repo, run pipeline.RunID) source.Token {
	return func(ctx context.Context) (string, error) {
		t, err := a.github.Installation(repo.Installation).Token(ctx, repo, string(run))
		if err != nil {
			return "", err
		}
		return t.Value.Reveal(), nil
	}
}

// release ends the run's token, unless another run of the repository needs it. What GitHub does not hear now it hears
// from revokeLeft; and the token ends by itself within the hour.
func (a *App) release(ctx context.Context, repo pipeline.Repo, run pipeline.RunID) {
	if err := a.github.Installation(repo.Installation).Release(ctx, repo, string(run)); err != nil {
		a.log.Info("a token is revoked later", "stream", string(run), "err", err)
	}
}

// fetchOnce brings a commit into the mirror for something that is no run, with a token that ends right after. What is
// there already needs none.
func (a *App) fetchOnce(ctx context.Context, repo pipeline.Repo, purpose, ref string, commit pipeline.Commit) error {
	holder := pipeline.RunID(purpose + "/" + string(commit))
	defer a.release(context.WithoutCancel(ctx), repo, holder)
	return a.source.Fetch(ctx, repo, ref, commit, a.token(repo, holder))
}

// revokeLeft tells GitHub of the tokens whose end it could not be told in time.
func (a *App) revokeLeft(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := a.github.RevokeLeft(ctx); err != nil {
			a.log.Info("tokens are still to be revoked", "err", err)
		}
	}
}
