package pipeline

import (
	"strings"
	"testing"
	"time"
)

func mergeRun(m *Merge) State {
	plan := Plan{Version: 1, Stages: []Stage{{Name: "test", Steps: []Step{{Name: "unit", Run: "make", Timeout: Duration(time.Minute)}}}}}
	return Apply(State{}, Requested{Run: "run/1/x", Trigger: Trigger{Kind: PullRequest, Commit: Commit(strings.Repeat("b", 40)), Base: "main"}, Trust: Writer, Plan: plan, Merge: m})
}

func TestAPullRequestThatCannotBeMergedFailsAndSaysWhy(t *testing.T) {
	t.Parallel()
	s := mergeRun(&Merge{Base: Commit(strings.Repeat("a", 40)), Head: Commit(strings.Repeat("b", 40)), Why: Conflict("main", []string{"1", "2", "3", "4", "5", "6"})})
	if s.Conclusion() != Failure || len(s.Steps) != 1 || s.Steps[0].Phase != NotRun {
		t.Errorf("%s, %+v", s.Conclusion(), s.Steps)
	}
	check := Checks(s)[0]
	if check.Conclusion != Failure || check.Title != "Not run: this pull request cannot be merged into main: resolve the conflicts in 1, 2, 3, 4, 5 and others" {
		t.Errorf("%s: %s", check.Conclusion, check.Title)
	}
	for _, e := range Next(s) {
		if _, runs := e.(Exec); runs {
			t.Error("a step is owed")
		}
	}
}

func TestWhatIsMadeOfAMergeDoesNotCount(t *testing.T) {
	t.Parallel()
	merge := Commit(strings.Repeat("c", 40))
	for _, m := range []*Merge{nil, {Base: Commit(strings.Repeat("a", 40)), Head: Commit(strings.Repeat("b", 40)), Commit: merge}} {
		s := mergeRun(m)
		s = Apply(s, StepStarted{Step: "unit", Attempt: 1})
		s = Apply(s, StepFinished{Step: "unit", Attempt: 1, Result: Result{Outcome: Passed, Artifact: &Artifact{Name: "site"}}})
		if made := s.Artifacts(); s.Conclusion() != Success || (len(made) == 1) != (m == nil) {
			t.Errorf("%v: %s, %v", m, s.Conclusion(), made)
		}
		if (s.Checkout() == merge) != (m != nil) {
			t.Errorf("%v is checked out", s.Checkout())
		}
	}
}

func TestThePartsOfARunAreFoundOutOnce(t *testing.T) {
	t.Parallel()
	part := func(c string) Part {
		return Part{Path: "lib", Repo: Repo{ID: 2}, Commit: Commit(strings.Repeat(c, 40))}
	}
	s := Apply(mergeRun(nil), SourceResolved{Parts: []Part{part("1")}})
	s = Apply(s, SourceResolved{Parts: []Part{part("2")}})
	if len(s.Parts) != 1 || s.Parts[0] != part("1") {
		t.Errorf("%+v", s.Parts)
	}
	if s := Apply(State{}, SourceResolved{Parts: []Part{part("1")}}); s.PartsKnown {
		t.Error("what is no run has parts")
	}
}

func TestAStepWithOtherPartsHasAnotherDigest(t *testing.T) {
	t.Parallel()
	step := Step{Name: "unit", Run: "make"}
	part := Part{Path: "lib", Repo: Repo{ID: 2, Name: "lib"}, Commit: Commit(strings.Repeat("1", 40))}
	seen := map[Digest]bool{StepDigest(step, "tree", nil): true}
	for _, change := range []func(*Part){func(*Part) {}, func(p *Part) { p.Path = "x" }, func(p *Part) { p.Repo.ID = 3 }, func(p *Part) { p.Commit = "2" }, func(p *Part) { p.LFS = true }, func(p *Part) { p.History = true }} {
		p := part
		change(&p)
		d := StepDigest(step, "tree", nil, p)
		if seen[d] {
			t.Errorf("%+v changes nothing", p)
		}
		seen[d] = true
	}
	renamed := part
	renamed.Repo.Name = "other"
	if StepDigest(step, "tree", nil, renamed) != StepDigest(step, "tree", nil, part) {
		t.Error("a new name of the same repository changes the digest")
	}
}
