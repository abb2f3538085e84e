package pipeline

import (
	"fmt"
	"time"
)

// MaxLost is how many attempts of a step may be lost before the step is given up as an infrastructure failure.
const MaxLost = 3

// State is how far a run has come: everything that Next and the pages need, and nothing else.
type State struct {
	Run        RunID
	Trigger    Trigger
	Trust      Trust
	Plan       Plan
	PlanFrom   Commit
	Problems   []Problem
	Restricted []string // the stages that run although the code comes from outside
	Quiet      bool     // checks of which all is carried are not told again
	Skip       string   // the filter that keeps it from running
	Reused     *Reused  // the run whose evidence counts for this one
	Attempt    int      // of the commit's run, from 1
	Buttons    []Button // of its last check, once it is over
	notes      map[string]note
	Only       string            // the stage that it ends with; empty for a whole run
	Steps      []StepState       // all steps of all stages, in the plan's order
	Asked      int               // how many stages it has asked to enter, where runs take turns
	Entered    int               // how many it was let enter
	Images     map[string]Digest // what the names of images stand for in this run
	Merge      *Merge            // what of a pull request is tested, when it is not its head
	Parts      []Part            // what its workspaces hold besides the commit's own files
	PartsKnown bool              // it was found out
	Cancel     string            // why it was cancelled; empty when it was not
	OutOfTime  string            // why its time was up; empty when it was not
	Reported   bool              // the repository's stream knows how it ended
	Told       map[string]Told
	Requested  time.Time
	Began      time.Time // when the first attempt of any step started; zero before
	Ended      time.Time // the time of the last event of a step, of the cancellation, or of the deadline
}

// StepState is one step's progress.
type StepState struct {
	Stage    int // index into the plan's stages
	Name     string
	Phase    Phase
	Attempt  int   // the current or last attempt, from 1; 0 before the first
	Token    int64 // the lease of the current attempt
	Lost     int   // attempts that were lost
	LostWhy  string
	Tries    int    // attempts that failed by their own doing and were tried again
	TriesWhy string // how the last of them failed
	Admitted bool   // its condition holds
	Why      string // why its condition does not, or could not be asked
	Result   Result // of the last attempt, when Phase is Done
	Started  time.Time
	Finished time.Time
	From     RunID // the run that has passed it, when it was not this one
	Uploaded bool  // GitHub has its analyses, or will never have them
	at       int   // index into its stage's steps
}

// Phase is where a step stands.
type Phase int

// The phases of a step, in order.
const (
	Waiting Phase = iota
	Running
	Done
	NotRun  // will never run: something before it failed, the run was cancelled, or its time was up
	LeftOut // will not run, and need not: its condition does not hold, or that of a step that it needs
)

// Told is what GitHub is known to show of one check.
type Told struct {
	Opening   bool // a telling was begun and its answer is not known
	ID        int64
	Mark      string
	Confirmed int
}

