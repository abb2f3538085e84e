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
			return fmt.Sprintf("%s %q", excludes("on.push", on.Push, t.Branch), t.Branch), false
		}
	case pipeline.PullRequest:
		if on.PullRequest == nil {
			return "the plan starts no run for a pull request", false
		}
		if !planfile.Matches(on.PullRequest, t.Base) {
			return fmt.Sprintf("%s %q", excludes("on.pull_request", on.PullRequest, t.Base), t.Base), t.Fork || !planfile.Matches(on.Push, t.Branch)
		}
	case pipeline.Schedule:
		if len(on.Schedule) == 0 {
			return "the plan has no schedule", false
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
	case on.Push == nil && on.PullRequest == nil && on.MergeGroup == nil && on.Manual != nil:
		return "the plan starts no run for the merge queue", false
	case on.MergeGroup != nil:
		return fmt.Sprintf("%s %q", excludes("on.merge_group", on.MergeGroup, base), base), true
	case planfile.Matches(on.PullRequest, base), planfile.Matches(on.Push, base):
		return "", false
	}
	return fmt.Sprintf("neither on.pull_request nor on.push names %q, and there is no on.merge_group", base), true
}

// excludes names the key that leaves a branch out.
func excludes(key string, f *pipeline.Filter, branch string) string {
	if planfile.Matches(&pipeline.Filter{Branches: f.Branches}, branch) {
		return key + ".branches_ignore names"
	}
	return key + ".branches does not name"
}

// filteredPaths is filtered, of the changed paths. They are looked at only where the plan asks for it. Of a pull request
// they are those that differ from its base: more than it changes, when the base has moved on, and never less.
func (a *App) filteredPaths(ctx context.Context, plan pipeline.Plan, t pipeline.Trigger, run pipeline.RunID) (why string, shown bool, err error) {
	on := plan.On
	f, key := on.Push, "on.push"
	switch t.Kind {
	case pipeline.PullRequest:
		f, key, shown = on.PullRequest, "on.pull_request", t.Fork || !planfile.Matches(on.Push, t.Branch)
	case pipeline.Schedule:
		return "", false, nil
	case pipeline.MergeGroup:
		f, key, shown = on.MergeGroup, "on.merge_group", true
	}
	if f == nil || len(f.Paths) == 0 && len(f.Ignore) == 0 {
		return "", false, nil
	}
	changed, err := a.changedPaths(ctx, t, run)
	if err != nil {
		return "", false, err
	}
	if planfile.Concerns(f, changed) {
		return "", false, nil
	}
	return fmt.Sprintf("none of the %d changed files is one that %s.paths and paths_ignore ask for", len(changed), key), shown, nil
}

// hasRun says that a trigger's commit has a run of a pipeline that was not skipped: then its checks tell the truth, and nothing that
// was not run may take their place.
func (a *App) hasRun(ctx context.Context, t pipeline.Trigger, name string) (why string, err error) {
	s, _, err := a.repos().Load(ctx, a.journal, repoStream(t.Repo.ID))
	if err != nil {
		return "", err
	}
	for _, r := range s.Runs {
		if r.Into != "" && t.Onto.Valid() && r.Into != t.Onto {
			continue // it has tested another merge
		}
		if r.Pipeline == name && r.Trigger.Commit == t.Commit && r.Trigger.Kind != pipeline.ByHand && r.Trigger.Kind != pipeline.MergeGroup && r.Trigger.Kind != pipeline.Schedule && !r.Skipped && r.Only == "" {
			return fmt.Sprintf("%s has a run already", t.Commit.Short()), nil
		}
	}
	return "", nil
}
