package pipeline

import (
	"fmt"
	"strings"
	"time"
)

// No run goes on for ever, even when nobody ever acts: it begins within a day, and from then on has the plan's timeout.
// The wait for its first step is not the plan's fault, so it does not count against the timeout; all waiting after that
// does.
const (
	MostWait       = 24 * time.Hour // until a run's first step begins
	DefaultTimeout = 6 * time.Hour  // from then on, when the plan names no other time
)

// Alarm owes the run an event at a time. Nothing else knows the clock.
type Alarm struct {
	At  time.Time
	Why string // what the event will say
}

// Name of the effect. It holds the time: when the first step begins, the deadline is another one.
func (e Alarm) Name() string { return "alarm/" + e.At.UTC().Format(time.RFC3339Nano) }

// Due is when it is to be done, and not before.
func (e Alarm) Due() time.Time { return e.At }

// began notes when the first step started. Later attempts of it do not move that: a step that is lost again and again would
// never come to an end.
func (s State) began(at time.Time) State {
	if s.Began.IsZero() && s.begun() {
		s.Began = at
	}
	return s
}

func (s State) begun() bool {
	for _, st := range s.Steps {
		if st.Phase == Running {
			return true
		}
	}
	return false
}

// Deadline is when the run ends by itself, and why it would. It is zero when the run is over.
func (s State) Deadline() (at time.Time, why string) {
	if s.Run == "" || s.Over() {
		return time.Time{}, ""
	}
	if s.Began.IsZero() {
		return s.Requested.Add(MostWait), "none of its steps could begin within " + inWords(MostWait)
	}
	limit := s.Plan.Timeout.Std()
	if limit <= 0 {
		limit = DefaultTimeout
	}
	return s.Began.Add(limit), fmt.Sprintf("the whole run may take %s", inWords(limit))
}

// ranOut ends every step that is not over. One that still runs is killed because Next no longer owes it.
func (s State) ranOut(e DeadlinePassed) State {
	if at, _ := s.Deadline(); at.IsZero() || e.At.Before(at) {
		return s // it is over, or has begun meanwhile and so has time
	}
	result := Result{Outcome: TimedOut, Reason: e.Reason}
	stage := s.currentStage()
	steps := append([]StepState(nil), s.Steps...)
	for i := range steps {
		switch st := &steps[i]; {
		case st.Phase == Running, st.Phase == Waiting && st.Stage == stage && st.Attempt > 0:
			st.Phase, st.Finished, st.Result = Done, e.At, result
		case st.Phase == Waiting && st.Stage == stage:
			st.Phase, st.Result = NotRun, result
		}
	}
	s.Steps, s.Ended, s.OutOfTime = steps, e.At, e.Reason
	return s.stopWaiting()
}

// inWords is a time as plan files write it: "6h", "1h30m", "24h".
func inWords(d time.Duration) string {
	words := d.String()
	if strings.HasSuffix(words, "m0s") {
		words = strings.TrimSuffix(words, "0s")
	}
	if strings.HasSuffix(words, "h0m") {
		words = strings.TrimSuffix(words, "0m")
	}
	return words
}
