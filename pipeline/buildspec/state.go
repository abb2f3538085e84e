package buildspec

// State is how far a build has come. The zero value is a build that has just been submitted.
type State struct {
	At     Phase
	Tries  int     // how often the phase that it is at has failed and is tried again
	Failed bool    // some phase has failed for good
	First  Phase   // the first one that did, when Failed
	Ended  []Phase // the phases that are over, each once, in order
}

// End is the end of one try of a phase.
type End struct {
	Phase   Phase
	Failed  bool
	Matches bool // of a failure: its error matches the pattern of RETRY
}

// Next folds the end of a try into the state. It is total: the end of a phase that the build is not at changes nothing.
// It never changes s.
func (s State) Next(on OnFailure, e End) State {
	if e.Phase != s.At || s.At == Completed {
		return s
	}
	if e.Failed && s.At.Ours() && on.Word == Retry && s.Tries < on.Count && (on.Pattern == "" || e.Matches) {
		s.Tries++
		return s
	}
	if e.Failed && !s.Failed {
		s.Failed, s.First = true, s.At
	}
	s.Ended = append(s.Ended[:len(s.Ended):len(s.Ended)], s.At)
	s.At, s.Tries = after(s.At, e.Failed, on), 0
	return s
}

// Succeeding is what CODEBUILD_BUILD_SUCCEEDING says: nothing has failed for good. CONTINUE lets a build go on, and does
// not make a failure a success.
func (s State) Succeeding() bool { return !s.Failed }

// Status is what AWS would say of the build.
func (s State) Status() string {
	switch {
	case s.At != Completed:
		return "IN_PROGRESS"
	case s.Failed:
		return "FAILED"
	}
	return "SUCCEEDED"
}

// Prepared is the state of a build whose source is laid out: INSTALL is next.
func Prepared() State {
	var s State
	for s.At < Install {
		s = s.Next(OnFailure{}, End{Phase: s.At})
	}
	return s
}
