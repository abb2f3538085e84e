package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// summaryTail is how many lines of a failed step's log the check shows.
const summaryTail = 20

// tellCheck brings one check run at GitHub up to the newest state. It may be repeated: before each try the stream says so,
// so that after a crash or a lost answer GitHub is asked first what came of it.
func (a *App) tellCheck(ctx context.Context, w *runWork, e pipeline.TellCheck) error {
	s := w.Latest()
	check, ok := checkNamed(pipeline.Checks(s), e.Check)
	if !ok {
		return nil
	}
	if s.Skip != "" && s.Told[e.Check].ID == 0 {
		if other, err := a.hasRun(ctx, s.Trigger, s.Plan.Name); err != nil {
			return err
		} else if other != "" { // one began meanwhile: nothing that was not run may stand in the place of its checks
			_, err := w.Append(ctx, pipeline.CheckTold{Check: e.Check, Mark: check.Mark()})
			return err
		}
	}
	told := s.Told[e.Check]
	unknown := told.Opening
	in := a.github.Installation(s.Trigger.Repo.Installation)
	ctx = github.As(ctx, classOf(check))
	if err := in.MayWrite(ctx, "checks"); err != nil && !a.givenUp(s, err) {
		return err // before a note is made of it
	}
	if !told.Opening {
		var err error
		if s, err = w.Append(ctx, pipeline.CheckOpening{Check: e.Check}); err != nil {
			return err
		}
		check, _ = checkNamed(pipeline.Checks(s), e.Check)
	}
	id, confirmed, err := in.UpsertCheck(ctx, s.Trigger.Repo, github.CheckRun{
		ID: told.ID, Unknown: unknown, ExternalID: check.External, Name: check.Name, Commit: s.Trigger.Commit,
		Status: check.Status, Conclusion: check.Conclusion, DetailsURL: a.RunURL(s.Run),
		Title: check.Title, Summary: a.checkSummary(ctx, s, check) + a.newsWords(ctx, in, check.Conclusion), StartedAt: check.Started, CompletedAt: check.Finished,
		Annotations: check.Annotations, Confirmed: told.Confirmed, Actions: actions(check.Buttons),
	})
	event := pipeline.CheckTold{Check: e.Check, ID: id, Mark: check.Mark(), Confirmed: confirmed}
	events := []pipeline.Event{event}
	switch held := errors.As(err, new(*github.Limited)); {
	case err == nil:
	case a.useless(err) || a.givenUp(s, err):
		a.log.Error("GitHub will not show this check", "stream", w.Stream, "check", e.Check, "err", err)
		event.GivenUp = err.Error()
		events, err = []pipeline.Event{event}, nil
	case id == told.ID && confirmed == told.Confirmed && (unknown || !held):
		return err // that it may have been told stands in the stream
	default:
		event.Mark = told.Mark // part of it was said: the id is known, the rest is still owed
		events = []pipeline.Event{event}
		if unknown || !held {
			events = append(events, pipeline.CheckOpening{Check: e.Check}) // what failed may have been done: ask first
		}
	}
	_, appendErr := w.Append(ctx, events...)
	return errors.Join(err, appendErr)
}

// newsWords tell readers at GitHub that what they see is older than it could be: this is the last news before a pause that
// the limits ask for. Of what is over nothing more is to come.
func (a *App) newsWords(ctx context.Context, in *github.Installation, c pipeline.Conclusion) string {
	at := in.NextNews(ctx)
	if c != "" || at.Sub(a.now()) < noticed {
		return ""
	}
	return "\nGitHub limits us, next update at " + clockWords(at) + " or later. The run's page is up to date.\n"
}

// clockWords are a time as people read it; the minute is the one in which something happens, or the one after.
func clockWords(at time.Time) string {
	return at.UTC().Add(time.Minute - time.Nanosecond).Format("15:04 MST")
}

// classOf says that an end is told before a beginning.
func classOf(c pipeline.Check) github.Class {
	if c.Status == pipeline.Completed {
		return github.Conclusion
	}
	return github.Progress
}

