package pipeline_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/golden"
)

// planned is a request of a plan whose steps are changed.
func planned(change func(plan *pipeline.Plan)) pipeline.Requested {
	return requested(func(r *pipeline.Requested) { change(&r.Plan) })
}

func TestStoriesOfOrder(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]pipeline.Event{
		"a step starts as soon as what it needs has passed": {
			planned(func(p *pipeline.Plan) { p.Stages[1].Steps[0].Needs = []string{"lint"} }),
			started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), started("site", 1, 3),
			finished("unit", 1, pipeline.Failed, 4), siteMade(5),
		},
		"a step that needs what is not there never runs": {
			planned(func(p *pipeline.Plan) { p.Stages[1].Steps[0].Needs = []string{"lint", "gone"} }),
			started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Passed, 3),
		},
		"a step that needs nothing starts at once": {
			planned(func(p *pipeline.Plan) { p.Stages[1].Steps[0].AtOnce = true }), started("site", 1, 1),
		},
		"what needs a failed step does not run and its neighbours do": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[1].Needs = []string{"unit"} }),
			started("unit", 1, 1), finished("unit", 1, pipeline.Failed, 2),
		},
		"a failed step is tried again and then counts": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].Retries = 2 }),
			started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 1), finished("unit", 1, pipeline.Failed, 2),
			started("unit", 2, 3), finished("unit", 2, pipeline.TimedOut, 4), started("unit", 3, 5), finished("unit", 3, pipeline.Failed, 6),
		},
		"a step that passes at its second attempt has passed": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].Retries = 1 }),
			started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 1), finished("unit", 1, pipeline.Failed, 2),
			started("unit", 2, 3), finished("unit", 2, pipeline.Passed, 4), started("site", 1, 5), siteMade(6),
		},
		"memory that is used up is not tried again": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].Retries = 2 }), started("unit", 1, 1), finished("unit", 1, pipeline.Resource, 2),
		},
		"a step that may fail holds nothing up": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].MayFail = true }),
			started("unit", 1, 1), started("lint", 1, 1), finished("unit", 1, pipeline.Failed, 2), finished("lint", 1, pipeline.Passed, 3), started("site", 1, 4), siteMade(5),
		},
		"a failure of ours is never forgiven": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].MayFail = true }),
			started("unit", 1, 1), started("lint", 1, 1), finished("unit", 1, pipeline.Infrastructure, 2), finished("lint", 1, pipeline.Passed, 3),
		},
		"a condition is asked before its step and leaves its stage out": {
			planned(func(p *pipeline.Plan) { p.Stages[1].Steps[0].If = "false" }),
			started("unit", 1, 1), started("lint", 1, 1), finished("unit", 1, pipeline.Passed, 2), finished("lint", 1, pipeline.Passed, 3),
			pipeline.StepDecided{Step: "site", Why: "event is push", At: at(4)}, pipeline.StepDecided{Step: "site", Holds: true, At: at(5)},
		},
		"a condition that holds lets its step run": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].If = "true" }),
			pipeline.StepDecided{Step: "unit", Holds: true, At: at(1)}, started("unit", 1, 2), started("lint", 1, 2),
			finished("lint", 1, pipeline.Passed, 3), finished("unit", 1, pipeline.Passed, 4),
		},
		"a condition that cannot be asked fails its step": {
			planned(func(p *pipeline.Plan) { p.Stages[0].Steps[0].If = "true" }),
			pipeline.StepDecided{Step: "unit", Wrong: true, Why: "it costs too much", At: at(1)}, started("lint", 1, 2), finished("lint", 1, pipeline.Passed, 3),
		},
		"a step for after a failure is asked when all is over": {
			planned(func(p *pipeline.Plan) { p.Stages[1].Steps[0].If, p.Stages[1].Steps[0].After = "failure()", true }),
			started("unit", 1, 1), started("lint", 1, 1), finished("unit", 1, pipeline.Failed, 2), finished("lint", 1, pipeline.Passed, 3),
			pipeline.StepDecided{Step: "site", Holds: true, At: at(4)}, started("site", 1, 5), siteMade(6),
		},
		"a run that takes turns asks before each stage": {
			planned(func(p *pipeline.Plan) { p.Concurrency, p.Stages[1].Steps[0].AtOnce = pipeline.Queue, true }),
			pipeline.StageAsked{Stage: 0, At: at(1)}, pipeline.StageEntered{Stage: 0, At: at(2)}, started("unit", 1, 3), started("lint", 1, 3),
			finished("lint", 1, pipeline.Passed, 4), finished("unit", 1, pipeline.Passed, 5), pipeline.StageAsked{Stage: 1, At: at(6)},
			pipeline.StageEntered{Stage: 0, At: at(7)}, pipeline.StageEntered{Stage: 1, At: at(8)},
		},
		"a run that waits for its turn can be cancelled": {
			planned(func(p *pipeline.Plan) { p.Concurrency = pipeline.Supersede }),
			pipeline.StageAsked{Stage: 0, At: at(1)}, pipeline.CancelRequested{Reason: "superseded by 9f8e7d6", At: at(2)}, pipeline.StageEntered{Stage: 0, At: at(3)},
		},
		"what needs a step that is left out is left out": {
			planned(func(p *pipeline.Plan) {
				p.Stages[0].Steps[0].If, p.Stages[0].Steps[1].Needs = "false", []string{"unit"}
			}),
			pipeline.StepDecided{Step: "unit", Why: "event is push", At: at(1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Equal(t, filepath.Join("testdata/stories", strings.ReplaceAll(name, " ", "_")+".txt"), tell(t, events))
		})
	}
}

