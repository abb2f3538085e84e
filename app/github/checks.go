package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// CheckRun is what a check run should look like. All of it is told every time.
type CheckRun struct {
	ID      int64 // GitHub's number; 0 while it is not known
	Unknown bool  // an earlier write may have been done without our hearing of it: look first

	ExternalID  string // our own name for it; with Name and Commit it says which one to adopt
	Name        string
	Commit      pipeline.Commit
	Status      pipeline.Status
	Conclusion  pipeline.Conclusion // given exactly when Status is Completed
	DetailsURL  string
	Title       string
	Summary     string // Markdown
	Text        string // Markdown
	StartedAt   time.Time
	CompletedAt time.Time
	Annotations []pipeline.Annotation // all of them, always in the same order; the first 200 are shown
	Confirmed   int                   // how many of them GitHub has already confirmed
	Actions     []Action              // at most three
}

// Action is a button on a check run. Pressing it sends us its Identifier.
type Action struct {
	Label       string // at most 20 characters
	Description string // at most 40 characters
	Identifier  string // at most 20 characters
}

const (
	maxOutput      = 60_000 // bytes; GitHub's limit is 65,535 for each of summary and text
	maxAnnotations = 200
	batch          = 50 // GitHub's limit for one request; later requests append
)

// UpsertCheck makes the check run look as asked: it adopts what an earlier try made (when Unknown), or creates it, or
// updates it. Annotations go fifty at a time, and none is sent twice.
//
// It may be repeated. Whatever the error, keep the id and the number of confirmed annotations that come with it, and give
// them the next time; after an *Unavailable that says Unknown, set Unknown.
//
// https://docs.github.com/rest/checks/runs
func (in *Installation) UpsertCheck(ctx context.Context, repo pipeline.Repo, c CheckRun) (id int64, confirmed int, err error) {
	if err := errors.Join(checkRepo(repo), c.check()); err != nil {
		return c.ID, c.Confirmed, err
	}
	ctx = withRoute(ctx, "checks")
	to := fmt.Sprintf("%q on %s@%s", c.Name, repo.Slug(), c.Commit.Short())
	id, confirmed = c.ID, c.Confirmed
	if c.Unknown {
		if id, confirmed, err = in.findCheck(ctx, repo, c); err != nil {
			return c.ID, c.Confirmed, said(ctx, err, false, "look for check", to)
		}
	}
	all := annotations(c.Annotations)
	confirmed = min(confirmed, len(all))
	for first := true; first || confirmed < len(all); first = false {
		next := all[confirmed:min(confirmed+batch, len(all))]
		if id == 0 {
			id, err = in.createCheck(ctx, repo, c, next)
		} else {
			err = in.updateCheck(ctx, repo, id, c, next)
		}
		if err != nil {
			return id, confirmed, said(ctx, err, true, "tell check", to)
		}
		confirmed += len(next)
	}
	return id, confirmed, nil
}

func (c CheckRun) check() error {
	if err := errors.Join(checkCommit(c.Commit), checkLink(c.DetailsURL)); err != nil {
		return err
	}
	switch {
	case c.Name == "" || c.ExternalID == "":
		return errors.New("github: a check run needs a name and an external id")
	case c.Status != pipeline.Queued && c.Status != pipeline.InProgress && c.Status != pipeline.Completed:
		return fmt.Errorf("github: check %q: an App may not set the status %q", c.Name, c.Status)
	case (c.Status == pipeline.Completed) != (c.Conclusion != ""):
		return fmt.Errorf("github: check %q: a conclusion belongs to a completed check, and to no other", c.Name)
	case c.Confirmed < 0 || len(c.Actions) > 3:
		return fmt.Errorf("github: check %q: at most three actions, at least no annotations", c.Name)
	}
	for _, a := range c.Actions {
		if a.Label == "" || a.Description == "" || a.Identifier == "" || len(a.Identifier) > 20 {
			return fmt.Errorf("github: check %q: an action needs a label, a description and an identifier of at most 20 characters", c.Name)
		}
	}
	return nil
}

// findCheck looks for what an earlier write left behind: the newest check run with our name, or the one that we know, and
// how many annotations it has.
func (in *Installation) findCheck(ctx context.Context, repo pipeline.Repo, c CheckRun) (id int64, confirmed int, err error) {
	if c.ID != 0 {
		if len(c.Annotations) == 0 {
			return c.ID, 0, nil // what else there is to tell is told whole
		}
		found, _, err := in.client.Checks.GetCheckRun(ctx, repo.Owner, repo.Name, c.ID)
		if err != nil {
			return 0, 0, err
		}
		return c.ID, confirmedBy(found, c.Confirmed), nil
	}
	confirmed = c.Confirmed
	o := &gh.ListCheckRunsOptions{
		CheckName: gh.String(c.Name), Filter: gh.String("all"), AppID: gh.Int64(in.app.id),
		ListOptions: gh.ListOptions{PerPage: 100},
	}
	for o.Page = 1; o.Page != 0; {
		list, resp, err := in.client.Checks.ListCheckRunsForRef(ctx, repo.Owner, repo.Name, string(c.Commit), o)
		if err != nil {
			return 0, 0, err
		}
		for _, run := range list.CheckRuns {
			ours := run.GetExternalID() == c.ExternalID && run.GetName() == c.Name && run.GetApp().GetID() == in.app.id
			if ours && run.GetID() > id {
				id, confirmed = run.GetID(), confirmedBy(run, c.Confirmed)
			}
		}
		o.Page = resp.NextPage
	}
	return id, confirmed, nil
}

