package github

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// issue is an issue, or the half of a pull request that is one.
type issue struct {
	id       int64
	number   int
	State    string // "open" or "closed"
	title    string
	body     string
	author   *User
	made     time.Time
	updated  time.Time
	closed   time.Time
	closedBy *User
	labels   []*label
	comments []*Comment
	reacted  []*Reaction
	pull     *pull
}

type label struct {
	id    int64
	name  string
	color string
}

// OpenIssue opens an issue and returns its number.
func (s *Server) OpenIssue(repo, actor, title, body string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return 0, err
	}
	i := s.newIssue(r, s.account(actor, "User"), title, body)
	s.raise(event{name: "issues", action: "opened", repo: r, sender: i.author, payload: obj{"issue": s.renderIssue(r, i)}})
	s.changed.Broadcast()
	return i.number, nil
}

// SkipTo gives the next issue or pull request of a repository this number,
// unless it has come that far already.
func (s *Server) SkipTo(repo string, number int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	r.lastNumber = max(r.lastNumber, number-1)
	return nil
}

func (s *Server) newIssue(r *Repo, author *User, title, body string) *issue {
	r.lastNumber++
	i := &issue{id: s.next(), number: r.lastNumber, State: "open", title: title, body: body, author: author, made: s.now(), updated: s.now()}
	r.issues = append(r.issues, i)
	return i
}

func (r *Repo) issue(number int) *issue {
	for _, i := range r.issues {
		if i.number == number {
			return i
		}
	}
	return nil
}

func (c *call) issue() *issue { return c.repo.issue(int(c.id("issue_number"))) }

func (s *Server) renderLabel(r *Repo, l *label) obj {
	return obj{"id": l.id, "node_id": nodeID("LA", l.id), "url": s.api("/repos/%s/labels/%s", r.FullName, escapeRef(l.name)), "name": l.name,
		"color": l.color, "default": false, "description": nil}
}

func (s *Server) renderLabels(r *Repo, labels []*label) []any {
	out := []any{}
	for _, l := range labels {
		out = append(out, s.renderLabel(r, l))
	}
	return out
}

func (s *Server) renderIssue(r *Repo, i *issue) obj {
	at := s.api("/repos/%s/issues/%d", r.FullName, i.number)
	o := obj{"url": at, "repository_url": s.api("/repos/%s", r.FullName), "labels_url": at + "/labels{/name}", "comments_url": at + "/comments",
		"events_url": at + "/events", "html_url": s.html("/%s/issues/%d", r.FullName, i.number), "id": i.id, "node_id": nodeID("I", i.id),
		"number": i.number, "title": i.title, "user": s.renderUser(i.author), "labels": s.renderLabels(r, i.labels), "state": i.State, "locked": false,
		"assignee": nil, "assignees": []any{}, "milestone": nil, "comments": len(i.comments), "created_at": stamp(i.made), "updated_at": stamp(i.updated),
		"closed_at": stamp(i.closed), "author_association": s.association(i.author, r), "active_lock_reason": nil, "body": orNull(i.body),
		"reactions": renderRollup(at, i.reacted), "timeline_url": at + "/timeline", "performed_via_github_app": nil, "state_reason": nil}
	if i.State == "closed" && i.pull == nil {
		o["state_reason"] = "completed"
	}
	if i.pull != nil {
		page := s.html("/%s/pull/%d", r.FullName, i.number)
		o["html_url"], o["draft"] = page, i.pull.draft
		o["pull_request"] = obj{"url": s.api("/repos/%s/pulls/%d", r.FullName, i.number), "html_url": page, "diff_url": page + ".diff",
			"patch_url": page + ".patch", "merged_at": stamp(i.pull.merged)}
	}
	return o
}

func (c *call) getIssue() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	o := c.s.renderIssue(c.repo, i)
	o["closed_by"] = c.s.userOrNull(i.closedBy)
	return ok(o)
}

