package webhook

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Heard is what a delivery means to the house. Exactly when nothing else is set, Ignored says why.
type Heard struct {
	Repo     pipeline.Repo
	Trigger  *pipeline.Trigger
	Pull     *deploy.PullSeen
	Commands []deploy.Command
	Ignored  string
}

// payload is the little that is read of a payload. GitHub adds fields and leaves others out; what is not needed is not
// looked at, so that no odd value elsewhere makes a delivery unreadable.
type payload struct {
	Action     string `json:"action"`
	Ref        string `json:"ref"`
	Before     string `json:"before"`
	After      string `json:"after"`
	Deleted    bool   `json:"deleted"`
	HeadCommit *struct {
		Message string `json:"message"`
	} `json:"head_commit"`
	Sender       *account    `json:"sender"`
	Repository   *repository `json:"repository"`
	Installation *struct {
		ID int64 `json:"id"`
	} `json:"installation"`
	PullRequest *pull `json:"pull_request"`
	Issue       *struct {
		Number      int              `json:"number"`
		PullRequest *json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	Comment *struct {
		ID        int64    `json:"id"`
		Body      string   `json:"body"`
		User      *account `json:"user"`
		CreatedAt stamp    `json:"created_at"`
	} `json:"comment"`
}

type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

type repository struct {
	ID            int64   `json:"id"`
	Name          string  `json:"name"`
	FullName      string  `json:"full_name"`
	Owner         account `json:"owner"`
	DefaultBranch string  `json:"default_branch"`
	PushedAt      stamp   `json:"pushed_at"`
}

type pull struct {
	Number         int      `json:"number"`
	State          string   `json:"state"`
	Title          string   `json:"title"`
	Merged         bool     `json:"merged"`
	MergeCommitSHA string   `json:"merge_commit_sha"`
	User           *account `json:"user"`
	UpdatedAt      stamp    `json:"updated_at"`
	Head           side     `json:"head"`
	Base           side     `json:"base"`
}

type side struct {
	Ref  string      `json:"ref"`
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"`
}

// stamp is a time that GitHub writes as RFC 3339 in most events, and as seconds in a push.
type stamp struct{ time.Time }

// UnmarshalJSON reads both forms, and takes anything else for no time at all.
func (s *stamp) UnmarshalJSON(data []byte) error {
	if seconds, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		s.Time = time.Unix(seconds, 0).UTC()
		return nil
	}
	if t, err := time.Parse(time.RFC3339, strings.Trim(string(data), `"`)); err == nil {
		s.Time = t.UTC()
	}
	return nil
}

// Translate says what a delivery means. It is pure, and total: what it cannot use, it ignores with a reason.
func Translate(d Delivery) Heard {
	var p payload
	if err := json.Unmarshal(d.Body, &p); err != nil {
		return ignored("the payload of %s has an unexpected form: %v", d.Event, err)
	}
	switch d.Event {
	case "ping":
		return ignored("GitHub only says that the hook exists")
	case "push", "pull_request", "issue_comment":
	default:
		return ignored("nothing follows from the event %s", describe(d.Event, p.Action))
	}
	if p.Repository == nil || p.Sender == nil || p.Installation == nil || p.Repository.ID == 0 || p.Installation.ID == 0 {
		return ignored("the %s event names no repository, sender or installation", d.Event)
	}
	repo := pipeline.Repo{
		ID: p.Repository.ID, Owner: p.Repository.Owner.Login, Name: p.Repository.Name,
		Installation: p.Installation.ID, Branch: p.Repository.DefaultBranch,
	}
	if repo.Owner == "" {
		repo.Owner, _, _ = strings.Cut(p.Repository.FullName, "/")
	}
	var h Heard
	switch d.Event {
	case "push":
		h = push(d, p, repo)
	case "pull_request":
		h = pullRequest(d, p, repo)
	case "issue_comment":
		h = comment(d, p)
	}
	h.Repo = repo
	return h
}

func ignored(format string, args ...any) Heard { return Heard{Ignored: fmt.Sprintf(format, args...)} }

func describe(event, action string) string {
	if action != "" {
		return event + "/" + action
	}
	return event
}