// useless reports whether GitHub's answer is final: repeating the same would only cost calls. A suspended App may come
// back.
func (a *App) useless(err error) bool {
	var refused *github.Refused
	return errors.As(err, &refused) || errors.Is(err, github.ErrGone) && !errors.Is(err, github.ErrSuspended)
}

// givenUp reports whether the App has been suspended for longer than anyone waits for the news of a run.
func (a *App) givenUp(s pipeline.State, err error) bool {
	return errors.Is(err, github.ErrSuspended) && s.Over() && a.now().Sub(s.Ended) > patience
}

func actions(buttons []pipeline.Button) (actions []github.Action) {
	for _, b := range buttons {
		actions = append(actions, github.Action{Label: b.Label, Description: b.Description, Identifier: b.Identifier})
	}
	return actions
}

func checkNamed(checks []pipeline.Check, name string) (pipeline.Check, bool) {
	for _, c := range checks {
		if c.Name == name {
			return c, true
		}
	}
	return pipeline.Check{}, false
}

// checkSummary is the check's page at GitHub: why, what, how long, and the end of the log that matters.
func (a *App) checkSummary(ctx context.Context, s pipeline.State, c pipeline.Check) string {
	var b strings.Builder
	if c.Note != "" {
		fmt.Fprintf(&b, "> %s\n\n", unmention(c.Note))
	}
	fmt.Fprintf(&b, "%s\n\n", startedBy(s.Trigger))
	switch {
	case s.Skip != "":
		fmt.Fprintf(&b, "Nothing of it was run: %s (`%s` at %s). A required check that is skipped counts as passing at GitHub.\n",
			github.Literal(s.Skip), s.Plan.Path(), s.PlanFrom.Short())
		return b.String()
	case s.Reused != nil:
		fmt.Fprintf(&b, "Reused: the same tree was tested in [the run of %s](%s), whole and by the same plan, and passed. Nothing was run again, and nothing is deployed from here.\n\nTree `%s`\n",
			s.Reused.Commit.Short(), a.RunURL(s.Reused.Run), s.Reused.Tree)
		return b.String()
	case len(s.Problems) > 0:
		fmt.Fprintf(&b, "`%s` at %s cannot be used. Each mistake is marked in the file; `conveyor validate` shows the same on your machine.\n\n", s.Problems[0].File(), s.PlanFrom.Short())
		for _, p := range s.Problems {
			place := ""
			if p.File() != s.Problems[0].File() {
				place = "`" + p.File() + "` "
			}
			fmt.Fprintf(&b, "- %sline %d, column %d: %s", place, p.Line, p.Column, github.Literal(p.Message))
			if p.Hint != "" {
				fmt.Fprintf(&b, " (%s)", github.Literal(p.Hint))
			}
			b.WriteString("\n")
		}
		return b.String()
	case c.Conclusion == pipeline.ActionRequired:
		fmt.Fprintf(&b, "%s\n\n%s", tier(s), a.review(ctx, s, a.lastAllowed(ctx, s.Trigger), reviewOnCheck))
		return b.String()
	}
	if words := tier(s); words != "" {
		fmt.Fprintf(&b, "%s\n\n", words)
	}
	if c.Conclusion == pipeline.Skipped {
		b.WriteString("Nothing of it was run, by the plan's own conditions. A required check that is skipped counts as passing at GitHub.\n\n")
	}
	b.WriteString("| step | result | time |\n|---|---|---|\n")
	for _, st := range c.Steps {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", st.Name, github.Literal(stepWords(s, st)), took(st))
	}
	for _, st := range c.Steps {
		if words := phaseWords(st); words != "" {
			fmt.Fprintf(&b, "\nThe phases of **%s**: %s\n", st.Name, words)
		}
	}
	for _, st := range c.Steps {
		if st.Phase != pipeline.Done || st.Result.Outcome == pipeline.Passed || st.Result.Outcome == pipeline.Cancelled {
			continue
		}
		tail, err := a.logs.Tail(LogName(s.Run, st.Name, st.Attempt), summaryTail)
		if err != nil || len(tail) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\nThe last lines of **%s**:\n\n%s\n", st.Name, github.Block(string(logs.Plain(tail))))
	}
	b.WriteString(reportSummary(c.Steps))
	for _, st := range c.Steps {
		for _, art := range st.Result.Made() {
			fmt.Fprintf(&b, "\nArtifact **%s**: `%s`, %d files, %s\n", art.Name, art.Digest, art.Files, bytesWords(art.Size))
		}
	}
	fmt.Fprintf(&b, "\n[Live log and details](%s)\n", a.RunURL(s.Run))
	return b.String()
}

