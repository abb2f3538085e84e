package pipeline

import "slices"

// before is how what a step waits for stands. A step without needs waits for all stages before its own; one with needs
// for these steps, wherever they stand.
func (s State) before(st StepState) (b before) {
	spec := s.spec(st)
	if spec.AtOnce {
		return b
	}
	for _, name := range spec.Needs {
		if !slices.ContainsFunc(s.Steps, func(other StepState) bool { return other.Name == name }) {
			b.failed = true // it will never pass, so nothing may start for it
		}
	}
	for _, other := range s.Steps {
		needed := len(spec.Needs) > 0 && slices.Contains(spec.Needs, other.Name)
		if !needed && (len(spec.Needs) > 0 || other.Stage >= st.Stage || !s.mayRun(other.Stage)) {
			continue // a stage that is withheld is no barrier
		}
		switch {
		case other.Phase == Waiting || other.Phase == Running:
			b.held = true
		case other.Phase == LeftOut:
			b.leftOut = b.leftOut || needed
		case other.Phase == NotRun || !s.good(other):
			b.failed = true
		}
	}
	return b
}

// before says what is wrong with the steps that another one waits for. Its zero value says that it may start.
type before struct {
	held    bool // something of it is not over
	failed  bool // something of it failed, or will never run
	leftOut bool // something of it that is needed by name is left out by its condition
}

// good reports whether a step that is over lets others start.
func (s State) good(st StepState) bool {
	return st.Result.Outcome == Passed || s.forgiven(st)
}

// forgiven reports whether a step has failed by its own doing, and may.
func (s State) forgiven(st StepState) bool {
	o := st.Result.Outcome
	return st.Phase == Done && (ownDoing(o) || o == Resource) && s.OutOfTime == "" && s.spec(st).MayFail
}

// ownDoing reports whether another attempt of the same commands may end otherwise. Memory that is used up once is used
// up again.
func ownDoing(o Outcome) bool { return o == Failed || o == TimedOut }

// settle gives up what cannot run any more. Steps beside a failed one go on.
func (s State) settle() State {
	steps := slices.Clone(s.Steps)
	s.Steps = steps
	for changed := true; changed; { // a step may need one that stands below it
		changed = false
		for i := range steps {
			st := &steps[i]
			if st.Phase != Waiting || st.Attempt > 0 || st.Admitted || s.spec(*st).After {
				continue
			}
			switch b := s.before(*st); {
			case b.failed:
				st.Phase = NotRun
			case b.leftOut && !b.held:
				st.Phase, st.Why = LeftOut, "a step that it needs is left out"
			}
			changed = changed || st.Phase != Waiting
		}
	}
	return s
}

// decided is the answer to a step's condition. A condition that cannot be asked fails the step, so that nothing passes by
// a mistake.
func (s State) decided(e StepDecided) State {
	return s.onStep(e.Step, func(st *StepState) bool {
		if st.Phase != Waiting || st.Attempt > 0 || st.Admitted || s.spec(*st).If == "" || s.before(*st).held {
			return false
		}
		switch {
		case e.Wrong:
			st.Phase, st.Finished = Done, e.At
			st.Result = Result{Outcome: Failed, Reason: "its condition could not be asked: " + e.Why}
		case e.Holds:
			st.Admitted = true
		default:
			st.Phase, st.Why = LeftOut, e.Why
		}
		return true
	}, e.At)
}

// spec is what the plan says of a step.
func (s State) spec(st StepState) Step { return s.Plan.Stages[st.Stage].Steps[st.at] }

// FailedBefore reports whether something that a step waits for is not good.
func (s State) FailedBefore(st StepState) bool { return s.before(st).failed }

// Retries is how often the plan lets a step be tried again.
func (s State) Retries(st StepState) int { return s.spec(st).Retries }

// Forgiven reports whether a step has failed and counts as good all the same, because the plan says so.
func (s State) Forgiven(st StepState) bool { return s.forgiven(st) }
