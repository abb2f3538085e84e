package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// Reason is one sentence, and what it follows from. It is Markdown; text from outside stands in it as code.
type Reason struct {
	Say     string
	Because []Reason
}

// Markdown is the reason as a list in a list.
func (r Reason) Markdown() string {
	var b strings.Builder
	r.write(&b, 0)
	return b.String()
}

func (r Reason) write(b *strings.Builder, depth int) {
	fmt.Fprintf(b, "%s- %s\n", strings.Repeat("  ", depth), r.Say)
	for _, inner := range r.Because {
		inner.write(b, depth+1)
	}
}

// Explain says why a run, one of its stages or one of its steps stands where it does. An empty name is the run itself.
// It reports false when the plan knows nothing of that name.
func Explain(s State, name string) (Reason, bool) {
	if name == "" {
		return s.explainRun(), true
	}
	for i, stage := range s.Plan.Stages {
		if stage.Name == name {
			return s.explainStage(i), true
		}
	}
	for _, st := range s.Steps {
		if st.Name == name {
			return s.explainStep(st), true
		}
	}
	return Reason{}, false
}

func (s State) explainRun() Reason {
	r := Reason{Say: fmt.Sprintf("the run of %s", s.Trigger.Commit.Short())}
	switch c := s.Conclusion(); {
	case c == "":
		r.Say += " is on its way"
	case c == Skipped:
		r.Say += " did not start"
		r.Because = []Reason{{Say: quoted(s.Skip)}}
		return r
	case s.Reused != nil:
		r.Say += " did not have to start"
		r.Because = []Reason{{Say: fmt.Sprintf("the same tree has passed the same plan, in a run of %s", s.Reused.Commit.Short())}}
		return r
	case c == ActionRequired && len(s.Restricted) == 0:
		r.Say += " did not start"
		r.Because = s.whyWithheld()
		return r
	case c == ActionRequired:
		r.Say += " was let run in part"
	case len(s.Problems) > 0:
		r.Say += " did not start"
		for _, p := range s.Problems {
			r.Because = append(r.Because, Reason{Say: fmt.Sprintf("`%s` line %d: %s", p.File(), p.Line, quoted(p.Message))})
		}
		return r
	default:
		r.Say += " ended as " + strings.ReplaceAll(string(c), "_", " ")
	}
	for i := range s.Plan.Stages {
		r.Because = append(r.Because, s.explainStage(i))
	}
	return r
}

func (s State) explainStage(i int) Reason {
	name := "the stage `" + s.Plan.Stages[i].Name + "`"
	steps := s.stageSteps(i)
	switch c := s.StageConclusion(i); {
	case s.settled() != "" || len(s.Problems) > 0:
		return Reason{Say: name + " did not start", Because: s.explainRun().Because}
	case c == ActionRequired:
		return Reason{Say: name + " did not start", Because: s.whyWithheld()}
	case c == Success && s.besides(steps) == "":
		return Reason{Say: fmt.Sprintf("%s passed, with all of its %d steps", name, len(steps))}
	case c == Success:
		return Reason{Say: name + " passed", Because: s.explainSteps(i)}
	case c == Skipped:
		return Reason{Say: name + " is left out", Because: s.explainSteps(i)}
	case c == "" && (s.currentStage() == i || begun(steps)):
		return Reason{Say: name + " is on its way", Because: s.explainSteps(i)}
	case c == "":
		return Reason{Say: fmt.Sprintf("%s waits for the end of the stage `%s`", name, s.Plan.Stages[s.currentStage()].Name)}
	case c == RanOutOfTime && notRun(steps):
		return Reason{Say: name + " did not run", Because: s.whyOutOfTime()}
	case notRun(steps):
		return Reason{Say: name + " did not run", Because: s.whyNotRun(i)}
	default:
		return Reason{Say: name + " ended as " + strings.ReplaceAll(string(c), "_", " "), Because: s.explainSteps(i)}
	}
}

// explainSteps explains those steps of a stage that have not passed.
func (s State) explainSteps(stage int) (why []Reason) {
	for _, st := range s.stageSteps(stage) {
		if st.Phase != Done || st.Result.Outcome != Passed {
			why = append(why, s.explainStep(st))
		}
	}
	return why
}