// Apply folds one event into the state. It is total: an event that no longer fits changes nothing. It never changes s.
func Apply(s State, e Event) State {
	switch e := e.(type) {
	case Requested:
		return s.requested(e)
	case StepStarted:
		return s.onStep(e.Step, func(st *StepState) bool {
			if st.Phase != Waiting || e.Attempt != st.Attempt+1 {
				return false
			}
			st.Phase, st.Attempt, st.Token, st.Started = Running, e.Attempt, e.Token, e.At
			return true
		}, time.Time{}).began(e.At)
	case StepFinished:
		return s.onStep(e.Step, func(st *StepState) bool {
			if st.Phase != Running || e.Attempt != st.Attempt {
				return false
			}
			if ownDoing(e.Result.Outcome) && st.Tries < s.spec(*st).Retries {
				st.Phase, st.Tries, st.TriesWhy = Waiting, st.Tries+1, e.Result.Reason
				return true
			}
			st.Phase, st.Result, st.Finished = Done, e.Result, e.At
			return true
		}, e.At).settle()
	case StageAsked:
		s.Asked = max(s.Asked, e.Stage+1)
	case StageEntered:
		s.Entered = max(s.Entered, e.Stage+1)
	case StepDecided:
		return s.decided(e).settle()
	case StepLost:
		return s.onStep(e.Step, func(st *StepState) bool {
			if st.Phase != Running || e.Attempt != st.Attempt {
				return false
			}
			if !e.Stopped {
				st.Lost++
			}
			st.LostWhy = e.Reason
			st.Phase = Waiting
			if st.Lost >= MaxLost {
				st.Phase, st.Finished = Done, e.At
				st.Result = Result{Outcome: Infrastructure, Reason: fmt.Sprintf("given up after %d attempts: %s", st.Lost, e.Reason)}
			}
			return true
		}, e.At).settle()
	case ImageResolved:
		return s.resolved(e)
	case SourceResolved:
		return s.partsResolved(e)
	case CancelRequested:
		return s.cancelled(e)
	case DeadlinePassed:
		return s.ranOut(e)
	case Uploaded:
		return s.onStep(e.Step, func(st *StepState) bool {
			if st.Phase != Done || e.Attempt != st.Attempt {
				return false
			}
			st.Uploaded = true
			return true
		}, time.Time{})
	case Reported:
		s.Reported = true
	case Offered:
		s.Buttons = e.Buttons
	case Noted:
		return s.noted(e)
	case RepoChanged:
		if s.Run != "" {
			s.Trigger.Repo = s.Trigger.Repo.Renamed(e.Repo)
		}
	case CheckOpening:
		return s.onTold(e.Check, func(t *Told) { t.Opening = true })
	case CheckTold:
		return s.onTold(e.Check, func(t *Told) { *t = Told{ID: e.ID, Mark: e.Mark, Confirmed: e.Confirmed} })
	}
	return s
}

func (s State) requested(e Requested) State {
	if s.Run != "" {
		return s // a run is requested once
	}
	s.Run, s.Trigger, s.Trust, s.Plan, s.PlanFrom, s.Problems = e.Run, e.Trigger, e.Trust, e.Plan, e.PlanFrom, e.Problems
	s.Requested, s.Ended, s.Only = e.At, e.At, e.Only
	s.Merge = e.Merge
	s.Quiet, s.Skip, s.Reused, s.Attempt = e.Quiet, e.Skip, e.Reused, max(e.Attempt, 1)
	for i, stage := range e.Plan.Stages {
		for at, step := range stage.Steps {
			st := e.step(i, step.Name)
			st.at = at
			s.Steps = append(s.Steps, st)
		}
	}
	if s.Trust == Outside {
		s.Restricted = e.Restricted
	}
	if len(s.Problems) > 0 || s.settled() != "" {
		return s.stopWaiting()
	}
	return s.withhold().settle()
}

// onStep applies change to a copy of one step. The end of the run moves to at when the change was made.
func (s State) onStep(name string, change func(*StepState) bool, at time.Time) State {
	for i := range s.Steps {
		if s.Steps[i].Name != name {
			continue
		}
		steps := append([]StepState(nil), s.Steps...)
		if !change(&steps[i]) {
			return s
		}
		s.Steps = steps
		if at.After(s.Ended) {
			s.Ended = at
		}
		return s
	}
	return s
}

// cancelled ends every step that is not over. A step that still runs is killed because Next no longer owes it.
func (s State) cancelled(e CancelRequested) State {
	if s.Run == "" || s.Over() {
		return s
	}
	s.Cancel = e.Reason
	steps := append([]StepState(nil), s.Steps...)
	for i := range steps {
		if steps[i].Phase == Running {
			steps[i].Phase, steps[i].Finished = Done, e.At
			steps[i].Result = Result{Outcome: Cancelled, Reason: e.Reason}
		}
	}
	s.Steps, s.Ended = steps, e.At
	return s.stopWaiting()
}

func (s State) stopWaiting() State {
	steps := append([]StepState(nil), s.Steps...)
	for i := range steps {
		if steps[i].Phase == Waiting {
			steps[i].Phase = NotRun
		}
	}
	s.Steps = steps
	return s
}

func (s State) onTold(check string, change func(*Told)) State {
	told := make(map[string]Told, len(s.Told)+1)
	for k, v := range s.Told {
		told[k] = v
	}
	t := told[check]
	change(&t)
	told[check] = t
	s.Told = told
	return s
}
