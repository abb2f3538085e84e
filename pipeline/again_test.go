package pipeline_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// played folds events, each through its stored form.
func played(t *testing.T, events ...pipeline.Event) (s pipeline.State) {
	t.Helper()
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := pipeline.Decode(e.Kind(), data)
		if err != nil || back == nil {
			t.Fatalf("a stored %q does not read back: %v", e.Kind(), err)
		}
		s = pipeline.Apply(s, back)
	}
	return s
}

// owed are the names of what a state owes now, without the news for GitHub.
func owed(s pipeline.State) (names []string) {
	for _, e := range pipeline.Next(s) {
		switch e.(type) {
		case pipeline.TellCheck, pipeline.Alarm:
		default:
			names = append(names, e.Name())
		}
	}
	return names
}

func siteMade(second int) pipeline.Event {
	return pipeline.StepFinished{Step: "site", Attempt: 1, At: at(second), Result: pipeline.Result{
		Outcome: pipeline.Passed, Artifact: &pipeline.Artifact{Name: "site", Digest: "sha256:" + pipeline.Digest(strings.Repeat("a", 64))}}}
}

func named(r pipeline.Requested, run pipeline.RunID) pipeline.Requested {
	r.Run, r.At = run, at(100)
	return r
}

func TestARunOfWhatFailedCarriesWhatPassedAndIsWholeWhenItEnds(t *testing.T) {
	t.Parallel()
	old := played(t, requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Failed, 3))
	request, problem := pipeline.AgainFailed(old)
	if problem != "" {
		t.Fatal(problem)
	}
	again := played(t, named(request, "run/7/d2"))
	if got := owed(again); !slices.Equal(got, []string{"exec/unit/1"}) {
		t.Fatalf("it owes %v", got)
	}
	if st := again.Steps[1]; st.Phase != pipeline.Done || st.From != old.Run || st.Attempt != 1 || !st.Finished.Equal(at(2)) {
		t.Errorf("lint stands as %+v", st)
	}
	again = played(t, named(request, "run/7/d2"), started("unit", 1, 101), finished("unit", 1, pipeline.Passed, 102), started("site", 1, 103), siteMade(104))
	if again.Conclusion() != pipeline.Success || len(again.Artifacts()) != 1 {
		t.Errorf("it ended as %s with %v", again.Conclusion(), again.Artifacts())
	}
	// What was carried once is carried on under the name of the run that did it.
	third, _ := pipeline.AgainStage(again, "build")
	if len(third.Carried) != 2 || third.Carried[0].From != "run/7/d2" || third.Carried[1].From != old.Run {
		t.Errorf("it carries %+v", third.Carried)
	}
}

func TestOnlyWhatHasPassedIsEverCarried(t *testing.T) {
	t.Parallel()
	r := requested(func(r *pipeline.Requested) {
		for _, o := range []pipeline.Outcome{pipeline.Failed, pipeline.Cancelled, pipeline.TimedOut, ""} {
			r.Carried = append(r.Carried, pipeline.Carried{Step: "unit", From: "run/7/x", Result: pipeline.Result{Outcome: o}})
		}
		r.Carried = append(r.Carried, pipeline.Carried{Step: "ghost", From: "run/7/x", Result: pipeline.Result{Outcome: pipeline.Passed}})
	})
	s := played(t, r)
	if got := owed(s); !slices.Equal(got, []string{"exec/unit/1", "exec/lint/1"}) || len(s.Steps) != 3 {
		t.Fatalf("it owes %v of %+v", got, s.Steps)
	}
}

func TestWhatIsOnItsWayOrGreenIsNotRunAgainInPart(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]pipeline.State{
		"still on its way": played(t, requested(), started("unit", 1, 1)),
		"Nothing of the last run failed": played(t, requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Passed, 3),
			started("site", 1, 4), siteMade(5)),
	} {
		if _, problem := pipeline.AgainFailed(s); !strings.Contains(problem, want) {
			t.Errorf("the answer is %q, want %q", problem, want)
		}
	}
}