func (c *call) createIssue() answer {
	if a := c.types("title:any! body:string labels:array"); a != nil {
		return *a
	}
	i := c.s.newIssue(c.repo, c.who.actor(), c.text("title"), c.text("body"))
	names, _ := words(c.body["labels"])
	c.s.addLabels(c.repo, i, names)
	c.s.raise(event{name: "issues", action: "opened", repo: c.repo, sender: i.author, payload: obj{"issue": c.s.renderIssue(c.repo, i)}})
	return created(c.s.renderIssue(c.repo, i))
}

func (c *call) updateIssue() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	if a := c.types("body:string state:string labels:array"); a != nil {
		return *a
	}
	if c.has("title") {
		i.title = c.text("title")
	}
	if c.has("body") {
		i.body = c.text("body")
	}
	if names, given := words(c.body["labels"]); given {
		i.labels = nil
		c.s.addLabels(c.repo, i, names)
	}
	if want := c.text("state"); want != "" && want != i.State {
		switch {
		case want != "open" && want != "closed":
			return invalid(fieldError{"Issue", "state", "invalid", ""})
		case i.pull != nil && want == "closed":
			c.s.closePull(c.repo, i.pull, c.who.actor())
		case i.pull != nil:
			c.s.reopenPull(c.repo, i.pull, c.who.actor())
		default:
			i.State, i.closed, i.closedBy = want, time.Time{}, nil
			action := "reopened"
			if want == "closed" {
				i.closed, i.closedBy, action = c.s.now(), c.who.actor(), "closed"
			}
			c.s.raise(event{name: "issues", action: action, repo: c.repo, sender: c.who.actor(), payload: obj{"issue": c.s.renderIssue(c.repo, i)}})
		}
	}
	i.updated = c.s.now()
	return c.getIssue()
}

// addLabels makes labels that the repository lacks.
func (s *Server) addLabels(r *Repo, i *issue, names []string) {
	for _, name := range names {
		same := func(l *label) bool { return strings.EqualFold(l.name, name) }
		if slices.ContainsFunc(i.labels, same) {
			continue
		}
		n := slices.IndexFunc(r.labels, same)
		if n < 0 {
			r.labels = append(r.labels, &label{id: s.next(), name: name, color: "ededed"})
			n = len(r.labels) - 1
		}
		i.labels = append(i.labels, r.labels[n])
	}
	slices.SortStableFunc(i.labels, func(a, b *label) int { return cmp.Compare(a.id, b.id) })
}

func (c *call) listLabels() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	return ok(list(c, i.labels, func(l *label) obj { return c.s.renderLabel(c.repo, l) }))
}

// postLabels takes {"labels": […]} or the bare list.
func (c *call) postLabels() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	v, bare := c.body[""]
	if !bare {
		v = c.body["labels"]
	}
	names, good := words(v)
	if !good {
		if objects, isList := v.([]any); isList {
			for _, e := range objects {
				if m, isObject := e.(map[string]any); isObject {
					name, _ := m["name"].(string)
					names = append(names, name)
				}
			}
		}
		if len(names) == 0 {
			return invalid(fieldError{"Label", "labels", "missing_field", ""})
		}
	}
	c.s.addLabels(c.repo, i, names)
	if i.pull != nil {
		c.s.raisePull(c.repo, i.pull, "labeled", c.who.actor(), obj{"label": c.s.renderLabel(c.repo, i.labels[len(i.labels)-1])})
	}
	return ok(c.s.renderLabels(c.repo, i.labels))
}

func (c *call) deleteLabel() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	n := slices.IndexFunc(i.labels, func(l *label) bool { return strings.EqualFold(l.name, c.param["name"]) })
	if n < 0 {
		return fail(http.StatusNotFound, "Label does not exist")
	}
	gone := i.labels[n]
	i.labels = slices.Delete(slices.Clone(i.labels), n, n+1)
	if i.pull != nil {
		c.s.raisePull(c.repo, i.pull, "unlabeled", c.who.actor(), obj{"label": c.s.renderLabel(c.repo, gone)})
	}
	return ok(c.s.renderLabels(c.repo, i.labels))
}
