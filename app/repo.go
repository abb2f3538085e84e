package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
)

// repoWork is what an effect of a repository gets.
type repoWork = engine.Work[deploy.State, deploy.Event]

// repos is the machine of repositories.
func (a *App) repos() engine.Machine[deploy.State, deploy.Event, deploy.Effect] {
	return engine.Machine[deploy.State, deploy.Event, deploy.Effect]{
		Prefix: "repo/",
		Keep:   true,
		Decode: deploy.Decode,
		Apply:  deploy.Apply,
		Next:   deploy.Next,
		Do:     a.doForRepo,
	}
}

func (a *App) doForRepo(ctx context.Context, w *repoWork, effect deploy.Effect) (err error) {
	defer func() { a.held.note(w.Stream, effect, err) }()
	switch effect.(type) {
	case deploy.LookupPull, deploy.Acknowledge, deploy.LookupRole, deploy.Forward, deploy.Answer:
		ctx = github.As(ctx, github.Reply)
	case deploy.Deploy:
		ctx = github.As(ctx, github.Conclusion)
	}
	switch e := effect.(type) {
	case deploy.DrawCard:
		return a.drawCard(ctx, w, e)
	case deploy.Deploy:
		return a.deploy(github.WithRun(ctx, string(runOf(w.State, e.Environment))), w, e)
	case deploy.Remove:
		return a.remove(ctx, w, e)
	case deploy.Alarm:
		_, err := w.Append(ctx, deploy.Expired{Environment: e.Environment, At: a.now().UTC()})
		return err
	case deploy.EndHold:
		return a.endHold(ctx, w, e)
	case deploy.TellButtons:
		return a.tellButtons(ctx, w, e)
	case deploy.StopRun:
		return a.stopRun(ctx, w, e)
	case deploy.FindTime:
		return a.findTime(ctx, w, e)
	case deploy.StartAt:
		return a.startAt(ctx, w, e)
	case deploy.StartAsked:
		return a.startAsked(ctx, w, e)
	case deploy.Admit:
		return a.admit(ctx, w, e)
	case deploy.TellRuns:
		return a.tellRuns(ctx, w, e)
	case deploy.LookupPull:
		return a.lookupPull(ctx, w, e.Number)
	case deploy.Acknowledge:
		return a.acknowledge(ctx, w, e.Command)
	case deploy.LookupRole:
		return a.lookupRole(ctx, w, e.Command)
	case deploy.Forward:
		return a.forward(ctx, w, e.Command)
	case deploy.Answer:
		return a.answer(ctx, w, e.Command)
	case deploy.TellDeployment:
		return a.tellDeployment(github.WithRun(ctx, string(w.State.Pictures[e.Deployment].Run)), w, e)
	case deploy.TellPanel:
		return a.tellPanel(ctx, w, e)
	}
	return fmt.Errorf("app: a repository owes %T, which nothing here can do", effect)
}

func runOf(s deploy.State, environment string) pipeline.RunID {
	switch p := s.Places[environment]; {
	case p.Flight != nil:
		return p.Flight.Run
	case p.Waiting != nil:
		return p.Waiting.Run
	}
	return ""
}

// stopRun tells a run that it is not wanted any more.
func (a *App) stopRun(ctx context.Context, w *repoWork, e deploy.StopRun) error {
	if _, err := a.post(ctx, string(e.Run), "stop/"+e.Reason, pipeline.CancelRequested{Reason: e.Reason, At: a.now().UTC()}); err != nil {
		return err
	}
	_, err := w.Append(ctx, deploy.CancelSent{Run: e.Run})
	return err
}

// lookupPull asks GitHub for a pull request that no webhook has told of.
func (a *App) lookupPull(ctx context.Context, w *repoWork, number int) error {
	seen, err := a.pullNow(ctx, w.State.Repo, number)
	if errors.Is(err, github.ErrGone) {
		seen, err = deploy.PullSeen{Number: number}, nil // its commands find nothing to speak of, and any webhook knows more
	}
	if err != nil {
		return err
	}
	_, err = w.Append(ctx, seen)
	return err
}

// pullNow is a pull request as GitHub shows it at this moment. Its time is GitHub's, never ours: only then can the answer
// be put in order with webhooks.
func (a *App) pullNow(ctx context.Context, repo pipeline.Repo, number int) (deploy.PullSeen, error) {
	p, err := a.github.Installation(repo.Installation).Pull(ctx, repo, number)
	if err != nil {
		return deploy.PullSeen{}, err
	}
	return deploy.PullSeen{
		Number: p.Number, Open: p.State == "open", Reopened: p.State == "open", Merged: p.Merged, Head: p.Head, Branch: p.HeadBranch,
		Fork: p.HeadRepo != repo.ID, Base: p.Base, BaseCommit: p.BaseCommit, MergeCommit: p.MergeCommit, Author: p.Author, Updated: p.Updated,
		Seen: a.now().UTC(),
	}, nil
}
