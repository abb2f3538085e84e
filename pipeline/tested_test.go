package pipeline_test

import (
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestAnAnalysisIsOwedToGitHubUntilItIsUploadedAndOnlyByTheRunThatMadeIt(t *testing.T) {
	t.Parallel()
	owes := func(s pipeline.State) bool {
		for _, e := range pipeline.Next(s) {
			if u, ok := e.(pipeline.Upload); ok && u == (pipeline.Upload{Step: "unit", Attempt: 1}) {
				return true
			}
		}
		return false
	}
	done := pipeline.StepFinished{Step: "unit", Attempt: 1, At: at(2), Result: pipeline.Result{
		Outcome: pipeline.Failed, ExitCode: 1, Tested: &pipeline.Tested{SARIF: []pipeline.Digest{"sha256:a"}}}}
	var s pipeline.State
	for _, e := range []pipeline.Event{requested(), started("unit", 1, 1)} {
		s = pipeline.Apply(s, e)
	}
	if owes(s) {
		t.Error("it is owed before it is there")
	}
	s = pipeline.Apply(s, done)
	if !owes(s) {
		t.Error("it is not owed, although the step has left it")
	}
	if again := pipeline.Apply(s, pipeline.Uploaded{Step: "unit", Attempt: 2, At: at(3)}); !owes(again) {
		t.Error("the news of another attempt has ended it")
	}
	ended := s.Ended
	s = pipeline.Apply(s, pipeline.Uploaded{Step: "unit", Attempt: 1, At: at(3)})
	if owes(s) || s.Ended != ended {
		t.Error("it is still owed, or the run became longer by it")
	}
	for i := range s.Steps {
		s.Steps[i].From, s.Steps[i].Uploaded = "run/7/earlier", false
	}
	if owes(s) {
		t.Error("a run owes what an earlier run has left")
	}
}
