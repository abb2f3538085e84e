package pipeline_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const day = 24 * 60 * 60

func passedDeadline(second int) pipeline.Event {
	return pipeline.DeadlinePassed{Reason: "the whole run may take 6h", At: at(second)}
}

func within(d time.Duration) func(*pipeline.Requested) {
	return func(r *pipeline.Requested) { r.Plan.Timeout = pipeline.Duration(d) }
}

func TestStoriesOfDeadlines(t *testing.T) {
	t.Parallel()
	lost := func(attempt, second int) pipeline.Event {
		return pipeline.StepLost{Step: "unit", Attempt: attempt, Reason: "the server was stopped", Stopped: true, At: at(second)}
	}
	stories := map[string][]pipeline.Event{
		"a run for which no worker is ever free ends after a day": {
			requested(), pipeline.DeadlinePassed{Reason: "early", At: at(day - 1)},
			pipeline.DeadlinePassed{Reason: "none of its steps could begin within 24h", At: at(day)}, started("unit", 1, day+1),
		},
		"a run that is too slow ends with its time and what it has passed stays": {
			requested(within(time.Hour)), started("unit", 1, 1), started("lint", 1, 2), finished("lint", 1, pipeline.Passed, 3),
			passedDeadline(3600), passedDeadline(3601), finished("unit", 1, pipeline.Passed, 3602),
		},
		"the wait for the first step is not counted": {
			requested(within(time.Minute)), started("unit", 1, 7200), passedDeadline(7200), finished("unit", 1, pipeline.Passed, 7210),
		},
		"a step that is lost for ever ends with the run": {
			requested(), started("unit", 1, 0), lost(1, 10), started("unit", 2, 20), lost(2, 7200), passedDeadline(6 * 3600),
		},
		"a step that has failed stays the reason": {
			requested(within(time.Hour)), started("unit", 1, 0), started("lint", 1, 0), finished("unit", 1, pipeline.Failed, 3), passedDeadline(3600),
		},
		"a later stage that finds no worker ends with the run": {
			requested(within(time.Hour)), started("unit", 1, 0), started("lint", 1, 0), finished("unit", 1, pipeline.Passed, 3),
			finished("lint", 1, pipeline.Passed, 4), passedDeadline(3600),
		},
	}
	tellAll(t, stories)
}

func TestWhatHasNoDeadlineOwesNoAlarm(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]pipeline.State{
		"nothing":        {},
		"not allowed":    pipeline.Apply(pipeline.State{}, requested(func(r *pipeline.Requested) { r.Trust = pipeline.Outside })),
		"filtered":       pipeline.Apply(pipeline.State{}, requested(func(r *pipeline.Requested) { r.Skip = "not this branch" })),
		"with a mistake": pipeline.Apply(pipeline.State{}, requested(func(r *pipeline.Requested) { r.Problems = []pipeline.Problem{{Line: 1}} })),
	} {
		if at, _ := s.Deadline(); !at.IsZero() {
			t.Errorf("%s ends at %s", name, at)
		}
	}
}

// Whatever the workers do, and however often they are lost: once time has passed, doing what is due ends the run. And the
// time that it may take is bounded.
func TestEveryRunEndsEvenWhenNobodyActs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour
		s := pipeline.Apply(pipeline.State{}, requested(within(limit)))
		now, first := at(0), at(day)
		for range rapid.IntRange(20, 60).Draw(t, "turns") {
			now = now.Add(time.Duration(rapid.IntRange(60, 3*60).Draw(t, "minutes")) * time.Minute)
			for _, e := range execs(s) {
				switch rapid.SampledFrom([]string{"nothing", "start", "stopped", "pass"}).Draw(t, "what") {
				case "start":
					if neverStarted(s) {
						first = now
					}
					s = pipeline.Apply(s, pipeline.StepStarted{Step: e.Step, Attempt: e.Attempt, At: now})
				case "stopped":
					s = pipeline.Apply(s, pipeline.StepLost{Step: e.Step, Attempt: e.Attempt, Reason: "stopped", Stopped: true, At: now})
				case "pass":
					s = pipeline.Apply(s, pipeline.StepFinished{Step: e.Step, Attempt: e.Attempt, Result: pipeline.Result{Outcome: pipeline.Passed}, At: now})
				}
			}
			s = pipeline.Apply(s, pipeline.DeadlinePassed{Reason: "time", At: now}) // from a clock that may be wrong
		}
		succeeded := s.Conclusion() == pipeline.Success
		s = ring(t, s)
		switch c := s.Conclusion(); {
		case !s.Over():
			t.Fatal("nobody acts any more, and the run is not over")
		case !succeeded && c != pipeline.RanOutOfTime:
			t.Fatalf("it ended as %s", c)
		case c == pipeline.RanOutOfTime && s.OutOfTime == "":
			t.Fatal("nobody knows why it ended")
		}
		if limit == 0 {
			limit = pipeline.DefaultTimeout
		}
		for _, c := range pipeline.Checks(s) {
			if c.Status != pipeline.Completed || c.Started.IsZero() || c.Finished.IsZero() {
				t.Fatalf("the check %s is left as %s, from %s to %s", c.Name, c.Status, c.Started, c.Finished)
			}
		}
		longest := first.Add(3 * time.Hour) // that long is a turn
		if !neverStarted(s) {
			longest = longest.Add(limit)
		}
		if s.Ended.After(longest) {
			t.Fatalf("it ended at %s, and should have until %s", s.Ended, longest)
		}
	})
}

func neverStarted(s pipeline.State) bool {
	for _, st := range s.Steps {
		if st.Attempt > 0 {
			return false
		}
	}
	return true
}

// ring does every alarm that is owed, at its time.
func ring(t *rapid.T, s pipeline.State) pipeline.State {
	for range 3 {
		for _, e := range pipeline.Next(s) {
			if alarm, ok := e.(pipeline.Alarm); ok {
				s = pipeline.Apply(s, pipeline.DeadlinePassed{Reason: alarm.Why, At: alarm.Due()})
			}
		}
	}
	return s
}