func startedBy(t pipeline.Trigger) string {
	what := fmt.Sprintf("push of %s to `%s`", t.Commit.Short(), github.Literal(t.Branch))
	if t.Kind == pipeline.PullRequest {
		what = fmt.Sprintf("pull request #%d at %s", t.Pull, t.Commit.Short())
	} else if t.Kind == pipeline.MergeGroup {
		what = fmt.Sprintf("merge queue of `%s` at %s", github.Literal(t.Base), t.Commit.Short())
	}
	if t.Kind == pipeline.ByHand {
		return byHandWords(t)
	}
	if t.Kind == pipeline.Schedule {
		return fmt.Sprintf("Started by the schedule of `%s`, at %s.", github.Literal(t.Branch), t.At.UTC().Format("2006-01-02 15:04 MST"))
	}
	return fmt.Sprintf("Started by %s, %s (delivery `%s`).", github.Literal(t.Actor.Login), what, t.Delivery)
}

// byHandWords say who started a run, and with what. Values are text from outside.
func byHandWords(t pipeline.Trigger) string {
	words := fmt.Sprintf("Started by hand by %s, at %s of `%s`.", whoWords(t), t.Commit.Short(), github.Literal(t.Branch))
	for _, name := range slices.Sorted(maps.Keys(t.Inputs)) {
		words += fmt.Sprintf("\n- %s: %s", name, github.Literal(t.Inputs[name]))
	}
	return words
}

// whoWords name who started a run: a person at GitHub, or the operator.
func whoWords(t pipeline.Trigger) string {
	if t.Actor.ID == 0 {
		return github.Literal(t.Actor.Login) + " from the command line of the server"
	}
	return github.Literal(t.Actor.Login)
}

func stepWords(s pipeline.State, st pipeline.StepState) string {
	switch st.Phase {
	case pipeline.Waiting:
		if st.Lost > 0 {
			return "waiting for another attempt: " + st.LostWhy
		}
		if st.Tries > 0 {
			return fmt.Sprintf("attempt %d failed, and the plan lets it be tried again: %s", st.Attempt, st.TriesWhy)
		}
		return "waiting"
	case pipeline.Running:
		return "running"
	case pipeline.NotRun:
		if st.Result.Reason != "" {
			return "not run: " + st.Result.Reason
		}
		return "not run"
	case pipeline.LeftOut:
		return "left out: " + st.Why
	}
	words := strings.ReplaceAll(string(st.Result.Outcome), "_", " ")
	if s.Forgiven(st) {
		words += ", and may"
	}
	if st.Tries > 0 {
		words += fmt.Sprintf(" at attempt %d", st.Attempt)
	}
	if st.From != "" {
		words += " in an earlier run of this commit"
	}
	if st.Result.Reason != "" {
		words += ": " + st.Result.Reason
	}
	if st.Result.Tests > 0 {
		words += fmt.Sprintf(" (%d of %d tests failed)", st.Result.TestsFailed, st.Result.Tests)
	}
	return words
}

// phaseWords are the phases of a buildspec, with how each try ended.
func phaseWords(st pipeline.StepState) string {
	var words []string
	for _, p := range st.Result.Phases {
		how := "succeeded"
		if p.Failed {
			how = "**failed**"
		}
		words = append(words, fmt.Sprintf("%s %s (%ds)", p.Name, how, p.Took))
	}
	return strings.Join(words, ", ")
}

func took(st pipeline.StepState) string {
	if st.Started.IsZero() || st.Finished.IsZero() {
		return ""
	}
	return duration(st.Finished.Sub(st.Started))
}

// duration is a time as people read it: 0.4s, 12s, 2m 14s.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	}
	return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
}

func bytesWords(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