// confirmedBy trusts GitHub's count over ours: annotations can only have been added without our hearing of it.
func confirmedBy(run *gh.CheckRun, confirmed int) int {
	return max(confirmed, run.GetOutput().GetAnnotationsCount())
}

func (in *Installation) createCheck(ctx context.Context, repo pipeline.Repo, c CheckRun, next []*gh.CheckRunAnnotation) (int64, error) {
	o := gh.CreateCheckRunOptions{
		Name: c.Name, HeadSHA: string(c.Commit), ExternalID: gh.String(c.ExternalID), DetailsURL: optional(c.DetailsURL),
		Status: gh.String(string(c.Status)), Conclusion: optional(string(c.Conclusion)),
		StartedAt: stamp(c.StartedAt), CompletedAt: stamp(c.CompletedAt), Output: c.output(next), Actions: c.actions(),
	}
	made, _, err := in.client.Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, o)
	if err == nil && made.GetID() == 0 {
		err = errors.New("the answer names no check run")
	}
	return made.GetID(), err
}

// updateCheck is go-github's UpdateCheckRun with started_at, which v60 does not know: without it, a check that waited in
// the queue would show the waiting as time that it ran.
func (in *Installation) updateCheck(ctx context.Context, repo pipeline.Repo, id int64, c CheckRun, next []*gh.CheckRunAnnotation) error {
	o := struct {
		gh.UpdateCheckRunOptions
		StartedAt *gh.Timestamp        `json:"started_at,omitempty"`
		Actions   []*gh.CheckRunAction `json:"actions"` // none is told, too: what is left out stays as it was
	}{gh.UpdateCheckRunOptions{
		Name: c.Name, ExternalID: gh.String(c.ExternalID), DetailsURL: optional(c.DetailsURL),
		Status: gh.String(string(c.Status)), Conclusion: optional(string(c.Conclusion)),
		CompletedAt: stamp(c.CompletedAt), Output: c.output(next),
	}, stamp(c.StartedAt), append([]*gh.CheckRunAction{}, c.actions()...)}
	path := fmt.Sprintf("repos/%s/%s/check-runs/%d", repo.Owner, repo.Name, id)
	req, err := in.client.NewRequest(http.MethodPatch, path, o)
	if err != nil {
		return err
	}
	_, err = in.client.Do(ctx, req, nil)
	return err
}

// output is nil when there is nothing to show; GitHub wants a title and a summary, or neither.
func (c CheckRun) output(next []*gh.CheckRunAnnotation) *gh.CheckRunOutput {
	title, summary := cutBytes(visible(c.Title), 255), c.Summary
	if n := len(c.Annotations) - maxAnnotations; n > 0 {
		summary = fmt.Sprintf("%d of %d annotations are shown; the log has all of them.\n\n%s", maxAnnotations, len(c.Annotations), summary)
	}
	if title == "" && summary == "" && c.Text == "" && len(next) == 0 {
		return nil
	}
	if title == "" {
		title = cutBytes(c.Name, 255)
	}
	if summary == "" {
		summary = Literal(title)
	}
	return &gh.CheckRunOutput{
		Title: &title, Summary: gh.String(cutMarkdown(summary, maxOutput)), Text: optional(cutMarkdown(c.Text, maxOutput)), Annotations: next,
	}
}

func (c CheckRun) actions() (actions []*gh.CheckRunAction) {
	for _, a := range c.Actions {
		actions = append(actions, &gh.CheckRunAction{
			Label: cutRunes(a.Label, 20), Description: cutRunes(a.Description, 40), Identifier: a.Identifier,
		})
	}
	return actions
}

// annotations are what GitHub takes of ours, one for one, so that the number confirmed means the same on both sides.
func annotations(ours []pipeline.Annotation) []*gh.CheckRunAnnotation {
	ours = ours[:min(len(ours), maxAnnotations)]
	theirs := make([]*gh.CheckRunAnnotation, len(ours))
	for i, a := range ours {
		line := max(a.Line, 1)
		message := cutBytes(visible(a.Message), maxOutput)
		if strings.TrimSpace(message) == "" {
			message = "(no message)"
		}
		level := a.Level
		if !slices.Contains([]string{"failure", "warning", "notice"}, level) {
			level = "warning"
		}
		theirs[i] = &gh.CheckRunAnnotation{
			Path: gh.String(annotationPath(a.Path)), StartLine: &line, EndLine: &line, AnnotationLevel: &level,
			Message: &message, Title: optional(cutBytes(visible(a.Title), 255)),
		}
	}
	return theirs
}

// annotationPath is a path inside the repository. What is none becomes ".github", as GitHub's own runner does it.
func annotationPath(path string) string {
	path = strings.TrimPrefix(path, "./")
	outside := path == "" || strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..")
	if outside || len(path) > 1000 || path != visible(path) || strings.ContainsAny(path, "\n\t\\") {
		return ".github"
	}
	return path
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// stamp is a time as GitHub takes it, in whole seconds.
func stamp(t time.Time) *gh.Timestamp {
	if t.IsZero() {
		return nil
	}
	return &gh.Timestamp{Time: t.UTC().Truncate(time.Second)}
}

func cutRunes(s string, n int) string {
	if r := []rune(visible(s)); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return visible(s)
}
