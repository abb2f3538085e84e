package github

import (
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// Status is a commit status.
type Status struct {
	ID                                          int64
	SHA, Context, State, Description, TargetURL string

	author *User
	made   time.Time
}

var statusStates = []string{"error", "failure", "pending", "success"}

func (c *call) createStatus() answer {
	if a := c.types("state:string! context:string description:string target_url:string"); a != nil {
		return *a
	}
	k := c.repo.git.commit(c.param["sha"])
	if k == nil {
		return noCommit(c.param["sha"])
	}
	t := &Status{ID: c.s.next(), SHA: k.sha, Context: c.text("context"), State: c.text("state"), Description: c.text("description"),
		TargetURL: c.text("target_url"), author: c.who.actor(), made: c.s.now()}
	if t.Context == "" {
		t.Context = "default"
	}
	switch {
	case !slices.Contains(statusStates, t.State):
		return invalid(fieldError{"Status", "state", "custom", "state is not included in the list"})
	case utf8.RuneCountInString(t.Description) > 140:
		return invalid(fieldError{"Status", "description", "custom", "description is too long (maximum is 140 characters)"})
	case utf8.RuneCountInString(t.Context) > 255:
		return invalid(fieldError{"Status", "context", "custom", "context is too long (maximum is 255 characters)"})
	case t.TargetURL != "" && !absolute(t.TargetURL):
		return invalid(fieldError{"Status", "target_url", "custom", "target_url must use http(s) scheme"})
	}
	same := 0
	for _, o := range c.repo.statuses {
		if o.SHA == t.SHA && o.Context == t.Context {
			same++
		}
	}
	if same >= 1000 {
		return fail(http.StatusUnprocessableEntity, "Validation Failed: This SHA and context has reached the maximum number of statuses.")
	}
	c.repo.statuses = append(c.repo.statuses, t)
	branches := []any{}
	for _, ref := range sortedKeys(c.repo.refs) {
		if len(ref) > 11 && ref[:11] == "refs/heads/" && c.repo.refs[ref] == t.SHA {
			branches = append(branches, c.shortBranch(ref[11:]))
		}
	}
	c.s.raise(event{name: "status", repo: c.repo, sender: t.author, payload: obj{"id": t.ID, "sha": t.SHA, "name": c.repo.FullName, "target_url": orNull(t.TargetURL),
		"context": t.Context, "description": orNull(t.Description), "state": t.State, "commit": c.s.renderCommit(c.repo, k), "branches": branches,
		"created_at": stamp(t.made), "updated_at": stamp(t.made), "avatar_url": c.s.html("/avatars/%d", t.author.ID)}})
	return created(c.renderStatus(t, true))
}

func (c *call) renderStatus(t *Status, full bool) obj {
	o := obj{"url": c.s.api("/repos/%s/statuses/%s", c.repo.FullName, t.SHA), "avatar_url": c.s.html("/avatars/%d", t.author.ID), "id": t.ID,
		"node_id": nodeID("SC", t.ID), "state": t.State, "description": orNull(t.Description), "target_url": orNull(t.TargetURL), "context": t.Context,
		"created_at": stamp(t.made), "updated_at": stamp(t.made)}
	if full {
		o["creator"] = c.s.renderUser(t.author)
	}
	return o
}

func (r *Repo) statusesOf(sha string) []*Status {
	var out []*Status
	for _, t := range newestFirst(r.statuses) {
		if t.SHA == sha {
			out = append(out, t)
		}
	}
	return out
}

func (c *call) listStatuses() answer {
	k := c.resolve(c.param["ref"])
	if k == nil {
		return noCommit(c.param["ref"])
	}
	return ok(list(c, c.repo.statusesOf(k.sha), func(t *Status) obj { return c.renderStatus(t, true) }))
}

// combinedStatus is the newest status of each context. Check runs are not
// part of it.
func (c *call) combinedStatus() answer {
	k := c.resolve(c.param["ref"])
	if k == nil {
		return noCommit(c.param["ref"])
	}
	latest := latestStatuses(c.repo.statusesOf(k.sha))
	state := "pending"
	if len(latest) > 0 {
		state = "success"
	}
	for _, t := range latest {
		switch {
		case t.State == "error" || t.State == "failure":
			state = "failure"
		case t.State == "pending" && state == "success":
			state = "pending"
		}
	}
	return ok(obj{"state": state, "sha": k.sha, "total_count": len(latest), "repository": c.s.renderRepo(c.repo),
		"commit_url": c.s.api("/repos/%s/commits/%s", c.repo.FullName, k.sha), "url": c.s.api("/repos/%s/commits/%s/status", c.repo.FullName, k.sha),
		"statuses": list(c, latest, func(t *Status) obj { return c.renderStatus(t, false) })})
}

func latestStatuses(newest []*Status) []*Status {
	var out []*Status
	seen := map[string]bool{}
	for _, t := range newest {
		if !seen[t.Context] {
			seen[t.Context] = true
			out = append(out, t)
		}
	}
	return out
}
