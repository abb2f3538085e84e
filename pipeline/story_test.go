package pipeline_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/golden"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

const head = pipeline.Commit("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d")

// twoStages is a plan with two steps beside each other, and a third one that makes an artifact after them.
func twoStages() pipeline.Plan {
	step := func(name string) pipeline.Step {
		return pipeline.Step{Name: name, Run: "true", Timeout: pipeline.Duration(time.Minute)}
	}
	return pipeline.Plan{
		Version: 1,
		On:      pipeline.On{PullRequest: &pipeline.Filter{}},
		Stages: []pipeline.Stage{
			{Name: "test", Steps: []pipeline.Step{step("unit"), step("lint")}},
			{Name: "build", Steps: []pipeline.Step{step("site")}},
		},
	}
}

func requested(change ...func(*pipeline.Requested)) pipeline.Requested {
	r := pipeline.Requested{
		Run: "run/7/d1",
		Trigger: pipeline.Trigger{
			Kind: pipeline.PullRequest, Delivery: "d1", Commit: head, Ref: "refs/pull/12/head", Pull: 12,
			Repo: pipeline.Repo{ID: 7, Owner: "octo", Name: "shop"}, Actor: pipeline.Actor{ID: 1, Login: "mona"},
		},
		Trust: pipeline.Writer, Plan: twoStages(), At: at(0),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func started(step string, attempt, second int) pipeline.Event {
	return pipeline.StepStarted{Step: step, Attempt: attempt, Token: int64(attempt), At: at(second)}
}

func finished(step string, attempt int, outcome pipeline.Outcome, second int) pipeline.Event {
	r := pipeline.Result{Outcome: outcome}
	if outcome != pipeline.Passed {
		r.ExitCode, r.Reason = 1, "exit code 1"
	}
	return pipeline.StepFinished{Step: step, Attempt: attempt, Result: r, At: at(second)}
}

func told(check, mark string) pipeline.Event {
	return pipeline.CheckTold{Check: check, ID: 99, Mark: mark}
}

func TestStories(t *testing.T) {
	made := pipeline.StepFinished{Step: "site", Attempt: 1, At: at(9), Result: pipeline.Result{
		Outcome: pipeline.Passed, Artifact: &pipeline.Artifact{Name: "site", Digest: "sha256:" + pipeline.Digest(strings.Repeat("a", 64)), Files: 2, Size: 10}}}
	stories := map[string][]pipeline.Event{
		"a green run offers its artifact": {
			requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2),
			finished("unit", 1, pipeline.Passed, 5), started("site", 1, 6), made,
			told("conveyor / test", "completed:success:0"), told("conveyor / build", "completed:success:0"), pipeline.Reported{At: at(10)},
		},
		"a red step lets its neighbour finish and stops the next stage": {
			requested(), started("unit", 1, 1), started("lint", 1, 1), finished("unit", 1, pipeline.Failed, 2), finished("lint", 1, pipeline.Passed, 3),
		},
		"a lost worker is replaced twice and then given up": {
			requested(), started("unit", 1, 1),
			pipeline.StepLost{Step: "unit", Attempt: 1, Reason: "the server stopped", At: at(2)}, started("unit", 2, 3),
			pipeline.StepFinished{Step: "unit", Attempt: 1, Result: pipeline.Result{Outcome: pipeline.Passed}, At: at(4)},
			pipeline.StepLost{Step: "unit", Attempt: 2, Reason: "the server stopped", At: at(5)}, started("unit", 3, 6),
			pipeline.StepLost{Step: "unit", Attempt: 3, Reason: "the server stopped", At: at(7)},
		},
		"cancelling ends everything at once and late results change nothing": {
			requested(), started("unit", 1, 1), pipeline.CancelRequested{Reason: "superseded by 9f8e7d6", At: at(2)},
			finished("unit", 1, pipeline.Passed, 3), started("lint", 1, 4),
		},
		"a mistake in the plan is a failed check on the file": {
			requested(func(r *pipeline.Requested) {
				r.Plan = pipeline.Plan{}
				r.Problems = []pipeline.Problem{{Line: 3, Column: 5, Message: `unknown key "stesp"`, Hint: `did you mean "steps"?`}}
			}),
		},
		"code from outside runs nothing": {
			requested(func(r *pipeline.Requested) { r.Trust = pipeline.Outside }), started("unit", 1, 1),
		},
		"a time limit is told apart from a failure": {
			requested(), started("unit", 1, 1), started("lint", 1, 1), finished("unit", 1, pipeline.TimedOut, 2), finished("lint", 1, pipeline.Passed, 3),
		},
	}
	tellAll(t, stories)
}

// tellAll compares stories with what was written down of them.
func tellAll(t *testing.T, stories map[string][]pipeline.Event) {
	t.Helper()
	for name, events := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Equal(t, filepath.Join("testdata/stories", strings.ReplaceAll(name, " ", "_")+".txt"), tell(t, events))
		})
	}
}

// tell plays events, each through its stored form, and writes down what is owed after each.
func tell(t *testing.T, events []pipeline.Event) string {
	var b strings.Builder
	var s pipeline.State
	for _, e := range events {
		s = pipeline.Apply(s, stored(t, e))
		fmt.Fprintf(&b, "%s\n", headline(e))
		for _, owed := range pipeline.Next(s) {
			fmt.Fprintf(&b, "    owes %s\n", owed.Name())
		}
	}
	fmt.Fprintf(&b, "ends %q\n", s.Conclusion())
	for _, c := range pipeline.Checks(s) {
		fmt.Fprintf(&b, "    %s: %s %s: %s\n", c.Name, c.Status, c.Conclusion, c.Title)
	}
	for _, a := range s.Artifacts() {
		fmt.Fprintf(&b, "    made %s %s\n", a.Name, a.Digest.Short())
	}
	return b.String()
}

func headline(e pipeline.Event) string {
	switch e := e.(type) {
	case pipeline.StepStarted:
		return fmt.Sprintf("step_started %s %d", e.Step, e.Attempt)
	case pipeline.StepFinished:
		return fmt.Sprintf("step_finished %s %d %s", e.Step, e.Attempt, e.Result.Outcome)
	case pipeline.StepLost:
		return fmt.Sprintf("step_lost %s %d", e.Step, e.Attempt)
	case pipeline.CheckTold:
		return fmt.Sprintf("check_told %s %s", e.Check, e.Mark)
	}
	return e.Kind()
}

// stored sends an event through the form in which the journal keeps it.
func stored(t testing.TB, e pipeline.Event) pipeline.Event {
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	back, err := pipeline.Decode(e.Kind(), data)
	if err != nil || back == nil {
		t.Fatalf("a stored %q does not read back: %v %v", e.Kind(), back, err)
	}
	return back
}

func TestAnUnknownKindIsSkipped(t *testing.T) {
	if e, err := pipeline.Decode("invented_later", []byte(`{}`)); e != nil || err != nil {
		t.Fatalf("got %v, %v", e, err)
	}
}
