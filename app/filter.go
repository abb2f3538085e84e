package app

import (
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

// filtered says in words why a plan starts no run for a trigger, or nothing; and whether that is shown, by checks that
// are concluded as skipped.
//
// GitHub waits for a required check for ever when nobody tells of it, and counts a skipped one as good. So it is shown
// where the plan names the kind of event and leaves this base out, and nowhere else: a plan that says nothing of pull
// requests makes no check of theirs good. A filtered push is never shown: when its commit is the head of a pull request,
// the webhook of that says what becomes of its checks. Neither is a pull request whose branch starts runs by its pushes,
// which tell of the same checks.
func filtered(plan pipeline.Plan, t pipeline.Trigger) (why string, shown bool) {
	on := plan.On
	switch t.Kind {
	case pipeline.Push:
		if on.Push == nil {
			return "the plan starts no run for a push", false
		}
		if !planfile.Matches(on.Push, t.Branch) {
			return fmt.Sprintf("on.push.branches does not name %q", t.Branch), false
		}
	case pipeline.PullRequest:
		if on.PullRequest == nil {
			return "the plan starts no run for a pull request", false
		}
		if !planfile.Matches(on.PullRequest, t.Base) {
			return fmt.Sprintf("on.pull_request.branches does not name %q", t.Base), t.Fork || !planfile.Matches(on.Push, t.Branch)
		}
	case pipeline.MergeGroup:
		return filteredGroup(on, t.Base)
	}
	return "", false
}

// filteredGroup is filtered, of a merge group. What the plan does not say of the merge queue follows from what it says of
// the base: a group is what pull requests would make of it, and becomes a push to it. The queue waits for its checks, so
// that a group which nothing starts is always shown.
func filteredGroup(on pipeline.On, base string) (why string, shown bool) {
	switch {
	case on.MergeGroup != nil && planfile.Matches(on.MergeGroup, base):
		return "", false
	case on.MergeGroup != nil:
		return fmt.Sprintf("on.merge_group.branches does not name %q", base), true
	case planfile.Matches(on.PullRequest, base), planfile.Matches(on.Push, base):
		return "", false
	}
	return fmt.Sprintf("neither on.pull_request nor on.push names %q, and there is no on.merge_group", base), true
}

// hasRun says that a trigger's commit has a run that was not skipped: then its checks tell the truth, and nothing that
// was not run may take their place.
func (a *App) hasRun(ctx context.Context, t pipeline.Trigger) (why string, err error) {
	s, _, err := a.repos().Load(ctx, a.journal, repoStream(t.Repo.ID))
	if err != nil {
		return "", err
	}
	for _, r := range s.Runs {
		if r.Trigger.Commit == t.Commit && r.Trigger.Kind != pipeline.MergeGroup && !r.Skipped && r.Only == "" {
			return fmt.Sprintf("%s has a run already", t.Commit.Short()), nil
		}
	}
	return "", nil
}
