package app

import (
	"context"
	"errors"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
)

// tellDeployment brings one deployment at GitHub up to the newest state. It may be repeated: before each try the stream
// says so, so that after a crash or a lost answer GitHub is asked first what came of it.
func (a *App) tellDeployment(ctx context.Context, w *repoWork, e deploy.TellDeployment) error {
	s := w.Latest()
	p, ok := s.Pictures[e.Deployment]
	if !ok {
		return nil
	}
	unknown := p.Opening
	in := a.github.Installation(s.Repo.Installation)
	ctx = github.As(ctx, github.Conclusion)
	if p.State == "in_progress" {
		ctx = github.As(ctx, github.Progress)
	}
	if err := in.MayWrite(ctx, "deployments"); err != nil {
		return err // before a note is made of it
	}
	if !p.Opening {
		var err error
		if s, err = w.Append(ctx, deploy.DeploymentOpening{Deployment: e.Deployment}); err != nil {
			return err
		}
		p = s.Pictures[e.Deployment]
	}
	id, err := in.UpsertDeployment(ctx, s.Repo, github.Deployment{
		ID: p.ID, Unknown: unknown, Name: p.Deployment, Run: string(p.Run), Digest: p.Digest, Commit: p.Commit,
		Environment: p.Environment, Description: p.Description, Production: production(s, p), Transient: p.Preview,
	})
	if a.useless(err) {
		a.log.Error("GitHub will not show this deployment", "stream", w.Stream, "deployment", e.Deployment, "err", err)
		_, err := w.Append(ctx, deploy.DeploymentTold{Deployment: e.Deployment, State: p.State, GivenUp: err.Error()})
		return err
	}
	if err != nil {
		return err
	}
	err = in.SetDeploymentState(ctx, s.Repo, id, github.State{
		Unknown: unknown, State: p.State, Description: p.Description, LogURL: a.RunURL(p.Run), EnvironmentURL: p.URL,
	})
	told := deploy.DeploymentTold{Deployment: e.Deployment, ID: id, State: p.State}
	events := []deploy.Event{told}
	if a.useless(err) {
		told.GivenUp, err = err.Error(), nil
		events = []deploy.Event{told}
	} else if err != nil {
		if id == p.ID {
			return err // that it was opened stands in the stream
		}
		told.State = p.Told // the id is known, the state is still owed; it may have been told: ask first
		events = []deploy.Event{told, deploy.DeploymentOpening{Deployment: e.Deployment}}
	}
	_, appendErr := w.Append(ctx, events...)
	return errors.Join(err, appendErr)
}

// production reports whether an environment is what others end in: the last one of the plan.
func production(s deploy.State, p deploy.Picture) bool {
	n := len(s.Definitions)
	return !p.Preview && n > 0 && s.Definitions[n-1].Name == p.Environment
}
