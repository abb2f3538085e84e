package github

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Comment is a comment that stays where it is and is kept up to date.
type Comment struct {
	ID      int64 // GitHub's number; 0 while it is not known
	Unknown bool  // an earlier create may have been done without our hearing of it: look first

	Marker string // our own name for it, hidden at the top: letters, digits and . _ / -
	Body   string // Markdown; text from outside must have gone through Literal or Block
}

const maxComment = 65_000 // bytes; GitHub's limit is 65,536 characters

var markerForm = regexp.MustCompile(`^[A-Za-z0-9]+([._/-]?[A-Za-z0-9]+)*$`)

// UpsertComment makes the one comment with our marker on an issue or pull request say what is asked: it adopts what
// earlier tries made (when Unknown; the newest stays, the others go), or creates it, or edits it. When a person has
// deleted it, it is made anew. It may be repeated; after an *Unavailable that says Unknown, set Unknown.
//
// https://docs.github.com/rest/issues/comments
func (in *Installation) UpsertComment(ctx context.Context, repo pipeline.Repo, number int, c Comment) (int64, error) {
	if err := checkRepo(repo); err != nil {
		return c.ID, err
	}
	if number <= 0 || !markerForm.MatchString(c.Marker) || len(c.Marker) > 200 {
		return c.ID, fmt.Errorf("github: a comment needs the number of an issue, and a marker of letters, digits and . _ / - only")
	}
	ctx = withRoute(ctx, "comments")
	to := fmt.Sprintf("%s#%d", repo.Slug(), number)
	body := &gh.IssueComment{Body: gh.String(cutMarkdown(c.marker()+"\n"+c.Body, maxComment))}
	look := c.Unknown
	if c.ID != 0 {
		_, _, err := in.client.Issues.EditComment(ctx, repo.Owner, repo.Name, c.ID, body)
		if !notFound(err) {
			return c.ID, said(ctx, err, true, "edit our comment on", to)
		}
		look = true // a person has deleted it, and an earlier try may have made it anew without our hearing of it
	}
	if look {
		id, err := in.findComment(ctx, repo, number, c.marker())
		if err != nil {
			return id, said(ctx, err, true, "look for our comment on", to)
		}
		if id != 0 {
			if _, _, err = in.client.Issues.EditComment(ctx, repo.Owner, repo.Name, id, body); !notFound(err) {
				return id, said(ctx, err, true, "edit our comment on", to)
			}
		}
	}
	made, _, err := in.client.Issues.CreateComment(ctx, repo.Owner, repo.Name, number, body)
	if err == nil && made.GetID() == 0 {
		err = errors.New("the answer names no comment")
	}
	return made.GetID(), said(ctx, err, true, "comment on", to)
}

func (c Comment) marker() string { return "<!-- conveyor:" + c.Marker + " -->" }

// findComment is the newest of our own comments with the marker; older ones are deleted. Writers can copy a marker or put
// it into anyone's comment, so that it counts only in comments that we made.
func (in *Installation) findComment(ctx context.Context, repo pipeline.Repo, number int, marker string) (newest int64, err error) {
	self, err := in.Self(ctx)
	if err != nil {
		return 0, err
	}
	var ours []int64
	o := &gh.IssueListCommentsOptions{ListOptions: gh.ListOptions{PerPage: 100}}
	for o.Page = 1; o.Page != 0; {
		list, resp, err := in.client.Issues.ListComments(ctx, repo.Owner, repo.Name, number, o)
		if err != nil {
			return 0, err
		}
		for _, found := range list {
			if found.GetUser().GetID() == self.UserID && strings.HasPrefix(found.GetBody(), marker) {
				ours = append(ours, found.GetID())
			}
		}
		o.Page = resp.NextPage
	}
	if len(ours) == 0 {
		return 0, nil
	}
	slices.Sort(ours)
	newest = ours[len(ours)-1]
	for _, extra := range ours[:len(ours)-1] {
		if _, err := in.client.Issues.DeleteComment(ctx, repo.Owner, repo.Name, extra); err != nil && !notFound(err) {
			return newest, err
		}
	}
	return newest, nil
}

// React puts a reaction on a comment. GitHub keeps one of each kind: it may be repeated.
//
// https://docs.github.com/rest/reactions/reactions#create-reaction-for-an-issue-comment
func (in *Installation) React(ctx context.Context, repo pipeline.Repo, comment int64, content string) error {
	if err := checkRepo(repo); err != nil {
		return err
	}
	if !slices.Contains(strings.Fields("+1 -1 laugh confused heart hooray rocket eyes"), content) || comment <= 0 {
		return fmt.Errorf("github: %q is no reaction to comment %d", content, comment)
	}
	ctx = withRoute(ctx, "reactions")
	_, _, err := in.client.Reactions.CreateIssueCommentReaction(ctx, repo.Owner, repo.Name, comment, content)
	return said(ctx, err, true, "react to a comment in", repo.Slug())
}
