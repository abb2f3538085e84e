package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// review is a review of a pull request.
type review struct {
	id     int64
	author *User
	body   string
	state  string
	commit string
	made   time.Time
}

func (c *call) pull() *pull {
	i := c.repo.issue(int(c.id("pull_number")))
	if i == nil || i.pull == nil {
		return nil
	}
	if c.stale && i.pull.before != nil {
		return i.pull.before
	}
	return i.pull
}

// renderPullSimple is a pull request as lists show it.
func (s *Server) renderPullSimple(r *Repo, p *pull) obj {
	i := p.issue
	at, page, as := s.api("/repos/%s/pulls/%d", r.FullName, i.number), s.html("/%s/pull/%d", r.FullName, i.number), s.api("/repos/%s/issues/%d", r.FullName, i.number)
	statuses := s.api("/repos/%s/statuses/%s", r.FullName, p.headSHA)
	href := func(u string) obj { return obj{"href": u} }
	side := func(repo *Repo, ref, sha string) obj {
		o := obj{"label": repo.Owner + ":" + ref, "ref": ref, "sha": sha, "user": s.renderUser(s.user(repo.Owner)), "repo": nil}
		if !repo.deleted { // null once the fork is gone
			o["repo"] = s.renderRepo(repo)
		}
		return o
	}
	return obj{"url": at, "id": p.id, "node_id": nodeID("PR", p.id), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"issue_url": as, "number": i.number, "state": i.State, "locked": false, "title": i.title, "user": s.renderUser(i.author), "body": orNull(i.body),
		"created_at": stamp(i.made), "updated_at": stamp(i.updated), "closed_at": stamp(i.closed), "merged_at": stamp(p.merged),
		"merge_commit_sha": orNull(p.mergeSHA), "assignee": nil, "assignees": []any{}, "requested_reviewers": []any{}, "requested_teams": []any{},
		"labels": s.renderLabels(r, i.labels), "milestone": nil, "draft": p.draft, "commits_url": at + "/commits", "review_comments_url": at + "/comments",
		"review_comment_url": s.api("/repos/%s/pulls/comments{/number}", r.FullName), "comments_url": as + "/comments", "statuses_url": statuses,
		"head": side(p.headRepo, p.headRef, p.headSHA), "base": side(r, p.baseRef, p.baseSHA),
		"_links": obj{"self": href(at), "html": href(page), "issue": href(as), "comments": href(as + "/comments"), "review_comments": href(at + "/comments"),
			"review_comment": href(s.api("/repos/%s/pulls/comments{/number}", r.FullName)), "commits": href(at + "/commits"), "statuses": href(statuses)},
		"author_association": s.association(i.author, r), "auto_merge": nil, "active_lock_reason": nil}
}

// renderPull is one pull request in full, as GET and the webhooks show it.
func (s *Server) renderPull(r *Repo, p *pull) obj {
	p.stats(r)
	o := s.renderPullSimple(r, p)
	mergeable, state := any(p.mergeable), "clean"
	switch {
	case !p.merged.IsZero() || p.issue.State == "closed":
		mergeable, state = nil, "unknown"
	case !p.mergeable:
		state = "dirty"
	case p.draft:
		state = "draft"
	}
	for k, v := range (obj{"merged": !p.merged.IsZero(), "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state,
		"merged_by": s.userOrNull(p.mergedBy), "comments": len(p.issue.comments), "review_comments": 0, "maintainer_can_modify": p.headRepo != r,
		"commits": p.commits, "additions": p.plus, "deletions": p.minus, "changed_files": p.files}) {
		o[k] = v
	}
	return o
}

func (s *Server) raisePull(r *Repo, p *pull, action string, actor *User, extra obj) {
	if extra == nil {
		extra = obj{}
	}
	o := s.renderPull(r, p)
	extra["number"], extra["pull_request"] = p.issue.number, o
	if action == "opened" || action == "synchronize" || action == "reopened" {
		// GitHub has not yet computed these when it tells of a new head.
		o["mergeable"], o["rebaseable"], o["mergeable_state"], o["merge_commit_sha"] = nil, nil, "unknown", nil
	}
	s.raise(event{name: "pull_request", action: action, repo: r, sender: actor, payload: extra})
	s.changed.Broadcast()
}

