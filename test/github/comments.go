package github

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// Comment is a comment of an issue or a pull request.
type Comment struct {
	ID        int64
	Repo      string
	Number    int // of the issue or pull request
	Author    string
	Body      string
	CreatedAt time.Time
	UpdatedAt time.Time
	Reactions []Reaction // of a copy that the API hands out

	issue  *issue
	author *User
	via    *App
	reacts []*Reaction
}

// Reaction is one emoji of one user.
type Reaction struct {
	ID      int64
	Author  string
	Content string // +1 -1 laugh confused heart hooray rocket eyes

	author *User
	made   time.Time
}

// bodyLimit is GitHub's, in characters.
const bodyLimit = 65536

// Comment writes a comment as a person; the issue_comment webhook goes out.
func (s *Server) Comment(repo string, number int, actor, body string) (Comment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return Comment{}, err
	}
	i := r.issue(number)
	if i == nil {
		return Comment{}, fmt.Errorf("github: comment on %s#%d: there is none of that number", repo, number)
	}
	return s.comment(r, i, s.account(actor, "User"), nil, body).copy(), nil
}

// EditComment changes the text of a comment.
func (s *Server) EditComment(repo string, id int64, actor, body string) error {
	return s.onComment(repo, id, func(r *Repo, k *Comment) { s.editComment(r, k, s.account(actor, "User"), body) })
}

// DeleteComment deletes a comment.
func (s *Server) DeleteComment(repo string, id int64, actor string) error {
	return s.onComment(repo, id, func(r *Repo, k *Comment) { s.deleteComment(r, k, s.account(actor, "User")) })
}

func (s *Server) onComment(repo string, id int64, do func(*Repo, *Comment)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	k := r.comment(id)
	if k == nil {
		return fmt.Errorf("github: there is no comment %d in %s", id, repo)
	}
	do(r, k)
	return nil
}

func (r *Repo) comment(id int64) *Comment {
	for _, i := range r.issues {
		for _, k := range i.comments {
			if k.ID == id {
				return k
			}
		}
	}
	return nil
}

func (k *Comment) copy() Comment {
	out := *k
	out.Number = k.issue.number
	for _, x := range k.reacts {
		out.Reactions = append(out.Reactions, *x)
	}
	return out
}

func (s *Server) comment(r *Repo, i *issue, author *User, via *App, body string) *Comment {
	k := &Comment{ID: s.next(), Repo: r.FullName, Number: i.number, Author: author.Login, Body: body, CreatedAt: s.now(), UpdatedAt: s.now(),
		issue: i, author: author, via: via}
	i.comments = append(i.comments, k)
	i.updated = s.now()
	s.raiseComment(r, k, "created", author, obj{})
	return k
}

func (s *Server) editComment(r *Repo, k *Comment, actor *User, body string) {
	from := k.Body
	k.Body, k.UpdatedAt = body, s.now()
	s.raiseComment(r, k, "edited", actor, obj{"changes": obj{"body": obj{"from": from}}})
}

func (s *Server) deleteComment(r *Repo, k *Comment, actor *User) {
	k.issue.comments = slices.DeleteFunc(slices.Clone(k.issue.comments), func(o *Comment) bool { return o == k })
	s.raiseComment(r, k, "deleted", actor, obj{})
}

func (s *Server) raiseComment(r *Repo, k *Comment, action string, actor *User, extra obj) {
	extra["comment"], extra["issue"] = s.renderComment(r, k), s.renderIssue(r, k.issue)
	s.raise(event{name: "issue_comment", action: action, repo: r, sender: actor, payload: extra})
	s.changed.Broadcast()
}

func (s *Server) renderComment(r *Repo, k *Comment) obj {
	at := s.api("/repos/%s/issues/comments/%d", r.FullName, k.ID)
	kind := "issues"
	if k.issue.pull != nil {
		kind = "pull"
	}
	var via any
	if k.via != nil {
		via = s.renderApp(k.via)
	}
	return obj{"url": at, "html_url": s.html("/%s/%s/%d#issuecomment-%d", r.FullName, kind, k.issue.number, k.ID),
		"issue_url": s.api("/repos/%s/issues/%d", r.FullName, k.issue.number), "id": k.ID, "node_id": nodeID("IC", k.ID), "user": s.renderUser(k.author),
		"created_at": stamp(k.CreatedAt), "updated_at": stamp(k.UpdatedAt), "author_association": s.association(k.author, r), "body": k.Body,
		"reactions": renderRollup(at, k.reacts), "performed_via_github_app": via}
}

// checkBody refuses what is empty or too long for a comment.
func (c *call) checkBody() *answer {
	if a := c.types("body:string!"); a != nil {
		return a
	}
	var a answer
	switch body := c.text("body"); {
	case body == "":
		a = invalid(fieldError{"IssueComment", "data", "unprocessable", "Body cannot be blank"})
	case utf8.RuneCountInString(body) > bodyLimit:
		a = invalid(fieldError{"IssueComment", "data", "unprocessable", "Body is too long (maximum is 65536 characters)"})
	default:
		return nil
	}
	return &a
}

func (c *call) createComment() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	if a := c.checkBody(); a != nil {
		return *a
	}
	k := c.s.comment(c.repo, i, c.who.actor(), c.who.app, c.text("body"))
	o := c.s.renderComment(c.repo, k)
	return created(o).with("Location", o["url"].(string))
}

func (c *call) listComments() answer {
	i := c.issue()
	if i == nil {
		return notFound()
	}
	return ok(list(c, c.since(i.comments), func(k *Comment) obj { return c.s.renderComment(c.repo, k) }))
}

func (c *call) since(comments []*Comment) []*Comment {
	t, err := time.Parse(time.RFC3339, c.query.Get("since"))
	if err != nil {
		return comments
	}
	return slices.DeleteFunc(slices.Clone(comments), func(k *Comment) bool { return k.UpdatedAt.Before(t) })
}

func (c *call) listRepoComments() answer {
	var all []*Comment
	for _, i := range c.repo.issues {
		all = append(all, i.comments...)
	}
	slices.SortFunc(all, func(a, b *Comment) int { return int(a.ID - b.ID) })
	return ok(list(c, c.since(all), func(k *Comment) obj { return c.s.renderComment(c.repo, k) }))
}

func (c *call) getComment() answer {
	if k := c.repo.comment(c.id("comment_id")); k != nil {
		return ok(c.s.renderComment(c.repo, k))
	}
	return notFound()
}

// mine tells whether the caller may change the comment: its author, or a
// writer of the repository.
func (c *call) mine(k *Comment) bool {
	if c.who.kind == "user" {
		return k.author == c.who.user || roles[c.s.role(c.who.user, c.repo)] >= roles["write"]
	}
	return true
}

func (c *call) updateComment() answer {
	k := c.repo.comment(c.id("comment_id"))
	if k == nil {
		return notFound()
	}
	if a := c.checkBody(); a != nil {
		return *a
	}
	if !c.mine(k) {
		return fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	c.s.editComment(c.repo, k, c.who.actor(), c.text("body"))
	return ok(c.s.renderComment(c.repo, k))
}

func (c *call) removeComment() answer {
	k := c.repo.comment(c.id("comment_id"))
	if k == nil {
		return notFound()
	}
	if !c.mine(k) {
		return fail(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	c.s.deleteComment(c.repo, k, c.who.actor())
	return noContent()
}
