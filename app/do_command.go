package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Reactions, in GitHub's words.
const (
	heard   = "eyes"
	done    = "rocket"
	refused = "-1"
	puzzled = "confused"
)

// acknowledge shows the one who commands that the command was heard. GitHub keeps one reaction of a kind, so that it may
// be repeated. A comment that is gone is no reason to wait.
func (a *App) acknowledge(ctx context.Context, w *repoWork, id string) error {
	s := w.Latest()
	c := s.Commands[id].Command
	if c.Comment == 0 { // a button said it
		_, err := w.Append(ctx, deploy.Acknowledged{Command: id})
		return err
	}
	if err := a.github.Installation(s.Repo.Installation).React(ctx, s.Repo, c.Comment, heard); err != nil && !a.useless(err) {
		return err
	}
	_, err := w.Append(ctx, deploy.Acknowledged{Command: id})
	return err
}

// lookupRole asks GitHub, by number, what the one who commands may do at this moment. When GitHub says that there is no
// such right, the answer is "none"; when it does not answer, nothing is decided.
func (a *App) lookupRole(ctx context.Context, w *repoWork, id string) error {
	s := w.Latest()
	c := s.Commands[id].Command
	known := deploy.RoleKnown{Command: id, At: a.now().UTC()}
	if c.Problem == "" && c.Verb != deploy.Help && c.Verb != deploy.Unknown && (!c.Actor.Bot || c.App != 0) {
		var err error
		if known.Role, known.Teams, err = a.rights(ctx, s, c.Actor); err != nil {
			return err
		}
		if c.Verb == deploy.Approve && c.Commit == "" && s.Pulls[c.Pull].Open {
			if err := a.newerHead(ctx, w, c.Pull); err != nil {
				return err
			}
		}
		in := a.github.Installation(s.Repo.Installation)
		if waits := s.WaitsForAnother(c); waits != "" {
			if known.Wrote, err = in.Wrote(ctx, s.Repo, waits); err != nil && !a.useless(err) {
				return err
			}
		}
	}
	_, err := w.Append(ctx, known)
	return err
}

// newerHead asks GitHub for a pull request, and notes a head that no webhook has told of yet: a word that names no commit
// may mean it.
func (a *App) newerHead(ctx context.Context, w *repoWork, number int) error {
	now, err := a.pullNow(ctx, w.State.Repo, number)
	if a.useless(err) {
		return nil // nothing of it can be meant, and its start asks once more
	}
	if err != nil {
		return err
	}
	known := w.Latest().Pulls[number]
	switch {
	case now.Head == known.Head && now.Open == known.Open || now.Updated.Before(known.Updated):
		return nil
	case now.Updated.Equal(known.Updated) && a.now().Sub(known.Updated) < readLag:
		return fmt.Errorf("app: GitHub's answer about pull request %d may be older than its webhooks, so it is asked again", number)
	}
	now.BaseCommit = known.BaseCommit
	_, err = w.Append(ctx, now)
	return err
}

// rights are what a person may do at this moment: the role in the repository, and the teams of those that matter. What
// GitHub does not show is no right.
func (a *App) rights(ctx context.Context, s deploy.State, who pipeline.Actor) (role pipeline.Role, teams []string, err error) {
	in := a.github.Installation(s.Repo.Installation)
	if role, err = in.RoleNow(ctx, s.Repo, who.Login, who.ID); err != nil && !a.useless(err) {
		return pipeline.NoRole, nil, err
	}
	for _, team := range s.Teams() {
		member, err := in.TeamMember(ctx, s.Repo.Owner, team, who.Login, who.ID)
		if err != nil && !a.useless(err) {
			return pipeline.NoRole, nil, err
		}
		if err == nil && member {
			teams = append(teams, team)
		}
	}
	return role, teams, nil
}

// answer gives the ruling: a reaction when it was granted, the reason and the command to type when it was not.
func (a *App) answer(ctx context.Context, w *repoWork, id string) error {
	s := w.Latest()
	p := s.Commands[id]
	if p.Command.AtCheck() {
		return a.answerPress(ctx, w, p)
	}
	in := a.github.Installation(s.Repo.Installation)
	reaction := done
	switch {
	case p.Command.Verb == deploy.Unknown:
		reaction = puzzled
	case p.Refused:
		reaction = refused
	}
	if p.Command.Comment != 0 {
		if err := in.React(ctx, s.Repo, p.Command.Comment, reaction); err != nil && !a.useless(err) {
			return err
		}
	}
	if p.Say != "" {
		_, err := in.UpsertComment(ctx, s.Repo, p.Command.Pull, github.Comment{
			Unknown: true, // an answer is rare: looking first is cheaper than remembering
			Marker:  "conveyor/answer/" + id, Body: answerBody(p),
		})
		if err != nil && !a.useless(err) {
			return err
		}
	}
	a.log.Info("command answered", "repo", s.Repo.Slug(), "pull", p.Command.Pull, "verb", p.Command.Verb, "actor", p.Command.Actor.Login, "refused", p.Refused)
	_, err := w.Append(ctx, deploy.Answered{Command: id})
	return err
}

// answerBody mentions nobody: the person who asked is notified by the comment anyway.
func answerBody(p deploy.Pending) string {
	head := "> `" + strings.ReplaceAll(p.Command.Line, "`", "'") + "`\n\n"
	if p.Refused {
		return head + "Refused. " + unmention(p.Say) + "\n"
	}
	return head + unmention(p.Say) + "\n"
}

// unmention breaks the @ of our own sentences, so that they ping nobody. Commands to copy stand in code, where GitHub
// looks for no mention, and stay as they are.
func unmention(words string) string {
	parts := strings.Split(words, "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(parts[i], "@", "@\u200b")
	}
	return strings.Join(parts, "`")
}

// forward passes on what a command asks of runs.
func (a *App) forward(ctx context.Context, w *repoWork, id string) error {
	s := w.Latest()
	p := s.Commands[id]
	forwarded := deploy.Forwarded{Command: id}
	var err error
	switch p.Command.Verb {
	case deploy.Test, deploy.Retest:
		forwarded, err = a.runAgain(ctx, s, p)
	case deploy.Start:
		forwarded, err = a.runAsked(ctx, s, p)
	case deploy.Cancel:
		forwarded, err = a.cancelRuns(ctx, s, p)
	case deploy.OkToTest:
		forwarded, err = a.allow(ctx, w, id)
	case deploy.Why:
		forwarded, err = a.explain(ctx, s, p)
	case deploy.Doctor:
		forwarded, err = a.doctor(ctx, s, p)
	}
	if err != nil {
		return err
	}
	_, err = w.Append(ctx, forwarded)
	return err
}

// cancelRuns ends the runs of a pull request that are not over.
func (a *App) cancelRuns(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	f := deploy.Forwarded{Command: p.Command.ID}
	why := "cancelled by " + p.Command.Actor.Login
	ended := 0
	if p.Command.Check != "" {
		return a.cancelRun(ctx, s, p)
	}
	for id, r := range s.Runs {
		if r.Trigger.Pull != p.Command.Pull || r.Conclusion != "" {
			continue
		}
		if _, err := a.post(ctx, string(id), "cancel/"+p.Command.ID, pipeline.CancelRequested{Reason: why, At: a.now().UTC()}); err != nil {
			return f, err
		}
		ended++
	}
	if ended == 0 {
		f.Refused, f.Say = true, "No run of this pull request is on its way."
		return f, nil
	}
	f.Say = fmt.Sprintf("%d run(s) cancelled.", ended)
	return f, nil
}