func push(d Delivery, p payload, repo pipeline.Repo) Heard {
	branch, ok := strings.CutPrefix(p.Ref, "refs/heads/")
	switch after := pipeline.Commit(p.After); {
	case !ok:
		return ignored("%q is not a branch", p.Ref)
	case p.Deleted || strings.Trim(p.After, "0") == "":
		return ignored("the branch %q was deleted", branch)
	case strings.HasPrefix(branch, "gh-readonly-queue/"):
		return ignored("the branch %q is the merge queue's own", branch)
	case !after.Valid():
		return ignored("%q is not a commit", p.After)
	}
	t := pipeline.Trigger{
		Kind: pipeline.Push, Delivery: d.GUID, Repo: repo, Commit: pipeline.Commit(p.After), Ref: p.Ref, Branch: branch,
		Actor: actor(p.Sender), At: p.Repository.PushedAt.Time,
	}
	if before := pipeline.Commit(p.Before); before.Valid() && strings.Trim(p.Before, "0") != "" {
		t.Before = before
	}
	if p.HeadCommit != nil {
		t.Title = firstLine(p.HeadCommit.Message)
	}
	return Heard{Trigger: &t}
}

func pullRequest(d Delivery, p payload, repo pipeline.Repo) Heard {
	pr := p.PullRequest
	if pr == nil || pr.User == nil || pr.Number == 0 || !pipeline.Commit(pr.Head.SHA).Valid() {
		return ignored("the pull_request event tells of no pull request")
	}
	fork := pr.Head.Repo == nil || pr.Head.Repo.ID != repo.ID
	seen := &deploy.PullSeen{
		Number: pr.Number, Open: pr.State == "open", Reopened: p.Action == "reopened", Merged: pr.Merged,
		Head: pipeline.Commit(pr.Head.SHA), Branch: pr.Head.Ref, Fork: fork, Base: pr.Base.Ref,
		Author: actor(pr.User), Updated: pr.UpdatedAt.Time,
	}
	if base := pipeline.Commit(pr.Base.SHA); base.Valid() {
		seen.BaseCommit = base
	}
	if merge := pipeline.Commit(pr.MergeCommitSHA); pr.Merged && merge.Valid() {
		seen.MergeCommit = merge
	}
	h := Heard{Pull: seen}
	switch p.Action {
	case "opened", "synchronize", "reopened":
		h.Trigger = &pipeline.Trigger{
			Kind: pipeline.PullRequest, Delivery: d.GUID, Repo: repo, Commit: seen.Head, Ref: fmt.Sprintf("refs/pull/%d/head", pr.Number),
			Branch: pr.Head.Ref, Pull: pr.Number, Base: pr.Base.Ref, Actor: actor(p.Sender), Fork: fork, At: pr.UpdatedAt.Time,
			Title: firstLine(pr.Title),
		}
	}
	return h
}

func comment(d Delivery, p payload) Heard {
	switch {
	case p.Action != "created":
		return ignored("only new comments command; this one was %s", p.Action)
	case p.Comment == nil || p.Issue == nil || p.Comment.ID == 0:
		return ignored("the issue_comment event tells of no comment")
	case p.Issue.PullRequest == nil || string(*p.Issue.PullRequest) == "null":
		return ignored("it is a comment on an issue, not on a pull request")
	case p.Sender.Type == "Bot" || strings.HasSuffix(p.Sender.Login, "[bot]"):
		return ignored("comments of Apps and bots do not command")
	case p.Comment.User == nil || p.Comment.User.ID != p.Sender.ID:
		return ignored("the comment is not its sender's own")
	}
	var h Heard
	for i, c := range ParseComment(p.Comment.Body) {
		c.ID = fmt.Sprintf("%s.%d", d.GUID, i)
		c.Pull, c.Comment, c.Actor, c.At = p.Issue.Number, p.Comment.ID, actor(p.Sender), p.Comment.CreatedAt.Time
		h.Commands = append(h.Commands, c)
	}
	if len(h.Commands) == 0 {
		return ignored("the comment holds no command")
	}
	return h
}

func actor(a *account) pipeline.Actor {
	return pipeline.Actor{ID: a.ID, Login: a.Login, Bot: a.Type == "Bot" || strings.HasSuffix(a.Login, "[bot]")}
}

// firstLine is text from outside, for display only.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(strings.TrimSpace(line)); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return strings.TrimSpace(line)
}
