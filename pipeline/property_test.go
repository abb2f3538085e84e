package pipeline_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// A worker that fails at any boundary, is replaced, repeats itself and comes late still leaves one truthful result.
func TestEveryHistoryEndsInOneTruthfulResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := pipeline.Apply(pipeline.State{}, requested())
		passed := map[string]bool{} // steps whose current attempt really passed
		var late []pipeline.Event   // what old workers still say
		ended := pipeline.Conclusion("")

		for turn := 0; turn < 200 && len(execs(s)) > 0; turn++ {
			owed := rapid.SampledFrom(execs(s)).Draw(t, "exec")
			switch rapid.SampledFrom([]string{"start", "pass", "pass", "fail", "crash", "late", "cancel"}).Draw(t, "what") {
			case "start":
				s = pipeline.Apply(s, pipeline.StepStarted{Step: owed.Step, Attempt: owed.Attempt, At: at(turn)})
			case "pass":
				e := pipeline.StepFinished{Step: owed.Step, Attempt: owed.Attempt, Result: pipeline.Result{Outcome: pipeline.Passed}, At: at(turn)}
				was := phase(s, owed.Step)
				s = pipeline.Apply(s, e)
				if was == pipeline.Running {
					passed[owed.Step] = true
				}
				late = append(late, e)
			case "fail":
				s = pipeline.Apply(s, finished(owed.Step, owed.Attempt, pipeline.Failed, turn))
			case "crash":
				late = append(late, pipeline.StepFinished{Step: owed.Step, Attempt: owed.Attempt, Result: pipeline.Result{Outcome: pipeline.Passed}, At: at(turn)})
				s = pipeline.Apply(s, pipeline.StepLost{Step: owed.Step, Attempt: owed.Attempt, Reason: "gone", At: at(turn)})
			case "late":
				if len(late) > 0 {
					e := rapid.SampledFrom(late).Draw(t, "again").(pipeline.StepFinished)
					st := step(s, e.Step)
					s = pipeline.Apply(s, e)
					if st.Phase == pipeline.Running && st.Attempt == e.Attempt {
						passed[e.Step] = true
					}
				}
			case "cancel":
				if rapid.IntRange(0, 9).Draw(t, "rare") == 0 {
					s = pipeline.Apply(s, pipeline.CancelRequested{Reason: "asked", At: at(turn)})
				}
			}
			if c := s.Conclusion(); c != "" {
				if ended != "" && ended != c {
					t.Fatalf("the run ended as %q and then as %q", ended, c)
				}
				ended = c
			}
		}
		if s.Conclusion() == pipeline.Success {
			for _, st := range s.Steps {
				if !passed[st.Name] {
					t.Fatalf("success, but the current attempt of %s never passed", st.Name)
				}
			}
		}
		if len(execs(s)) == 0 && !s.Over() {
			t.Fatal("nothing is left to run and the run is not over")
		}
	})
}

func TestApplyNeverChangesTheStateItIsGiven(t *testing.T) {
	before := pipeline.Apply(pipeline.State{}, requested())
	copied := pipeline.Apply(pipeline.State{}, requested())
	for _, e := range []pipeline.Event{
		started("unit", 1, 1), finished("unit", 1, pipeline.Passed, 2), pipeline.CancelRequested{Reason: "x", At: at(1)},
		told("conveyor / test", "m"), pipeline.Reported{At: at(3)}, pipeline.CheckOpening{Check: "conveyor / test"},
	} {
		pipeline.Apply(before, e)
		if !reflect.DeepEqual(before, copied) {
			t.Fatalf("%s changed the state it was given", e.Kind())
		}
	}
}

func execs(s pipeline.State) (owed []pipeline.Exec) {
	for _, e := range pipeline.Next(s) {
		if exec, ok := e.(pipeline.Exec); ok {
			owed = append(owed, exec)
		}
	}
	return owed
}

func step(s pipeline.State, name string) pipeline.StepState {
	for _, st := range s.Steps {
		if st.Name == name {
			return st
		}
	}
	return pipeline.StepState{}
}

func phase(s pipeline.State, name string) pipeline.Phase { return step(s, name).Phase }
