package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// began is a run of a push to a branch.
func began(name, branch string, mode pipeline.Concurrency) deploy.Event {
	return deploy.RunBegan{Run: pipeline.RunID("run/7/" + name), Concurrency: mode, Trust: pipeline.Writer, At: at(1),
		Trigger: pipeline.Trigger{Kind: pipeline.Push, Repo: pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Branch: "main"}, Branch: branch, Commit: pipeline.Commit(strings.Repeat(name[:1], 40))}}
}

func wants(name string, stage int) deploy.Event {
	return deploy.StageWanted{Run: pipeline.RunID("run/7/" + name), Stage: stage, At: at(2)}
}

func ended(name string, c pipeline.Conclusion) deploy.Event {
	return deploy.RunEnded{Run: pipeline.RunID("run/7/" + name), Conclusion: c, At: at(3)}
}

// owedTurns are the admissions and the ends that a history owes, by name.
func owedTurns(t *testing.T, events ...deploy.Event) string {
	t.Helper()
	var s deploy.State
	for _, e := range events {
		s = deploy.Apply(s, stored(t, e))
	}
	var owed []string
	for _, e := range deploy.Next(s) {
		switch e := e.(type) {
		case deploy.Admit:
			owed = append(owed, fmt.Sprintf("admit %s %d", strings.TrimPrefix(string(e.Run), "run/7/"), e.Stage))
		case deploy.StopRun:
			owed = append(owed, fmt.Sprintf("stop %s: %s", strings.TrimPrefix(string(e.Run), "run/7/"), e.Reason))
		}
	}
	return strings.Join(owed, ", ")
}

func TestRunsTakeTurnsAsInCodePipeline(t *testing.T) {
	t.Parallel()
	queue := func(names ...string) (all []deploy.Event) {
		for _, n := range names {
			all = append(all, began(n, "main", pipeline.Queue))
		}
		return all
	}
	supersede := func(names ...string) (all []deploy.Event) {
		for _, n := range names {
			all = append(all, began(n, "main", pipeline.Supersede))
		}
		return all
	}
	sent := func(name string, stage int) deploy.Event {
		return deploy.AdmissionSent{Run: pipeline.RunID("run/7/" + name), Stage: stage}
	}
	for name, c := range map[string]struct {
		events []deploy.Event
		want   string
	}{
		"a stage holds one run":                      {append(queue("a", "b"), wants("a", 0), wants("b", 0)), "admit a 0"},
		"an admission is sent once":                  {append(queue("a", "b"), wants("a", 0), sent("a", 0), wants("b", 0)), ""},
		"who leaves a stage lets the next one in":    {append(queue("a", "b"), wants("a", 0), sent("a", 0), wants("b", 0), wants("a", 1)), "admit a 1, admit b 0"},
		"a failure unlocks":                          {append(queue("a", "b"), wants("a", 0), sent("a", 0), wants("b", 0), ended("a", pipeline.Failure)), "admit b 0"},
		"a queue keeps the order of the start":       {append(queue("a", "b"), wants("b", 0)), ""},
		"a queue is not held up by what has ended":   {append(queue("a", "b"), ended("a", pipeline.WasCancelled), wants("b", 0)), "admit b 0"},
		"in a queue several wait":                    {append(queue("a", "b", "c"), wants("a", 0), sent("a", 0), wants("c", 0), wants("b", 0), ended("a", pipeline.Success)), "admit b 0"},
		"the newest that waits takes the others'":    {append(supersede("a", "b", "c"), wants("a", 0), sent("a", 0), wants("b", 0), wants("c", 0)), "stop b: superseded by " + strings.Repeat("c", 7)},
		"what is in a stage is never superseded":     {append(supersede("a", "b"), wants("a", 0), wants("b", 0)), "admit a 0"},
		"who comes late in front of a newer is over": {append(supersede("a", "b"), wants("b", 0), sent("b", 0), wants("a", 0)), "stop a: superseded by " + strings.Repeat("b", 7)},
		"between stages a newer one takes the place": {append(supersede("a", "b", "c"), wants("a", 0), wants("a", 1), sent("a", 1), wants("b", 0), wants("b", 1), sent("b", 0), wants("c", 0), sent("c", 0), wants("c", 1)), "stop b: superseded by " + strings.Repeat("c", 7)},
		"parallel runs are let in at once":           {[]deploy.Event{began("a", "main", ""), began("b", "main", pipeline.Parallel), wants("a", 0), wants("b", 0)}, "admit a 0, admit b 0"},
		"branches do not wait for each other":        {[]deploy.Event{began("a", "main", pipeline.Queue), began("b", "next", pipeline.Queue), wants("a", 0), wants("b", 0)}, "admit a 0, admit b 0"},
		"a late wish moves nobody back":              {append(queue("a", "b"), wants("a", 1), sent("a", 1), wants("a", 0), wants("b", 0)), "admit b 0"},
	} {
		if got := owedTurns(t, c.events...); got != c.want {
			t.Errorf("%s: owes %q, want %q", name, got, c.want)
		}
	}
}