// drawPlan is a random plan: needs within a stage and to earlier ones, retries, conditions, steps that may fail.
func drawPlan(t *rapid.T) (p pipeline.Plan) {
	var all []string
	for i := range rapid.IntRange(1, 4).Draw(t, "stages") {
		stage := pipeline.Stage{Name: fmt.Sprintf("stage-%d", i)}
		for j := range rapid.IntRange(1, 4).Draw(t, "steps") {
			s := pipeline.Step{Name: fmt.Sprintf("s%d-%d", i, j), Retries: rapid.IntRange(0, 2).Draw(t, "retries"), MayFail: rapid.Bool().Draw(t, "may")}
			switch rapid.SampledFrom([]string{"barrier", "needs", "nothing"}).Draw(t, "waits") {
			case "needs":
				if len(all) > 0 {
					s.Needs = []string{rapid.SampledFrom(all).Draw(t, "need")}
				}
			case "nothing":
				s.AtOnce = true
			}
			if rapid.Bool().Draw(t, "if") {
				s.If, s.After = "x", rapid.Bool().Draw(t, "after")
			}
			all = append(all, s.Name)
			stage.Steps = append(stage.Steps, s)
		}
		slices.Reverse(stage.Steps) // a step may need one that stands below it
		p.Stages = append(p.Stages, stage)
	}
	return p
}

func TestWhateverIsPlannedRunsInOrderAndEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plan := drawPlan(t)
		s := pipeline.Apply(pipeline.State{}, requested(func(r *pipeline.Requested) { r.Plan = plan }))
		specs := map[string]pipeline.Step{}
		for _, stage := range plan.Stages {
			for _, spec := range stage.Steps {
				specs[spec.Name] = spec
			}
		}
		over := func(st pipeline.StepState) bool { return st.Phase != pipeline.Waiting && st.Phase != pipeline.Running }
		for turn := 0; ; turn++ {
			if turn > 1000 {
				t.Fatal("it never ends")
			}
			var owed []pipeline.Effect
			for _, e := range pipeline.Next(s) {
				switch e.(type) {
				case pipeline.Exec, pipeline.Decide:
					owed = append(owed, e)
				}
			}
			if len(owed) == 0 {
				break
			}
			switch e := rapid.SampledFrom(owed).Draw(t, "owed").(type) {
			case pipeline.Decide:
				s = pipeline.Apply(s, pipeline.StepDecided{Step: e.Step, Holds: rapid.Bool().Draw(t, "holds"), Wrong: rapid.IntRange(0, 9).Draw(t, "wrong") == 0, Why: "so", At: at(turn)})
			case pipeline.Exec:
				spec, mine := specs[e.Step], step(s, e.Step)
				for _, other := range s.Steps {
					waits := slices.Contains(spec.Needs, other.Name) || len(spec.Needs) == 0 && !spec.AtOnce && other.Stage < mine.Stage
					if !waits || mine.Attempt > 0 {
						continue
					}
					if !over(other) {
						t.Fatalf("%s is owed before %s is over", e.Step, other.Name)
					}
					bad := other.Phase == pipeline.NotRun || other.Phase == pipeline.Done && other.Result.Outcome != pipeline.Passed && !s.Forgiven(other)
					if bad && !spec.After {
						t.Fatalf("%s is owed although %s is not good", e.Step, other.Name)
					}
				}
				if spec.If != "" && !mine.Admitted {
					t.Fatalf("%s is owed before its condition was asked", e.Step)
				}
				if mine.Phase == pipeline.Waiting {
					s = pipeline.Apply(s, pipeline.StepStarted{Step: e.Step, Attempt: e.Attempt, At: at(turn)})
				} else {
					outcome := rapid.SampledFrom([]pipeline.Outcome{pipeline.Passed, pipeline.Failed, pipeline.TimedOut, pipeline.Resource}).Draw(t, "outcome")
					s = pipeline.Apply(s, finished(e.Step, e.Attempt, outcome, turn))
				}
			}
		}
		if !s.Over() {
			t.Fatalf("nothing is owed and it is not over: %+v", s.Steps)
		}
		for _, st := range s.Steps {
			if st.Attempt > 1+specs[st.Name].Retries {
				t.Fatalf("%s had %d attempts", st.Name, st.Attempt)
			}
			good := st.Phase == pipeline.LeftOut || st.Phase == pipeline.Done && (st.Result.Outcome == pipeline.Passed || s.Forgiven(st))
			if s.Conclusion() == pipeline.Success && !good {
				t.Fatalf("success, and %s stands as %+v", st.Name, st)
			}
		}
		for i := range plan.Stages {
			if s.StageConclusion(i) == "" {
				t.Fatalf("stage %d has no end", i)
			}
		}
	})
}

func TestNamesOfFilesAreOfLettersAndTellStepsApart(t *testing.T) {
	t.Parallel()
	if got := pipeline.FileWord("unit-1"); got != "unit-1" {
		t.Errorf("a plain name became %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`[a-z0-9 (),._+-]{1,250}`).Draw(t, "a"), rapid.StringMatching(`[a-z0-9 (),._+-]{1,250}`).Draw(t, "b")
		x, y := pipeline.FileWord(a), pipeline.FileWord(b)
		if a != b && x == y {
			t.Fatalf("%q and %q are both %q", a, b, x)
		}
		if len(x) > 100 || x == "" || strings.ContainsAny(x, " ()./,+") {
			t.Fatalf("%q became %q", a, x)
		}
	})
}