func (s State) explainStep(st StepState) Reason {
	name := "`" + st.Name + "`"
	switch {
	case s.settled() != "" || len(s.Problems) > 0:
		return Reason{Say: name + " did not run", Because: s.explainRun().Because}
	case !s.mayRun(st.Stage):
		return Reason{Say: name + " did not run", Because: s.whyWithheld()}
	case st.Phase == NotRun && st.Result.Outcome == TimedOut:
		return Reason{Say: name + " did not run", Because: s.whyOutOfTime()}
	case st.Phase == NotRun:
		return Reason{Say: name + " did not run", Because: s.whyStepNotRun(st)}
	case st.Phase == LeftOut:
		return Reason{Say: name + " is left out", Because: []Reason{{Say: quoted(st.Why)}}}
	case st.Phase == Running:
		return Reason{Say: fmt.Sprintf("%s runs, attempt %d", name, st.Attempt)}
	case st.Phase == Waiting && st.Tries > 0 && st.Lost == 0:
		return Reason{Say: name + " waits for another attempt", Because: []Reason{{Say: "the last one failed, and the plan lets it be tried again: " + quoted(st.TriesWhy)}}}
	case st.Phase == Waiting && st.Lost > 0:
		return Reason{Say: name + " waits for another attempt", Because: []Reason{{Say: "the last one was lost: " + quoted(st.LostWhy)}}}
	case st.Phase == Waiting && s.before(st).held && len(s.spec(st).Needs) > 0:
		return Reason{Say: name + " waits for what it needs", Because: s.whyHeld(st)}
	case st.Phase == Waiting && !s.before(st).held && s.InLine():
		return Reason{Say: name + " waits for its turn: another run is in its stage, and the plan lets one in at a time"}
	case st.Phase == Waiting && !s.before(st).held:
		return Reason{Say: name + " waits for its turn on this server"}
	case st.Phase == Waiting:
		return Reason{Say: fmt.Sprintf("%s waits for the end of the stage `%s`", name, s.Plan.Stages[s.currentStage()].Name)}
	case st.Result.Outcome == Passed && st.From != "":
		return Reason{Say: name + " passed, in an earlier run of the same commit"}
	case st.Result.Outcome == Passed:
		return Reason{Say: name + " passed"}
	}
	r := Reason{Say: name + " ended as " + strings.ReplaceAll(string(st.Result.Outcome), "_", " ")}
	if s.forgiven(st) {
		r.Say += ", and may"
	}
	if st.Result.Reason != "" {
		r.Because = append(r.Because, Reason{Say: quoted(st.Result.Reason)})
	}
	if st.Result.TestsFailed > 0 {
		r.Because = append(r.Because, Reason{Say: fmt.Sprintf("%d of %d tests failed", st.Result.TestsFailed, st.Result.Tests)})
	}
	return r
}

// whyHeld explains the needed steps that are not over.
func (s State) whyHeld(st StepState) (why []Reason) {
	for _, other := range s.Steps {
		if slices.Contains(s.spec(st).Needs, other.Name) && (other.Phase == Waiting || other.Phase == Running) {
			why = append(why, s.explainStep(other))
		}
	}
	return why
}

// whyStepNotRun is whyNotRun, of a step that may have needs of its own.
func (s State) whyStepNotRun(st StepState) (why []Reason) {
	needs := s.spec(st).Needs
	if s.Cancel != "" || len(needs) == 0 {
		return s.whyNotRun(st.Stage)
	}
	for _, other := range s.Steps {
		if slices.Contains(needs, other.Name) && (other.Phase == NotRun || other.Phase == Done && !s.good(other)) {
			why = append(why, s.explainStep(other))
		}
	}
	return why
}

func begun(steps []StepState) bool {
	return slices.ContainsFunc(steps, func(st StepState) bool { return st.Phase == Running || st.Phase == Done })
}

// whyNotRun says why nothing of a stage was run: the run was cancelled, or a stage before it did not pass.
func (s State) whyNotRun(stage int) []Reason {
	if s.Cancel != "" {
		return []Reason{{Say: "the run was cancelled: " + quoted(s.Cancel)}}
	}
	for i := range stage {
		if c := s.StageConclusion(i); c != Success && c != Skipped {
			return []Reason{s.explainStage(i)}
		}
	}
	return nil
}

// whyOutOfTime says why what had not begun was given up.
func (s State) whyOutOfTime() []Reason {
	return []Reason{{Say: "the time of the run was up: " + quoted(s.OutOfTime)}}
}

// whyWithheld says why code from outside is not run, and what lets it.
func (s State) whyWithheld() []Reason {
	say := "its author may not write to this repository, so nothing of it is run"
	if len(s.Restricted) > 0 {
		say = "its author may not write to this repository, and the plan lets only the stages `" + strings.Join(s.Restricted, "`, `") + "` run all the same"
	}
	return []Reason{{Say: say, Because: []Reason{{Say: "who may write reads it, and then types `/ok-to-test " + string(s.Trigger.Commit) + "`"}}}}
}

func notRun(steps []StepState) bool {
	for _, st := range steps {
		if st.Phase != NotRun {
			return false
		}
	}
	return len(steps) > 0
}

// quoted shows a text as code, where it links nothing and mentions nobody.
func quoted(text string) string {
	return "`" + strings.NewReplacer("`", "'", "\n", " ", "\r", " ").Replace(text) + "`"
}