// Whatever the order in which streams talk, a stage holds one run, a queue keeps its order, only who waits is
// superseded, and everyone comes to an end.
func TestTakingTurnsNeverLocksUpAndNeverLetsTwoIn(t *testing.T) {
	t.Parallel()
	const stages = 3
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]pipeline.Concurrency{pipeline.Queue, pipeline.Supersede}).Draw(t, "mode")
		var s deploy.State
		type mine struct {
			wants, in int // stages from 1
			over      bool
		}
		runs, entered := []*mine{}, [stages + 1][]int{}
		name := func(i int) pipeline.RunID { return pipeline.RunID(fmt.Sprintf("run/7/%c", 'a'+i)) }
		end := func(i int, c pipeline.Conclusion) {
			runs[i].over, runs[i].in, runs[i].wants = true, 0, 0
			s = deploy.Apply(s, ended(string(rune('a'+i)), c))
		}
		for turn := 0; ; turn++ {
			if turn > 2000 {
				t.Fatal("it never ends")
			}
			var moves []func()
			if len(runs) < 6 {
				moves = append(moves, func() {
					s = deploy.Apply(s, began(string(rune('a'+len(runs))), "main", mode))
					runs = append(runs, &mine{})
				})
			}
			for _, e := range deploy.Next(s) {
				switch e := e.(type) {
				case deploy.Admit:
					i := int(string(e.Run)[len(e.Run)-1] - 'a')
					moves = append(moves, func() {
						s = deploy.Apply(s, deploy.AdmissionSent(e))
						if runs[i].over {
							return
						}
						for j, other := range runs {
							if j != i && other.in == e.Stage+1 {
								t.Fatalf("%d and %d are in stage %d", i, j, e.Stage)
							}
						}
						if mode == pipeline.Queue && slices.ContainsFunc(entered[e.Stage], func(before int) bool { return before > i }) {
							t.Fatalf("%d enters stage %d after %v", i, e.Stage, entered[e.Stage])
						}
						entered[e.Stage] = append(entered[e.Stage], i)
						runs[i].in, runs[i].wants = e.Stage+1, 0
					})
				case deploy.StopRun:
					i := int(string(e.Run)[len(e.Run)-1] - 'a')
					if mode == pipeline.Queue || runs[i].in > 0 && runs[i].wants == 0 {
						t.Fatalf("%d is stopped in stage %d: %s", i, runs[i].in, e.Reason)
					}
					moves = append(moves, func() {
						s = deploy.Apply(s, deploy.CancelSent{Run: name(i)})
						end(i, pipeline.WasCancelled)
					})
				}
			}
			for i, r := range runs {
				if r.over || r.wants > 0 {
					continue
				}
				moves = append(moves, func() {
					switch next := r.in + 1; {
					case next > stages:
						end(i, pipeline.Success)
					case r.in > 0 && rapid.IntRange(0, 5).Draw(t, "fails") == 0:
						end(i, pipeline.Failure)
					default:
						r.in, r.wants = 0, next
						s = deploy.Apply(s, wants(string(rune('a'+i)), next-1))
					}
				})
			}
			if len(moves) == 0 {
				break
			}
			rapid.SampledFrom(moves).Draw(t, "move")()
		}
		for i, r := range runs {
			if !r.over {
				t.Fatalf("%d stands still: wants %d, in %d", i, r.wants, r.in)
			}
		}
	})
}
