package app

import (
	"cmp"
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// tellButtons tells a run which buttons its last check has.
func (a *App) tellButtons(ctx context.Context, w *repoWork, e deploy.TellButtons) error {
	key := fmt.Sprintf("buttons/%d", w.Latest().Runs[e.Run].Offers)
	if _, err := a.post(ctx, string(e.Run), key, pipeline.Offered{Buttons: e.Buttons}); err != nil {
		return err
	}
	_, err := w.Append(ctx, deploy.ButtonsSent{Run: e.Run, Mark: e.Mark()})
	return err
}

// pressedAgain runs the checks of a commit again because someone pressed GitHub's button: one of them and whatever else
// has not passed, or all.
func (a *App) pressedAgain(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	c := p.Command
	f := deploy.Forwarded{Command: c.ID}
	refuse := func(why string) (deploy.Forwarded, error) {
		f.Refused, f.Say = true, why
		return f, nil
	}
	last := []deploy.Run{s.Runs[c.Run]}
	if c.Check == "" {
		last = s.NewestRuns(pipeline.Commit(c.Commit))
	}
	var began []pipeline.Requested
	problem := ""
	for _, r := range last {
		request, why, err := a.againAt(ctx, s, r, c)
		if err == nil && why == "" {
			why, err = a.request(ctx, request, "run/"+c.ID)
		}
		if err != nil {
			return f, err
		}
		if problem = cmp.Or(problem, why); why == "" {
			began = append(began, request)
		}
	}
	if len(began) == 0 {
		return refuse(problem)
	}
	f.Run, f.Say = began[0].Run, fmt.Sprintf("%s runs again.", began[0].Trigger.Commit.Short())
	return f, nil
}

// againAt is the request for another run because of a press at a check, or why there is none.
func (a *App) againAt(ctx context.Context, s deploy.State, last deploy.Run, c deploy.Command) (r pipeline.Requested, why string, err error) {
	if pull := s.Pulls[last.Trigger.Pull]; last.Trigger.Pull != 0 && !pull.Open {
		return r, fmt.Sprintf("Pull request #%d is closed, so there is nothing to test again.", last.Trigger.Pull), nil
	} else if last.Trigger.Pull != 0 && pull.Head != last.Trigger.Commit {
		return r, fmt.Sprintf("Pull request #%d has moved on to %s, so %s is not tested again.", last.Trigger.Pull, pull.Head.Short(), last.Trigger.Commit.Short()), nil
	}
	old, _, err := a.runs().Load(ctx, a.journal, string(last.ID))
	if err != nil {
		return r, "", err
	}
	if why := notToRun(old); why != "" {
		return r, why, nil
	}
	if last.Trigger.Pull != 0 {
		if why, err := a.noLonger(ctx, s.Pulls[last.Trigger.Pull].PullSeen, last); err != nil || why != "" {
			return r, why, err
		}
	}
	r = pipeline.Again(old)
	if c.Check != "" {
		r, why = pipeline.AgainCheck(old, c.Check)
	}
	r.Run, r.At = pipeline.NewRunID(old.Trigger.Repo.ID, c.ID).For(old.Plan.Name), a.now().UTC()
	r.Trigger.Repo = old.Trigger.Repo.Renamed(s.Repo)
	r.Trigger.Delivery, r.Trigger.Actor = c.ID, c.Actor
	return r, why, nil
}

// notToRun says why a run that was skipped is not done again: the plan does not want it.
func notToRun(old pipeline.State) string {
	if old.Skip == "" {
		return ""
	}
	return "It is not run, because " + old.Skip + "."
}

// cancelRun ends the one run whose button was pressed.
func (a *App) cancelRun(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	c := p.Command
	f := deploy.Forwarded{Command: c.ID}
	if s.Runs[c.Run].Conclusion != "" {
		f.Refused, f.Say = true, "The run is over already."
		return f, nil
	}
	_, err := a.post(ctx, string(c.Run), "cancel/"+c.ID, pipeline.CancelRequested{Reason: "cancelled by " + c.Actor.Login, At: a.now().UTC()})
	f.Say = "The run is cancelled."
	return f, err
}

// answerPress answers someone who pressed a button at a check. What was granted shows by itself; a refusal stands at the
// check, which GitHub may show as running again until it is told something, and in the pull request when there is one.
func (a *App) answerPress(ctx context.Context, w *repoWork, p deploy.Pending) error {
	s := w.Latest()
	c := p.Command
	if p.Refused && c.Run != "" {
		note := pipeline.Noted{Check: c.Check, Note: "What @" + c.Actor.Login + " asked for here was refused. " + p.Say, At: a.now().UTC()}
		if _, err := a.post(ctx, string(c.Run), "note/"+c.ID, note); err != nil {
			return err
		}
	}
	if p.Refused && c.Pull != 0 {
		_, err := a.github.Installation(s.Repo.Installation).UpsertComment(ctx, s.Repo, c.Pull, github.Comment{
			Unknown: true, Marker: "conveyor/answer/" + c.ID, Body: answerBody(p),
		})
		if err != nil && !a.useless(err) {
			return err
		}
	}
	a.log.Info("button answered", "repo", s.Repo.Slug(), "pull", c.Pull, "verb", c.Verb, "actor", c.Actor.Login, "refused", p.Refused)
	_, err := w.Append(ctx, deploy.Answered{Command: c.ID})
	return err
}
