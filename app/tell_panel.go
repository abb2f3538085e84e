package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// tellPanel keeps the one living comment of a pull request up to date. It may be repeated: before the create the stream
// says so, so that after a crash or a lost answer the comment is looked for and adopted.
func (a *App) tellPanel(ctx context.Context, w *repoWork, e deploy.TellPanel) error {
	s := w.Latest()
	pull := s.Pulls[e.Pull]
	unknown := pull.Opening
	in := a.github.Installation(s.Repo.Installation)
	ctx = github.As(ctx, github.Progress) // the checks tell how it ended
	if err := in.MayWrite(ctx, "comments"); err != nil {
		return err // before a note is made of it
	}
	if pull.Panel == 0 && !pull.Opening {
		var err error
		if s, err = w.Append(ctx, deploy.PanelOpening{Pull: e.Pull}); err != nil {
			return err
		}
	}
	panel := s.Panel(e.Pull)
	mark := panel.Mark()
	if len(panel.Runs) > 0 {
		ctx = github.WithRun(ctx, string(panel.Runs[0].ID))
	}
	body := a.panelBody(panel, a.panelReview(ctx, s, panel))
	if at := slices.IndexFunc(panel.Runs, func(r deploy.Run) bool { return r.Conclusion == "" }); at >= 0 {
		body += a.newsWords(ctx, in, "")
	}
	id, err := in.UpsertComment(ctx, s.Repo, e.Pull, github.Comment{
		ID: pull.Panel, Unknown: unknown, Marker: "conveyor/panel", Body: body,
	})
	if err != nil && !a.useless(err) {
		return err
	}
	if err != nil {
		a.log.Error("GitHub will not show the panel", "stream", w.Stream, "pull", e.Pull, "err", err)
	}
	told := deploy.PanelTold{Pull: e.Pull, ID: id, Mark: mark}
	if err != nil {
		told.GivenUp = err.Error()
	}
	_, err = w.Append(ctx, told)
	return err
}

// shapes are what a state looks like, beside its word: never colour alone.
var shapes = map[string]string{
	"success": "✅", "failure": "❌", "timed_out": "⏱️", "cancelled": "⏹️", "action_required": "✋", "": "⏳",
	"live": "✅", "deploying": "🚚", "waiting": "✋", "failed": "❌", "removed": "🧹", "replaced": "↪️", "rejected": "⛔", "skipped": "⏭️",
}

func (a *App) panelBody(p deploy.Panel, review string) string {
	var b strings.Builder
	what := "head"
	if p.Merged {
		what = "merged as"
	}
	fmt.Fprintf(&b, "**Conveyor** · %s `%s`\n\n", what, p.Commit.Short())
	b.WriteString("| | Where | State | Artifact |\n|---|---|---|---|\n")
	for _, r := range p.Runs {
		words, what := "running", "checks"
		switch r.Conclusion {
		case "":
		case pipeline.ActionRequired:
			words = "waits for a word: the code comes from outside"
		case pipeline.Skipped:
			words = "not run: the plan does not want it here"
		default:
			words = strings.ReplaceAll(string(r.Conclusion), "_", " ")
		}
		if r.Pipeline != "" {
			what = "checks of " + github.Literal(r.Pipeline)
		}
		fmt.Fprintf(&b, "| %s | %s | [%s](%s) | |\n", shapes[string(r.Conclusion)], what, words, a.RunURL(r.ID))
	}
	for _, r := range p.Rows {
		place, words := "`"+r.Environment+"`", r.State
		if r.URL != "" && r.State == "live" {
			words = fmt.Sprintf("[live](%s)", r.URL)
		}
		if r.Detail != "" {
			words += ": " + detail(r)
		}
		digest := ""
		if r.Digest != "" {
			digest = "`" + r.Digest.Short() + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", shapes[r.State], place, words, digest)
	}
	for _, r := range p.Rows {
		if r.Ships != nil {
			b.WriteString(shipsBody(*r.Ships))
		}
	}
	b.WriteString(review)
	b.WriteString("\n<sub>`/help` lists the commands. This comment is kept up to date.</sub>\n")
	return b.String()
}

// detail is our own sentence when it holds a command to type or a person's words as code, and text from outside otherwise.
func detail(r deploy.PanelRow) string {
	switch r.State {
	case "waiting", "rejected", "removed":
		return unmention(r.Detail)
	}
	return github.Literal(r.Detail)
}
