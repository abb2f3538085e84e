package pipeline

import "slices"

// mayRun reports whether anything of a stage may run. Code from outside runs only in the stages that the request itself
// names; the zero value names none.
func (s State) mayRun(stage int) bool {
	if s.Trust > Outside {
		return true
	}
	return stage >= 0 && stage < len(s.Plan.Stages) && slices.Contains(s.Restricted, s.Plan.Stages[stage].Name)
}

// Withheld are the stages of which nothing runs, because the code comes from outside and nobody has allowed it.
func (s State) Withheld() (names []string) {
	for i, stage := range s.Plan.Stages {
		if !s.mayRun(i) {
			names = append(names, stage.Name)
		}
	}
	return names
}

// withhold gives up what may not run.
func (s State) withhold() State {
	steps := slices.Clone(s.Steps)
	for i := range steps {
		if steps[i].Phase == Waiting && !s.mayRun(steps[i].Stage) {
			steps[i].Phase = NotRun
		}
	}
	s.Steps = steps
	return s
}

// outsideConclusion is how a run of code from outside ended: by the stages that were let run, and never as a success
// while a stage was withheld.
func (s State) outsideConclusion() Conclusion {
	var ran []StepState
	for _, st := range s.Steps {
		if s.mayRun(st.Stage) {
			ran = append(ran, st)
		}
	}
	if len(ran) == 0 {
		return ActionRequired
	}
	c := s.conclude(ran)
	if c == Success && len(s.Withheld()) > 0 {
		return ActionRequired
	}
	return c
}
