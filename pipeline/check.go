package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is where a check stands, in GitHub's words.
type Status string

// The statuses that an App may set.
const (
	Queued     Status = "queued"
	InProgress Status = "in_progress"
	Completed  Status = "completed"
)

// Check is what GitHub shows of one stage, or of the plan when it is wrong. It is a projection of the state.
type Check struct {
	Name        string // stable, so that branch protection can require it: "conveyor / test"
	External    string // our own name for it, planted at GitHub: run and check
	Status      Status
	Conclusion  Conclusion
	Title       string
	Steps       []StepState
	Annotations []Annotation
	Buttons     []Button // at most three
	Note        string   // an answer to someone who asked for something at the check
	notes       int      // how many there were
	inLine      bool     // the run waits for its turn in front of the stage
	Started     time.Time
	Finished    time.Time
}

// Mark changes exactly when GitHub should be told again.
func (c Check) Mark() string {
	mark := fmt.Sprintf("%s:%s:%d", c.Status, c.Conclusion, len(c.Annotations))
	if c.Status == Completed { // before that there is always the same one
		for _, b := range c.Buttons {
			mark += ":" + b.Identifier
		}
	}
	if c.inLine {
		mark += ":turn"
	}
	if c.notes > 0 {
		mark += fmt.Sprintf(":note%d", c.notes)
	}
	return mark
}

// PlanCheck is the name of the check that shows mistakes in the file of PlanPath.
const PlanCheck = DefaultPipeline + " / " + planWord

// planWord is in the name of the check that shows mistakes in a pipeline file. No stage is called so.
const planWord = "plan"

// Checks are all of a run's checks, in the plan's order. Each exists from the start, so that a required check is never
// missing.
func Checks(s State) (checks []Check) {
	if s.Run == "" {
		return nil
	}
	if len(s.Problems) > 0 {
		return []Check{s.answered(s.planCheck())}
	}
	for i, stage := range s.Plan.Stages {
		c := s.answered(s.pressable(i, s.stageCheck(i, stage)))
		if s.Quiet && s.carried(i) && len(c.Buttons) == 0 && c.Note == "" {
			continue // GitHub shows the check of the run that has passed it
		}
		checks = append(checks, c)
	}
	return checks
}

// ByHandCheck ends the names of checks of runs by hand.
const ByHandCheck = " (by hand)"

// checkName is what a check of the run is called: after the pipeline, then the stage. A run by hand does not take the place
// of one that GitHub waits for.
func (s State) checkName(stage string) string {
	name := s.Plan.Called() + " / " + stage
	if s.Trigger.Kind == ByHand {
		name += ByHandCheck
	}
	return name
}

func (s State) planCheck() Check {
	name := s.checkName(planWord)
	c := Check{
		Name: name, External: s.external(name), Status: Completed, Conclusion: Failure,
		Started: s.Requested, Finished: s.Requested,
		Title: Wrong(s.Problems),
	}
	for _, p := range s.Problems {
		message := p.Message
		if p.Hint != "" {
			message += "\n" + p.Hint
		}
		c.Annotations = append(c.Annotations, Annotation{Path: p.File(), Line: max(p.Line, 1), Level: "failure", Title: "plan", Message: message})
	}
	return c
}

func (s State) stageCheck(i int, stage Stage) Check {
	c := Check{Name: s.checkName(stage.Name), Status: Queued, Conclusion: s.StageConclusion(i), Steps: s.stageSteps(i)}
	c.External = s.external(c.Name)
	passed := 0
	for _, st := range c.Steps {
		if st.Attempt > 0 {
			c.Status = InProgress // and never queued again, not even while a lost attempt waits for its next
		}
		if !st.Started.IsZero() && (c.Started.IsZero() || st.Started.Before(c.Started)) {
			c.Started = st.Started
		}
		if st.Finished.After(c.Finished) {
			c.Finished = st.Finished
		}
		if st.Phase == Done && st.Result.Outcome == Passed {
			passed++
		}
		if st.Phase == Done {
			c.Annotations = append(c.Annotations, s.annotations(st)...)
		}
	}
	if c.Conclusion != "" {
		c.Status = Completed
		if c.Finished.IsZero() {
			c.Started, c.Finished = s.Ended, s.Ended
		}
	} else {
		c.Annotations = nil // they are told once, with the conclusion
	}
	c.inLine = c.Status == Queued && s.InLine() && i == s.currentStage()
	c.Title = s.title(c, passed)
	return c
}

