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

// How many files a review names: on a check's page, and in the one comment of a pull request.
const (
	reviewOnCheck = 30
	reviewOnPanel = 8
)

// review is what someone should see who decides whether a stranger's code may be run: the line to type, what of the
// change executes in CI, and what is new since the last commit that was allowed. It is Markdown. What cannot be listed is
// said to be so; it never keeps a check from being told.
func (a *App) review(ctx context.Context, s pipeline.State, last *deploy.Allowed, most int) string {
	t := s.Trigger
	var b strings.Builder
	fmt.Fprintf(&b, "Someone who may write: read the change, then type this in a new comment on pull request %d.\n\n%s\n",
		t.Pull, github.Block("/ok-to-test "+string(t.Commit)))
	b.WriteString("The word is for this commit: a push needs a new one. Its checks run by the plan of the base, without secrets, and nothing that they make is kept.\n\n")
	b.WriteString(a.reviewChange(ctx, s, most))
	if last != nil && last.Commit != t.Commit {
		b.WriteString(a.reviewSince(ctx, t, *last, most))
	}
	return b.String()
}

// reviewChange names what of the whole change executes.
func (a *App) reviewChange(ctx context.Context, s pipeline.State, most int) string {
	t := s.Trigger
	compare := a.compare(t.Repo, s.PlanFrom, t.Commit)
	if s.PlanFrom == t.Commit {
		return "The base is not known, so the changed files are not listed here.\n"
	}
	changed, err := a.changedFiles(ctx, t, s.PlanFrom, t.Base, t.Commit)
	if err != nil {
		a.log.Warn("changed files could not be listed", "stream", s.Run, "err", err)
		return fmt.Sprintf("The changed files could not be listed here: look at [all of the change](%s).\n", compare)
	}
	found := pipeline.Executes(s.Plan, changed)
	var b strings.Builder
	fmt.Fprintf(&b, "**%d of %d changed files execute in CI by themselves** ([all of the change](%s), against the base %s):\n\n", len(found), len(changed), compare, s.PlanFrom.Short())
	for _, e := range found[:min(len(found), most)] {
		fmt.Fprintf(&b, "- %s: %s\n", github.Literal(e.Path), github.Literal(e.Why))
	}
	if more := len(found) - most; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	b.WriteString("\nThis goes by names. The other files execute, too, when a test or a build calls them.\n")
	return b.String()
}

// reviewSince names what is new since the last commit that someone has allowed.
func (a *App) reviewSince(ctx context.Context, t pipeline.Trigger, last deploy.Allowed, most int) string {
	who := fmt.Sprintf("\n**Since %s, which %s allowed**", last.Commit.Short(), github.Literal(last.Actor.Login))
	compare := a.compare(t.Repo, last.Commit, t.Commit)
	changed, err := a.changedFiles(ctx, t, last.Commit, "", t.Commit)
	if err != nil {
		return fmt.Sprintf("%s: [what has changed](%s).\n", who, compare)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d files differ ([what has changed](%s)):\n\n", who, len(changed), compare)
	for _, path := range changed[:min(len(changed), most)] {
		fmt.Fprintf(&b, "- %s\n", github.Literal(path))
	}
	if more := len(changed) - most; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

// changedFiles are the paths that differ between two commits, from the mirror. from is a commit of the branch, or of the
// pull request itself when none is named.
func (a *App) changedFiles(ctx context.Context, t pipeline.Trigger, from pipeline.Commit, branch string, to pipeline.Commit) ([]string, error) {
	ref := t.Ref
	if branch != "" {
		ref = "refs/heads/" + branch
	}
	if err := a.fetchOnce(ctx, t.Repo, "review", ref, from); err != nil {
		return nil, err
	}
	if err := a.fetchOnce(ctx, t.Repo, "review", t.Ref, to); err != nil {
		return nil, err
	}
	return a.source.Changed(ctx, t.Repo, from, to)
}

func (a *App) compare(repo pipeline.Repo, from, to pipeline.Commit) string {
	return fmt.Sprintf("%s/%s/compare/%s...%s", strings.TrimSuffix(a.config.GitHubURL, "/"), repo.Slug(), from, to)
}

// lastAllowed is the last commit of a pull request that someone has let be tested, nil when there is none.
func (a *App) lastAllowed(ctx context.Context, t pipeline.Trigger) *deploy.Allowed {
	s, _, err := a.repos().Load(ctx, a.journal, repoStream(t.Repo.ID))
	if err != nil {
		a.log.Warn("the last allowed commit could not be read", "repo", t.Repo.Slug(), "pull", t.Pull, "err", err)
	}
	return s.Pulls[t.Pull].Allowed
}

// tier says how far a run's code is trusted when that is less than a writer's, and what was withheld of it for that.
func tier(s pipeline.State) string {
	switch {
	case len(s.Problems) > 0 || s.Trust >= pipeline.Writer:
		return ""
	case s.Trust == pipeline.Allowed:
		return fmt.Sprintf("Trust: T1. The code comes from outside, and someone who may write has allowed this very commit. "+
			"It runs by the plan of the base, %s. Withheld: secrets, and what it makes: nothing of it can be deployed.", s.PlanFrom.Short())
	case len(s.Restricted) == 0:
		return "Trust: T0. The author of this pull request, or who pushed to it, may not write to this repository, so nothing of it was run."
	}
	withheld := "secrets, the network, and what it makes: nothing of it can be deployed"
	if stages := s.Withheld(); len(stages) > 0 {
		withheld += "; and the stages `" + strings.Join(stages, "`, `") + "`"
	}
	return fmt.Sprintf("Trust: T0. The author of this pull request, or who pushed to it, may not write to this repository. "+
		"The plan of the base, %s, lets the stages `%s` run all the same. Withheld: %s.", s.PlanFrom.Short(), strings.Join(s.Restricted, "`, `"), withheld)
}

// panelReview is the review of what waits for a writer's word, for the panel of its pull request.
func (a *App) panelReview(ctx context.Context, s deploy.State, p deploy.Panel) string {
	pull := s.Pulls[p.Pull]
	at := slices.IndexFunc(p.Runs, func(r deploy.Run) bool { // one word is for all pipelines
		return r.Trust == pipeline.Outside && r.Conclusion != "" && r.Conclusion != pipeline.Skipped
	})
	if at < 0 || p.Merged || !pull.Open {
		return ""
	}
	run, _, err := a.runs().Load(ctx, a.journal, string(p.Runs[at].ID))
	if err != nil {
		a.log.Warn("a run could not be read for the panel", "stream", p.Runs[at].ID, "err", err)
		return ""
	}
	if len(run.Withheld()) == 0 {
		return "\n" + tier(run) + "\n"
	}
	return "\n" + tier(run) + "\n\n" + a.review(ctx, run, pull.Allowed, reviewOnPanel)
}
