package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Heard is what a delivery means to the house. Exactly when nothing else is set, Ignored says why.
type Heard struct {
	Repo     pipeline.Repo // set unless the delivery is ignored
	Trigger  *pipeline.Trigger
	Rebased  bool // the trigger is only that the pull request goes into another base: a head that has run needs none
	Pull     *deploy.PullSeen
	Commands []deploy.Command
	Voided   *deploy.ApprovalVoided
	Gone     *deploy.GroupGone
	Changed  *Changed // what became of repositories, or of the App in them; Repo is not set then
	Ignored  string   // for the journal and the operator; in words
}

// Translate says what a delivery means. It is pure, and total: what it cannot use, it ignores with a reason. The
// comments of Apps command when the App is one of those given, by number.
func Translate(d Delivery, apps ...int64) Heard {
	hear, known := map[string]func(Delivery, payload, pipeline.Repo) Heard{
		"push": push, "pull_request": pullRequest, "merge_group": mergeGroup, "check_run": checkRun, "check_suite": checkSuite, "issue_comment": func(d Delivery, p payload, _ pipeline.Repo) Heard {
			return issueComment(d, p, apps)
		}, "repository": repositoryChanged,
	}[d.Event]
	p := parse(d.Body)
	switch {
	case d.Event == "ping":
		return ignored("GitHub only says that the hook exists")
	case d.Event == "installation" || d.Event == "installation_repositories":
		return installed(d, p)
	case !known:
		return ignored("nothing follows from the event %s", describe(d.Event, p.Action))
	}
	repo, problem := p.repo()
	if d.Swept {
		p.Sender = &account{} // nobody, who may nothing
	} else if problem == "" && (p.Sender == nil || p.Sender.ID <= 0) {
		problem = "it names no sender"
	}
	if problem != "" {
		return ignored("%s: %s", describe(d.Event, p.Action), problem)
	}
	h := hear(d, p, repo)
	if p.Repository.Archived && h.Trigger != nil {
		return ignored("the repository is archived, so nothing is run in it")
	}
	if h.Ignored == "" && h.Changed == nil {
		h.Repo = repo
	}
	return h
}

func ignored(format string, args ...any) Heard { return Heard{Ignored: fmt.Sprintf(format, args...)} }

// describe names an event for people. Both words are text from outside.
func describe(event, action string) string {
	if action == "" {
		return event
	}
	if !eventForm.MatchString(action) {
		return event + " with an odd action"
	}
	return event + "/" + action
}

// push hears commits on a branch. Tags, deleted branches and the merge queue's own branches start nothing.
func push(d Delivery, p payload, repo pipeline.Repo) Heard {
	branch, ok := strings.CutPrefix(p.Ref, "refs/heads/")
	switch {
	case strings.HasPrefix(p.Ref, "refs/tags/"):
		return ignored("a tag was pushed, and tags start no runs")
	case !ok || branch == "":
		return ignored("what was pushed is not a branch")
	case p.Deleted || isZero(p.After):
		return ignored("a branch was deleted")
	case strings.HasPrefix(branch, "gh-readonly-queue/"):
		return ignored("the branch is the merge queue's own")
	case !pipeline.Commit(p.After).Valid():
		return ignored("the push names no commit")
	}
	t := &pipeline.Trigger{
		Kind: pipeline.Push, Delivery: d.GUID, Repo: repo, Commit: pipeline.Commit(p.After), Ref: p.Ref, Branch: branch,
		Actor: p.Sender.actor(), At: p.Repository.PushedAt.or(d.ReceivedAt),
	}
	if !isZero(p.Before) {
		t.Before = full(p.Before)
	}
	if p.HeadCommit != nil {
		t.Title = title(p.HeadCommit.Message)
	}
	return Heard{Trigger: t}
}