// annotations are what a step found. Of one that may fail they are warnings.
func (s State) annotations(st StepState) []Annotation {
	if !s.forgiven(st) {
		return st.Result.Annotations
	}
	softer := slices.Clone(st.Result.Annotations)
	for i := range softer {
		if softer[i].Level == "failure" {
			softer[i].Level = "warning"
		}
	}
	return softer
}

// besides counts what is not among the steps that passed, and does not count against them.
func (s State) besides(steps []StepState) (words string) {
	forgiven, leftOut, again := 0, 0, 0
	for _, st := range steps {
		switch {
		case st.Tries > 0 && st.Phase == Done && st.Result.Outcome == Passed:
			again++
		case st.Phase == LeftOut:
			leftOut++
		case s.forgiven(st):
			forgiven++
		}
	}
	if again > 0 {
		words += fmt.Sprintf(", %d of them at a later attempt", again)
	}
	if forgiven > 0 {
		words += fmt.Sprintf(", %d failed and may", forgiven)
	}
	if leftOut > 0 {
		words += fmt.Sprintf(", %d left out", leftOut)
	}
	return words
}

func (s State) title(c Check, passed int) string {
	switch {
	case c.Conclusion == Skipped && s.Skip == "":
		return "Left out: " + c.Steps[0].Why
	case c.Conclusion == Skipped:
		return "Not started: " + s.Skip
	case s.unmerged() != "":
		return "Not run: this pull request " + s.unmerged()
	case s.Reused != nil:
		return "Reused: the same tree has passed in another run"
	case c.Conclusion == ActionRequired:
		return "Waiting for a maintainer: this code comes from outside"
	case c.Conclusion == Success:
		return fmt.Sprintf("%d of %d steps passed", passed, len(c.Steps)) + s.besides(c.Steps)
	case c.Conclusion == WasCancelled && s.Cancel != "":
		return "Cancelled: " + s.Cancel
	case c.Conclusion == RanOutOfTime && s.OutOfTime != "":
		return "Out of time: " + s.OutOfTime
	case c.Conclusion == WasCancelled && s.OutOfTime != "" && s.Conclusion() == RanOutOfTime:
		return "Not run: the run was out of time"
	case c.Conclusion == WasCancelled:
		return "Not run: an earlier stage failed"
	case c.Conclusion != "":
		for _, st := range c.Steps {
			if st.Phase == Done && !s.good(st) {
				words := fmt.Sprintf("%d of %d steps passed; %s: %s", passed, len(c.Steps), st.Name, st.Result.Reason)
				if st.Tries > 0 {
					words += fmt.Sprintf(" (attempt %d)", st.Attempt)
				}
				return words
			}
		}
	case c.Status == InProgress:
		return "Running"
	case c.inLine:
		return "Waiting for its turn: another run is in this stage"
	}
	return "Waiting"
}

// external names a check at GitHub. From the second attempt on it says which one it is.
func (s State) external(check string) string {
	name := string(s.Run) + " " + check
	if s.Attempt > 1 {
		name += fmt.Sprintf(" #%d", s.Attempt)
	}
	return name
}

// RunOf is the run that planted a name at GitHub, empty when it was none of the repository's.
func RunOf(repo int64, external string) RunID {
	run, _, _ := strings.Cut(external, " ")
	if prefix := string(NewRunID(repo, "")); len(run) <= len(prefix) || !strings.HasPrefix(run, prefix) {
		return ""
	}
	return RunID(run)
}