func TestARunUpToAStageIsNeverWhole(t *testing.T) {
	t.Parallel()
	green := played(t, requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Passed, 3),
		started("site", 1, 4), siteMade(5))
	request, problem := pipeline.AgainStage(green, "build")
	if problem != "" {
		t.Fatal(problem)
	}
	last := played(t, named(request, "run/7/d2"), started("site", 1, 101), siteMade(102))
	if last.Conclusion() != pipeline.Success || len(last.Artifacts()) != 0 || len(green.Artifacts()) != 1 {
		t.Errorf("up to the last stage it ended as %s and offers %v", last.Conclusion(), last.Artifacts())
	}
	request, _ = pipeline.AgainStage(green, "test")
	first := played(t, named(request, "run/7/d3"))
	if got := owed(first); !slices.Equal(got, []string{"exec/unit/1", "exec/lint/1"}) || len(pipeline.Checks(first)) != 1 {
		t.Errorf("up to the first stage it owes %v and shows %d checks", got, len(pipeline.Checks(first)))
	}
	if len(green.Plan.Stages) != 2 {
		t.Error("the plan of the run before has changed")
	}
	if _, problem := pipeline.AgainStage(green, "deploy"); problem != "The plan has no stage `deploy`. It has `test`, `build`." {
		t.Error(problem)
	}
}

func TestAStageIsNeverGreenBeforeTheOnesBeforeItAre(t *testing.T) {
	t.Parallel()
	red := played(t, requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Failed, 3))
	request, _ := pipeline.AgainStage(red, "build")
	s := played(t, named(request, "run/7/d2"))
	if got := owed(s); !slices.Equal(got, []string{"exec/unit/1"}) {
		t.Fatalf("it owes %v", got)
	}
	s = pipeline.Apply(pipeline.Apply(s, started("unit", 1, 101)), finished("unit", 1, pipeline.Failed, 102))
	if c := s.StageConclusion(1); c != pipeline.WasCancelled {
		t.Errorf("the stage ended as %q", c)
	}
}

func TestEverythingIsExplainedByWhatItFollowsFrom(t *testing.T) {
	t.Parallel()
	red := []pipeline.Event{requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Failed, 3)}
	outside := requested(func(r *pipeline.Requested) { r.Trust = pipeline.Outside })
	wrong := requested(func(r *pipeline.Requested) {
		r.Problems = []pipeline.Problem{{Line: 3, Message: "unknown key \"`stesp`\""}}
	})
	for _, c := range []struct {
		of     string
		events []pipeline.Event
		want   string
	}{
		{"site", red, "- `site` did not run\n  - the stage `test` ended as failure\n    - `unit` ended as failed\n      - `exit code 1`\n"},
		{"build", red, "- the stage `build` did not run\n  - the stage `test` ended as failure\n    - `unit` ended as failed\n      - `exit code 1`\n"},
		{"lint", red, "- `lint` passed\n"},
		{"", red[:4], "- the run of 1a2b3c4 is on its way\n  - the stage `test` is on its way\n    - `unit` runs, attempt 1\n  - the stage `build` waits for the end of the stage `test`\n"},
		{"site", red[:4], "- `site` waits for the end of the stage `test`\n"},
		{"unit", red[:1], "- `unit` waits for its turn on this server\n"},
		{"unit", append(red[:2:2], pipeline.StepLost{Step: "unit", Attempt: 1, Reason: "the server ended", At: at(2)}), "- `unit` waits for another attempt\n  - the last one was lost: `the server ended`\n"},
		{"site", append(red[:3:3], pipeline.CancelRequested{Reason: "superseded by 9999999", At: at(2)}), "- `site` did not run\n  - the run was cancelled: `superseded by 9999999`\n"},
		{"unit", append(red[:3:3], pipeline.CancelRequested{Reason: "superseded by 9999999", At: at(2)}), "- `unit` ended as cancelled\n  - `superseded by 9999999`\n"},
		{"unit", []pipeline.Event{outside}, "- `unit` did not run\n  - its author may not write to this repository, so nothing of it is run\n    - who may write reads it, and then types `/ok-to-test " + string(head) + "`\n"},
		{"build", []pipeline.Event{outside}, "- the stage `build` did not start\n  - its author may not write to this repository, so nothing of it is run\n    - who may write reads it, and then types `/ok-to-test " + string(head) + "`\n"},
		{"", []pipeline.Event{wrong}, "- the run of 1a2b3c4 did not start\n  - `.github/conveyor.yml` line 3: `unknown key \"'stesp'\"`\n"},
	} {
		why, ok := pipeline.Explain(played(t, c.events...), c.of)
		if got := why.Markdown(); !ok || got != c.want {
			t.Errorf("%q is explained as\n%s, want\n%s", c.of, got, c.want)
		}
	}
	if _, ok := pipeline.Explain(played(t, red...), "ghost"); ok {
		t.Error("what is not there is explained")
	}
	request, _ := pipeline.AgainFailed(played(t, red...))
	why, _ := pipeline.Explain(played(t, named(request, "run/7/d2")), "lint")
	if want := "- `lint` passed, in an earlier run of the same commit\n"; why.Markdown() != want {
		t.Errorf("%s, want %s", why.Markdown(), want)
	}
}
