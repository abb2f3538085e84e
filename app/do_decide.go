package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile/condition"
)

// decide asks whether a step's condition holds, now that what it waits for is over. The answer is an event; a condition
// that cannot be asked fails the step.
func (a *App) decide(ctx context.Context, w *runWork, e pipeline.Decide) error {
	s := w.Latest()
	st, spec := find(s, e.Step)
	if spec == nil || st.Phase != pipeline.Waiting || st.Admitted {
		return nil
	}
	answer := pipeline.StepDecided{Step: e.Step}
	c, faults := condition.Compile(spec.If)
	if len(faults) > 0 { // a plan that another version of this server has read
		answer.Wrong, answer.Why = true, faults[0].Message
	} else {
		f := facts(s, st, *spec)
		if c.Changed {
			var err error
			if f.Changed, err = a.changedPaths(ctx, s.Trigger, s.Run); err != nil {
				return err
			}
		}
		holds, err := c.Holds(ctx, f)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			answer.Wrong, answer.Why = true, err.Error()
		default:
			answer.Holds = holds
		}
	}
	if !answer.Holds && !answer.Wrong {
		answer.Why = "not so: " + brief(spec.If)
	}
	answer.At = a.now().UTC()
	_, err := w.Append(ctx, answer)
	return err
}

// facts are what a condition may ask of a run.
func facts(s pipeline.State, st pipeline.StepState, spec pipeline.Step) condition.Facts {
	t := s.Trigger
	f := condition.Facts{
		Event: string(t.Kind), Branch: t.Branch, Base: t.Base, DefaultBranch: t.Repo.Branch, Commit: string(t.Commit), Title: t.Title,
		Repository: t.Repo.Slug(), Actor: t.Actor.Login, Pull: t.Pull, Fork: t.Fork, Env: spec.Env,
		Trust:  map[pipeline.Trust]string{pipeline.Allowed: "allowed", pipeline.Writer: "writer"}[s.Trust],
		Failed: s.FailedBefore(st), Steps: map[string]condition.Step{},
	}
	if f.Trust == "" {
		f.Trust = "outside"
	}
	for _, other := range s.Steps {
		one := condition.Step{Outcome: outcome(other), Outputs: other.Result.Outputs}
		f.Steps[other.Name] = one
		_, file := find(s, other.Name)
		if file == nil || file.Of == "" {
			continue
		}
		if all, there := f.Steps[file.Of]; there && all.Outcome != string(pipeline.Passed) {
			continue // of a matrix, its name tells of the first that has not passed
		}
		f.Steps[file.Of] = condition.Step{Outcome: one.Outcome}
	}
	return f
}

func outcome(st pipeline.StepState) string {
	switch st.Phase {
	case pipeline.Done:
		return string(st.Result.Outcome)
	case pipeline.NotRun:
		return "not_run"
	case pipeline.LeftOut:
		return "left_out"
	}
	return ""
}

// changedPaths are the paths that the trigger's commit changes: of a pull request or a merge group against its base, of a
// push against what the branch held. Where nobody knows what was before, every path counts as changed.
func (a *App) changedPaths(ctx context.Context, t pipeline.Trigger, run pipeline.RunID) ([]string, error) {
	before, ref := t.Before, t.Ref
	if t.Kind == pipeline.PullRequest {
		before, ref = t.Onto, "refs/heads/"+t.Base
	}
	if err := a.source.Fetch(ctx, t.Repo, t.Ref, t.Commit, a.token(t.Repo, run)); err != nil {
		return nil, fmt.Errorf("app: the changed paths: %w", err)
	}
	if before.Valid() && strings.Trim(string(before), "0") != "" {
		if err := a.source.Fetch(ctx, t.Repo, ref, before, a.token(t.Repo, run)); err == nil {
			return a.source.Changed(ctx, t.Repo, before, t.Commit)
		} else if ctx.Err() != nil {
			return nil, err
		}
	}
	return a.source.All(ctx, t.Repo, t.Commit)
}

// conditional reports whether what a plan runs depends on more than the commit: then a run proves nothing for another
// event.
func conditional(plan pipeline.Plan) bool {
	return slices.ContainsFunc(plan.Stages, func(stage pipeline.Stage) bool {
		return slices.ContainsFunc(stage.Steps, func(step pipeline.Step) bool { return step.If != "" })
	})
}

// brief is a condition as a check shows it.
func brief(text string) string {
	if r := []rune(text); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return text
}
