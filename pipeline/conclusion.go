package pipeline

import "slices"

// Conclusion is how a run or a stage ended, in GitHub's words for check runs. Empty while it is not over.
type Conclusion string

// The conclusions in use. GitHub counts skipped and neutral as good for required checks, so neither is ever given to
// something that should have run and did not: neutral is not in use, and skipped is what the plan's own filter excludes.
const (
	Success        Conclusion = "success"
	Failure        Conclusion = "failure"
	ActionRequired Conclusion = "action_required"
	WasCancelled   Conclusion = "cancelled"
	RanOutOfTime   Conclusion = "timed_out"
	Skipped        Conclusion = "skipped"
)

// Over reports whether nothing of the run is left to run.
func (s State) Over() bool { return s.Conclusion() != "" }

// Conclusion is how the run ended.
func (s State) Conclusion() Conclusion {
	switch {
	case s.Run == "":
		return ""
	case len(s.Problems) > 0:
		return Failure
	}
	if c := s.settled(); c != "" {
		return c
	}
	if !(s.Trust > Outside) {
		return s.outsideConclusion()
	}
	return s.conclude(s.Steps)
}

// StageConclusion is how one stage ended.
func (s State) StageConclusion(stage int) Conclusion {
	if c := s.settled(); c != "" {
		return c
	}
	if !s.mayRun(stage) {
		return ActionRequired
	}
	steps := s.stageSteps(stage)
	if len(steps) > 0 && !slices.ContainsFunc(steps, func(st StepState) bool { return st.Phase != LeftOut }) {
		return Skipped // by the plan's own conditions
	}
	return s.conclude(steps)
}

// settled is the conclusion of a run that was over when it began, because nothing of it is to be run.
func (s State) settled() Conclusion {
	switch {
	case s.Skip != "":
		return Skipped
	case s.unmerged() != "":
		return Failure
	case s.Reused != nil:
		return Success
	}
	return ""
}

func (s State) stageSteps(stage int) (steps []StepState) {
	for _, st := range s.Steps {
		if st.Stage == stage {
			steps = append(steps, st)
		}
	}
	return steps
}

// conclude is the worst of the steps, once all of them are over.
func (s State) conclude(steps []StepState) Conclusion {
	var failed, timedOut, stopped bool
	for _, st := range steps {
		switch {
		case st.Phase == Waiting || st.Phase == Running:
			return ""
		case s.forgiven(st):
		case st.Result.Outcome == TimedOut: // run or not
			timedOut = true
		case st.Phase == NotRun || st.Result.Outcome == Cancelled:
			stopped = true
		case st.Phase == LeftOut:
		case st.Result.Outcome != Passed:
			failed = true
		}
	}
	switch {
	case failed:
		return Failure
	case timedOut:
		return RanOutOfTime
	case stopped:
		return WasCancelled
	}
	return Success
}

// Artifacts are what the run's passed steps made. They count only once the whole run has succeeded. A run of a part of
// its plan never makes any that count, and neither does code from outside, allowed or not. What was made of a merge that
// nobody has made yet is not what its commit would make, so that it does not count either.
func (s State) Artifacts() (made []Artifact) {
	if s.Only != "" || s.Trust < Writer || s.Merge != nil {
		return nil
	}
	for _, st := range s.Steps {
		if st.Phase != Done || st.Result.Outcome != Passed {
			continue
		}
		for _, one := range st.Result.Made() {
			made = append(made, *one)
		}
	}
	return made
}
