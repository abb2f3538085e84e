package pipeline_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/golden"
)

func TestStoriesOfChecks(t *testing.T) {
	t.Parallel()
	approve := pipeline.Offered{Buttons: []pipeline.Button{{Label: "Approve production", Description: "Let 1a2b3c4 into production", Identifier: "approve/production"}}}
	ended := []pipeline.Event{
		requested(), started("unit", 1, 1), started("lint", 1, 1), finished("lint", 1, pipeline.Passed, 2), finished("unit", 1, pipeline.Passed, 3),
		started("site", 1, 4), finished("site", 1, pipeline.Passed, 5),
		told("conveyor / test", "completed:success:0"), told("conveyor / build", "completed:success:0"), pipeline.Reported{At: at(6)},
	}
	var s pipeline.State
	for _, e := range ended {
		s = pipeline.Apply(s, e)
	}
	again, problem := pipeline.AgainCheck(s, "conveyor / build")
	if problem != "" {
		t.Fatal(problem)
	}
	again.Run, again.At = "run/7/d2", at(9)
	stories := map[string][]pipeline.Event{
		"what a filter leaves out is skipped and owes only its checks and its report": {
			requested(func(r *pipeline.Requested) { r.Skip = `on.pull_request.branches does not name "next"` }),
			started("unit", 1, 1), told("conveyor / test", "completed:skipped:0"), told("conveyor / build", "completed:skipped:0"), pipeline.Reported{At: at(2)},
		},
		"evidence that is reused runs nothing": {
			requested(func(r *pipeline.Requested) {
				r.Trigger.Kind = pipeline.MergeGroup
				r.Reused = &pipeline.Reused{Run: "run/7/d0", Commit: head, Tree: "4b825dc"}
			}), started("unit", 1, 1),
		},
		"buttons and notes are told when they come and when they go": append(append([]pipeline.Event{}, ended...),
			approve, told("conveyor / build", "completed:success:0:approve/production"),
			pipeline.Noted{Check: "conveyor / build", Note: "refused", At: at(7)}, told("conveyor / build", "completed:success:0:approve/production:note1"),
			pipeline.Noted{Note: "refused again", At: at(8)}, pipeline.Offered{}),
		"a check that runs again leaves the others as they are": {
			again, started("site", 1, 10), finished("site", 1, pipeline.Passed, 11),
		},
	}
	for name, events := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Equal(t, filepath.Join("testdata/stories", strings.ReplaceAll(name, " ", "_")+".txt"), tell(t, events))
		})
	}
}

func TestAnExternalIdTellsTheAttemptAndGivesTheRunBack(t *testing.T) {
	t.Parallel()
	s := pipeline.Apply(pipeline.State{}, requested())
	first := pipeline.Checks(s)[0].External
	r := pipeline.Again(s)
	r.Run = "run/7/d2"
	second := pipeline.Checks(pipeline.Apply(pipeline.State{}, r))[0].External
	if first != "run/7/d1 conveyor / test" || second != "run/7/d2 conveyor / test #2" {
		t.Errorf("%q, then %q", first, second)
	}
	for external, want := range map[string]pipeline.RunID{first: "run/7/d1", second: "run/7/d2", "run/8/d1 x": "", "run/7/ x": "", "": "", "job-1": ""} {
		if got := pipeline.RunOf(7, external); got != want {
			t.Errorf("%q is of the run %q", external, got)
		}
	}
}
