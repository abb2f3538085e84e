package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/history"
	"github.com/conveyor-ci/conveyor/pipeline/report"
)

// How many tests are named in a step's result.
const (
	mostSlow     = 5
	mostFailures = 20
	mostFlaky    = 10
	longestName  = 200 // bytes of a test's name
)

// enoughTurns is how often a test's result must have changed on one branch to count as flaky: once is a mistake that was
// made or mended, twice is both.
const enoughTurns = 3

// historyOf names the history that a run adds to, and the one that it is compared with. Merge groups add to none: their
// branch lives for one run. Pipelines have histories of their own.
func historyOf(s pipeline.State, step string) (own, base history.Key) {
	t := s.Trigger
	if s.Plan.Name != "" {
		step = s.Plan.Name + "/" + step
	}
	key := func(branch string) history.Key { return history.Key{Repo: t.Repo.ID, Branch: branch, Step: step} }
	switch t.Kind {
	case pipeline.PullRequest:
		return key(fmt.Sprintf("pull/%d", t.Pull)), key("heads/" + t.Base)
	case pipeline.MergeGroup:
		return history.Key{}, key("heads/" + t.Base)
	case pipeline.ByHand: // what was chosen may change how tests end
		return history.Key{}, key("heads/" + t.Branch)
	}
	return key("heads/" + t.Branch), key("heads/" + t.Branch)
}

// compareTests holds the tests of a step against its history, and adds them to it. What code from outside says about its
// tests is compared, and not remembered: it could make the history of others lie.
func (a *App) compareTests(s pipeline.State, step string, attempt int, r *reading) {
	own, base := historyOf(s, step)
	before, err := a.history.Load(base)
	if fallback := "heads/" + s.Trigger.Repo.Branch; err == nil && len(before.Names) == 0 && s.Trigger.Repo.Branch != "" && base.Branch != fallback {
		base.Branch = fallback // a new branch is compared with the default one
		before, err = a.history.Load(base)
	}
	ended := outcomes(r.tests)
	var since history.Branch
	if err == nil && own.Repo != 0 && s.Trust >= pipeline.Writer && (len(ended) > 0 || r.coverage != nil) {
		var covered *history.Coverage
		if r.coverage != nil {
			covered = &history.Coverage{Lines: r.coverage.Lines, Covered: r.coverage.Covered}
		}
		if err = a.history.Add(own, fmt.Sprintf("%s#%d", s.Run, attempt), ended, covered); err == nil {
			since, err = a.history.Load(own)
		}
	}
	if err != nil {
		a.log.Warn("the history of tests cannot be used", "stream", s.Run, "step", step, "err", err)
	}
	r.tested.Slowest = slowest(r.tests)
	r.tested.Failures, r.tested.New = failures(ended, before)
	if len(before.Names) > 0 {
		r.tested.Compared = strings.TrimPrefix(base.Branch, "heads/")
		if c := before.Coverage; c != nil && r.coverage != nil {
			r.tested.Coverage = &pipeline.Coverage{Was: &pipeline.Ratio{Lines: c.Lines, Covered: c.Covered}}
		}
	}
	r.tested.Flaky = flaky(ended, branchOf{since, own}, branchOf{before, base})
}

// outcomes are the tests by name. One name twice fails when one of them does.
func outcomes(tests []report.Test) map[string]history.Outcome {
	ended := make(map[string]history.Outcome, len(tests))
	letters := map[report.Outcome]history.Outcome{report.Passed: history.Passed, report.Failed: history.Failed, report.Skipped: history.Skipped}
	for _, t := range tests {
		if was := ended[t.Name]; was == history.Failed || was == history.Passed && t.Outcome == report.Skipped {
			continue
		}
		ended[t.Name] = letters[t.Outcome]
	}
	return ended
}

func slowest(tests []report.Test) (slow []pipeline.SlowTest) {
	sorted := slices.SortedStableFunc(slices.Values(tests), func(a, b report.Test) int { return cmp.Compare(b.Took, a.Took) })
	for _, t := range sorted[:min(len(sorted), mostSlow)] {
		if t.Took > 0 {
			slow = append(slow, pipeline.SlowTest{Name: outside(t.Name, longestName), Took: t.Took})
		}
	}
	return slow
}

// failures names the tests that failed, new ones first. Without a run to compare with, none is called new.
func failures(ended map[string]history.Outcome, before history.Branch) (failed []pipeline.TestFail, fresh int) {
	var names [2][]string // new ones, and those that failed before
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		if ended[name] != history.Failed {
			continue
		}
		at := 1
		if len(before.Names) > 0 && before.Last(name) != history.Failed {
			at = 0
		}
		names[at] = append(names[at], name)
	}
	for at, list := range names {
		for _, name := range list {
			if len(failed) < mostFailures {
				failed = append(failed, pipeline.TestFail{Name: outside(name, longestName), New: at == 0})
			}
		}
	}
	return failed, len(names[0])
}

type branchOf struct {
	history.Branch
	key history.Key
}

// flaky names the tests that pass and fail by turns, those that failed now first.
func flaky(ended map[string]history.Outcome, branches ...branchOf) (all []pipeline.Flaky) {
	type one struct {
		pipeline.Flaky
		turns int
		now   bool
	}
	var found []one
	seen := map[string]bool{}
	for _, b := range branches {
		for name := range b.Tests {
			turns, failed, ran := b.Turns(name)
			if _, still := ended[name]; turns < enoughTurns || !still || seen[name] {
				continue
			}
			seen[name] = true
			f := pipeline.Flaky{Name: outside(name, longestName), Branch: strings.TrimPrefix(b.key.Branch, "heads/"), Failed: failed, Runs: ran}
			found = append(found, one{f, turns, ended[name] == history.Failed})
		}
	}
	slices.SortFunc(found, func(a, b one) int {
		if a.now != b.now {
			return map[bool]int{true: -1, false: 1}[a.now]
		}
		return cmp.Or(cmp.Compare(b.turns, a.turns), cmp.Compare(a.Name, b.Name))
	})
	for _, f := range found[:min(len(found), mostFlaky)] {
		all = append(all, f.Flaky)
	}
	return all
}