func (c *call) getPull() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	if !c.stale && p.issue.State == "open" {
		c.s.testMerge(c.repo, p)
	}
	o := c.s.renderPull(c.repo, p)
	if c.fault != nil && c.fault.Undecided {
		o["mergeable"], o["rebaseable"], o["mergeable_state"] = nil, nil, "unknown"
	}
	return ok(o)
}

func (c *call) listPulls() answer {
	var out []*pull
	want := c.query.Get("state")
	if want == "" {
		want = "open"
	}
	for _, i := range newestFirst(c.repo.issues) {
		p := i.pull
		if p == nil {
			continue
		}
		if c.stale && p.before != nil {
			p = p.before
		}
		head := p.headRepo.Owner + ":" + p.headRef
		if (want == "all" || p.issue.State == want) && (c.query.Get("base") == "" || c.query.Get("base") == p.baseRef) &&
			(!strings.Contains(c.query.Get("head"), ":") || strings.EqualFold(c.query.Get("head"), head)) {
			out = append(out, p)
		}
	}
	if c.query.Get("sort") == "updated" {
		slices.SortStableFunc(out, func(a, b *pull) int { return b.issue.updated.Compare(a.issue.updated) })
	}
	if c.query.Get("direction") == "asc" || (c.query.Get("direction") == "" && c.query.Get("sort") == "long-running") {
		slices.Reverse(out)
	}
	return ok(list(c, out, func(p *pull) obj { return c.s.renderPullSimple(c.repo, p) }))
}

func (c *call) createPull() answer {
	if a := c.types("title:string head:string! base:string! body:string draft:bool"); a != nil {
		return *a
	}
	if c.text("title") == "" {
		return invalid(fieldError{"PullRequest", "title", "missing_field", ""})
	}
	p, complaint := c.s.openPull(c.repo, c.who.actor(), c.text("title"), c.text("body"), c.text("head"), c.text("base"), c.flag("draft", false))
	switch complaint {
	case "":
		o := c.s.renderPull(c.repo, p)
		return created(o).with("Location", o["url"].(string))
	case "head", "base":
		return invalid(fieldError{"PullRequest", complaint, "invalid", ""})
	}
	return invalid(fieldError{"PullRequest", "", "custom", complaint})
}

func (c *call) updatePull() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	if a := c.types("title:string body:string state:string base:string"); a != nil {
		return *a
	}
	base := c.text("base")
	if base != "" && c.repo.refs["refs/heads/"+base] == "" {
		return invalid(fieldError{"PullRequest", "base", "invalid", ""})
	}
	c.s.editPull(c.repo, p, c.who.actor(), c.text("title"), c.text("body"), base)
	switch want := c.text("state"); {
	case want == p.issue.State || want == "":
	case want == "closed":
		c.s.closePull(c.repo, p, c.who.actor())
	case want == "open" && p.merged.IsZero() && p.headRepo.refs["refs/heads/"+p.headRef] != "":
		c.s.reopenPull(c.repo, p, c.who.actor())
	default:
		return invalid(fieldError{"PullRequest", "state", "invalid", "state cannot be changed."})
	}
	return ok(c.s.renderPull(c.repo, p))
}

func (c *call) mergePull() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	if a := c.types("sha:string merge_method:string commit_title:string commit_message:string"); a != nil {
		return *a
	}
	method := c.text("merge_method")
	switch {
	case method == "rebase":
		return fail(http.StatusMethodNotAllowed, "Rebase merges are not allowed on this repository.")
	case method != "" && method != "merge" && method != "squash":
		return badRequest("For 'properties/merge_method', %q is not a possible value. Must be one of the following: merge, squash, rebase.", method)
	case p.issue.State != "open":
		return fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case c.has("sha") && c.text("sha") != p.headSHA:
		return fail(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	}
	sha, err := c.s.merge(c.repo, p, c.who.actor(), method, c.text("commit_title"), c.text("commit_message"))
	if err != nil {
		return fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	return ok(obj{"sha": sha, "merged": true, "message": "Pull Request successfully merged"})
}

func (c *call) isMerged() answer {
	if p := c.pull(); p != nil && !p.merged.IsZero() {
		return noContent()
	}
	return notFound()
}

func (c *call) pullFiles() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	files := c.repo.git.diff(c.repo.git.mergeBase(p.baseSHA, p.headSHA), p.headSHA)
	return ok(list(c, files[:min(len(files), 3000)], func(f fileDiff) obj { return c.s.renderFile(c.repo, p.headSHA, f) }))
}