// pullRequest hears where a pull request stands. Only a new head or base starts a run; the other actions tell of what waits for
// it: that it is closed, or goes to another base.
func pullRequest(d Delivery, p payload, repo pipeline.Repo) Heard {
	runs := false
	switch p.Action {
	case "opened", "synchronize", "reopened":
		runs = true
	case "edited":
		runs = p.Changes.Base != nil // into another base, which may ask for checks that the one before did not
	case "closed", "converted_to_draft", "ready_for_review":
	default:
		return ignored("nothing follows from %s", describe(d.Event, p.Action))
	}
	pr := p.PullRequest
	if pr == nil || pr.Number <= 0 || !pipeline.Commit(pr.Head.SHA).Valid() {
		return ignored("%s names no pull request with a commit", describe(d.Event, p.Action))
	}
	author := ghost
	if pr.User != nil && pr.User.ID > 0 {
		author = *pr.User
	}
	seen := &deploy.PullSeen{
		Number: pr.Number, Open: pr.State == "open", Reopened: p.Action == "reopened", Merged: pr.Merged,
		Head: pipeline.Commit(pr.Head.SHA), Branch: pr.Head.Ref, Fork: pr.Head.Repo == nil || pr.Head.Repo.ID != repo.ID,
		Base: pr.Base.Ref, BaseCommit: full(pr.Base.SHA), Author: author.actor(), Updated: pr.UpdatedAt.or(d.ReceivedAt),
		Sender: p.Sender.actor(), Seen: d.ReceivedAt,
	}
	if p.Action == "synchronize" {
		seen.Before = full(p.Before)
	}
	if pr.Merged {
		seen.MergeCommit = full(pr.MergeCommitSHA)
	}
	h := Heard{Pull: seen}
	if runs {
		h.Trigger = &pipeline.Trigger{
			Kind: pipeline.PullRequest, Delivery: d.GUID, Repo: repo, Commit: seen.Head, Ref: fmt.Sprintf("refs/pull/%d/head", pr.Number),
			Branch: seen.Branch, Pull: pr.Number, Base: seen.Base, Actor: p.Sender.actor(), Fork: seen.Fork, At: seen.Updated,
			Title: title(pr.Title),
		}
		if h.Rebased = p.Action == "edited"; h.Rebased && seen.Fork {
			h.Trigger.Actor = pipeline.Actor{} // who edits has not pushed the head, and nobody knows who did
		}
	}
	return h
}

// issueComment hears what a person asks on a pull request. Only a new comment counts, in the words of the one who wrote
// it: everyone with write access may edit the comments of others.
func issueComment(d Delivery, p payload, apps []int64) Heard {
	switch c := p.Comment; {
	case p.Action != "created" && p.Action != "edited" && p.Action != "deleted":
		return ignored("%s: only new comments command", describe(d.Event, p.Action))
	case p.Issue == nil || p.Issue.Number <= 0 || c == nil || c.ID <= 0:
		return ignored("%s tells of no comment", describe(d.Event, p.Action))
	case p.Issue.PullRequest == nil:
		return ignored("it is a comment on an issue, not on a pull request")
	case p.Action != "created":
		return changedComment(d, p)
	case p.Sender.actor().Bot && (c.app() <= 0 || !slices.Contains(apps, c.app())):
		return ignored("comments of Apps and bots do not command")
	case c.User == nil || c.User.ID != p.Sender.ID:
		return ignored("the comment is not its sender's own")
	case !c.UpdatedAt.IsZero() && !c.UpdatedAt.Equal(c.CreatedAt.Time):
		return ignored("the comment was edited before it was told of")
	case len(c.Body) > maxComment:
		return ignored("commands are not looked for in a comment of more than %d KiB", maxComment>>10)
	}
	commands := ParseComment(p.Comment.Body)
	if len(commands) == 0 {
		return ignored("the comment holds no command")
	}
	body := sha256.Sum256([]byte(p.Comment.Body))
	for i := range commands {
		c := &commands[i]
		c.ID = fmt.Sprintf("%s.%d", d.GUID, i)
		c.Pull, c.Comment, c.Actor = p.Issue.Number, p.Comment.ID, p.Sender.actor()
		c.At, c.Body = p.Comment.CreatedAt.or(d.ReceivedAt), hex.EncodeToString(body[:])
		if c.Actor.Bot {
			c.App = p.Comment.app()
		}
	}
	return Heard{Commands: commands}
}

// changedComment hears that a comment is not any more what it was. What it says now is nobody's word; what it said
// counts no more when it was an approval, or asked for a rollback, which holds one.
func changedComment(d Delivery, p payload) Heard {
	was := p.Comment.Body
	if p.Action == "edited" {
		if p.Changes.Body == nil {
			return ignored("%s: its text is what it was", describe(d.Event, p.Action))
		}
		was = p.Changes.Body.From
	}
	for _, c := range ParseComment(was) {
		if c.Problem == "" && (c.Verb == deploy.Approve || c.Verb == deploy.Rollback) {
			return Heard{Voided: &deploy.ApprovalVoided{
				Comment: p.Comment.ID, Pull: p.Issue.Number, Why: p.Action, By: p.Sender.actor(), At: p.Comment.UpdatedAt.or(d.ReceivedAt),
			}}
		}
	}
	return ignored("%s: only new comments command, and it held no approval", describe(d.Event, p.Action))
}

// full is a commit id, or none at all.
func full(sha string) pipeline.Commit {
	if c := pipeline.Commit(sha); c.Valid() {
		return c
	}
	return ""
}

// isZero reports whether Git says "no commit".
func isZero(sha string) bool { return strings.Trim(sha, "0") == "" }
