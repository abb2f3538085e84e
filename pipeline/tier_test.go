package pipeline_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/golden"
)

// outside is a request for code from outside, of which the named stages may run.
func outside(stages ...string) pipeline.Requested {
	return requested(func(r *pipeline.Requested) { r.Trust, r.Restricted = pipeline.Outside, stages })
}

func TestStoriesOfCodeFromOutside(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]pipeline.Event{
		"the plan of the base lets one stage run and the other one is withheld": {
			outside("test"), started("site", 1, 1), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2),
			finished("unit", 1, pipeline.Passed, 5), pipeline.Reported{At: at(6)},
		},
		"a stage that is let run can fail": {
			outside("test"), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Failed, 5),
		},
		"all stages are let run and nothing that they make is offered": {
			outside("test", "build"), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2),
			finished("unit", 1, pipeline.Passed, 5), started("site", 1, 6), siteMade(7),
		},
		"a later stage is let run without the one before": {
			outside("build"), started("unit", 1, 1), started("site", 1, 1), siteMade(2),
		},
		"a push ends what code from outside was let run": {
			outside("test"), started("unit", 1, 1), pipeline.CancelRequested{Reason: "superseded by 9f8e7d6", At: at(2)},
		},
		"an allowed commit runs whole and offers nothing": {
			requested(func(r *pipeline.Requested) { r.Trust = pipeline.Allowed }), started("unit", 1, 1), started("lint", 1, 1),
			finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Passed, 5), started("site", 1, 6), siteMade(7),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Equal(t, filepath.Join("testdata/stories", strings.ReplaceAll(name, " ", "_")+".txt"), tell(t, events))
		})
	}
}

func TestNothingOfAnUnknownTrustRuns(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*pipeline.Requested){
		func(r *pipeline.Requested) { r.Trust = 0 },
		func(r *pipeline.Requested) { r.Trust = -1 },
		func(r *pipeline.Requested) { r.Trust, r.Restricted = -1, []string{"test", "build"} },
		func(r *pipeline.Requested) { r.Trust, r.Restricted = 0, []string{"", "tests", "Test", "*"} },
	} {
		r := requested(change)
		s := played(t, r)
		if got := owed(s); !slices.Equal(got, []string{"report"}) || s.Conclusion() != pipeline.ActionRequired {
			t.Errorf("of trust %d and %q it owes %v and ended as %q", r.Trust, r.Restricted, got, s.Conclusion())
		}
	}
}

func TestARunAgainNeverRaisesTheTrust(t *testing.T) {
	t.Parallel()
	green := []pipeline.Event{started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Failed, 3)}
	for _, old := range []pipeline.State{
		played(t, outside()), played(t, append([]pipeline.Event{outside("test")}, green...)...),
		played(t, append([]pipeline.Event{requested(func(r *pipeline.Requested) { r.Trust = pipeline.Allowed })}, green...)...),
	} {
		whole := pipeline.Again(old)
		failed, _ := pipeline.AgainFailed(old)
		stage, _ := pipeline.AgainStage(old, "build")
		for how, r := range map[string]pipeline.Requested{"whole": whole, "of what failed": failed, "of a stage": stage} {
			if r.Trust != old.Trust || !slices.Equal(r.Restricted, old.Restricted) || r.PlanFrom != old.PlanFrom {
				t.Errorf("%s: from trust %d %v to %d %v", how, old.Trust, old.Restricted, r.Trust, r.Restricted)
			}
			for _, name := range owed(played(t, named(r, "run/7/d2"))) {
				if old.Trust == pipeline.Outside && name != "report" && !strings.HasPrefix(name, "exec/unit/") && !strings.HasPrefix(name, "exec/lint/") {
					t.Errorf("%s: it owes %s", how, name)
				}
			}
		}
	}
	nothing := played(t, named(pipeline.Again(played(t, outside())), "run/7/d2"))
	if got := owed(nothing); !slices.Equal(got, []string{"report"}) {
		t.Errorf("of nothing it owes %v again", got)
	}
}

func TestWhatIsWithheldIsExplainedWithTheLineToType(t *testing.T) {
	t.Parallel()
	s := played(t, outside("test"), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Passed, 3))
	line := "`/ok-to-test " + string(head) + "`"
	for _, name := range []string{"", "build", "site"} {
		why, ok := pipeline.Explain(s, name)
		if got := why.Markdown(); !ok || !strings.Contains(got, line) || !strings.Contains(got, "only the stages `test`") {
			t.Errorf("%q is explained as\n%s", name, got)
		}
	}
	if why, _ := pipeline.Explain(s, "test"); !strings.Contains(why.Markdown(), "passed, with all") {
		t.Errorf("what ran is explained as\n%s", why.Markdown())
	}
}