func (c *call) pullCommits() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	out, _ := c.repo.git.run(nil, "rev-list", "--reverse", "--max-count=250", p.baseSHA+".."+p.headSHA)
	return ok(list(c, strings.Fields(string(out)), func(sha string) obj { return c.s.renderCommit(c.repo, c.repo.git.commit(sha)) }))
}

// pullsOfCommit are those whose head it is or that brought it in.
func (c *call) pullsOfCommit() answer {
	k := c.resolve(c.param["commit_sha"])
	if k == nil {
		return noCommit(c.param["commit_sha"])
	}
	var out []*pull
	for _, i := range c.repo.issues {
		if p := i.pull; p != nil && (p.headSHA == k.sha || (!p.merged.IsZero() && p.mergeSHA == k.sha)) {
			out = append(out, p)
		}
	}
	return ok(list(c, out, func(p *pull) obj { return c.s.renderPullSimple(c.repo, p) }))
}

func (s *Server) renderReview(r *Repo, p *pull, v *review) obj {
	page, at := s.html("/%s/pull/%d#pullrequestreview-%d", r.FullName, p.issue.number, v.id), s.api("/repos/%s/pulls/%d", r.FullName, p.issue.number)
	return obj{"id": v.id, "node_id": nodeID("PRR", v.id), "user": s.renderUser(v.author), "body": v.body, "state": v.state, "html_url": page,
		"pull_request_url": at, "author_association": s.association(v.author, r), "submitted_at": stamp(v.made), "commit_id": v.commit,
		"_links": obj{"html": obj{"href": page}, "pull_request": obj{"href": at}}}
}

func (c *call) listReviews() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	return ok(list(c, p.reviews, func(v *review) obj { return c.s.renderReview(c.repo, p, v) }))
}

var reviewStates = map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}

func (c *call) createReview() answer {
	p := c.pull()
	if p == nil {
		return notFound()
	}
	if a := c.types("body:string event:string commit_id:string"); a != nil {
		return *a
	}
	state := reviewStates[c.text("event")]
	switch {
	case state == "":
		return badRequest("For 'properties/event', %q is not a possible value. Must be one of the following: APPROVE, REQUEST_CHANGES, COMMENT.", c.text("event"))
	case state == "APPROVED" && c.who.actor() == p.issue.author:
		return fail(http.StatusUnprocessableEntity, "Unprocessable Entity: Can not approve your own pull request")
	case state != "APPROVED" && c.text("body") == "":
		return fail(http.StatusUnprocessableEntity, "Unprocessable Entity: Body can't be blank")
	}
	return ok(c.s.renderReview(c.repo, p, c.s.review(c.repo, p, c.who.actor(), state, c.text("body"))))
}

// Review reviews a pull request's present head; event is APPROVE,
// REQUEST_CHANGES or COMMENT.
func (s *Server) Review(repo string, number int64, actor, event, body string) error {
	state := reviewStates[event]
	if state == "" {
		return fmt.Errorf("github: review %s#%d: an event is APPROVE, REQUEST_CHANGES or COMMENT", repo, number)
	}
	return s.onPull(repo, number, func(r *Repo, p *pull) error {
		s.review(r, p, s.account(actor, "User"), state, body)
		return nil
	})
}

func (s *Server) review(r *Repo, p *pull, author *User, state, body string) *review {
	v := &review{id: s.next(), author: author, body: body, state: state, commit: p.headSHA, made: s.now()}
	p.reviews = append(p.reviews, v)
	shown := s.renderReview(r, p, v)
	shown["state"] = strings.ToLower(state) // the webhook writes it small
	shown["body"], shown["updated_at"] = orNull(body), stamp(v.made)
	s.raise(event{name: "pull_request_review", action: "submitted", repo: r, sender: author, payload: obj{"review": shown, "pull_request": s.renderPullSimple(r, p)}})
	return v
}
