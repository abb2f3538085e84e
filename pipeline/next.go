package pipeline

import (
	"fmt"
	"time"
)

// Effect is something the run still owes the world. Its name is its identity: as long as Next returns it, it is owed
// once, however often Next is asked.
type Effect interface{ Name() string }

// Exec owes one attempt of a step.
type Exec struct {
	Step    string
	Attempt int
	Asked   time.Time // when the run was requested
}

// AskStage owes the repository's stream the wish to enter a stage, where runs take turns.
type AskStage struct{ Stage int }

// Name of the effect.
func (e AskStage) Name() string { return fmt.Sprintf("ask/%d", e.Stage) }

// Decide owes the answer whether a step's condition holds.
type Decide struct{ Step string }

// Report owes the repository's stream the news of how the run ended.
type Report struct{}

// TellCheck owes GitHub the newest picture of one check.
type TellCheck struct {
	Check    string
	Mark     string
	Patience time.Duration // the news may wait this long for newer news to take its place
}

// Name of the effect.
func (e Exec) Name() string { return fmt.Sprintf("exec/%s/%d", e.Step, e.Attempt) }

// Name of the effect.
func (e Decide) Name() string { return "decide/" + e.Step }

// Since gives the workers an order: the oldest run first, and its next step before the first of a newer one.
func (e Exec) Since() time.Time { return e.Asked }

// Name of the effect.
func (Report) Name() string { return "report" }

// Name of the effect. It holds the mark, so that newer news replaces older news that is still being patient.
func (e TellCheck) Name() string { return "tell/" + e.Check + "/" + e.Mark }

// Next is what the run still owes; nothing means that it is at rest.
func Next(s State) (owed []Effect) {
	if s.Run == "" {
		return nil
	}
	if stage, waits := s.turn(); waits && s.Asked <= stage {
		owed = append(owed, AskStage{stage})
	}
	for _, st := range s.Steps {
		switch {
		case st.Phase == Waiting && s.Plan.Concurrency.Gates() && st.Stage >= s.Entered: // not before its turn
		case st.Phase == Running:
			owed = append(owed, Exec{Step: st.Name, Attempt: st.Attempt, Asked: s.Requested})
		case st.Phase != Waiting || st.Attempt == 0 && s.before(st).held:
		case s.spec(st).If != "" && !st.Admitted:
			owed = append(owed, Decide{Step: st.Name})
		default:
			owed = append(owed, Exec{Step: st.Name, Attempt: st.Attempt + 1, Asked: s.Requested})
		}
	}
	if at, why := s.Deadline(); !at.IsZero() {
		owed = append(owed, Alarm{At: at, Why: why})
	}
	for _, c := range Checks(s) {
		told := s.Told[c.Name]
		if told.Mark != c.Mark() {
			owed = append(owed, TellCheck{Check: c.Name, Mark: c.Mark(), Patience: patience(c, told)})
		}
	}
	owed = append(owed, s.uploads()...)
	if s.Over() && !s.Reported {
		owed = append(owed, Report{})
	}
	return owed
}

// turn is the stage before which the run waits for its turn.
func (s State) turn() (stage int, waits bool) {
	stage = s.currentStage()
	return stage, stage >= 0 && s.Plan.Concurrency.Gates() && s.Entered <= stage
}

// InLine reports whether the run waits for another one to leave a stage.
func (s State) InLine() bool {
	stage, waits := s.turn()
	return waits && s.Asked > stage
}

// patience spares GitHub the news that is about to be outdated: a first stage that starts within the blink of an eye is
// told as running at once, and a stage that ends within seconds is told only as ended.
func patience(c Check, told Told) time.Duration {
	switch {
	case c.Status == Completed:
		return 0
	case told.ID == 0 && c.Status == Queued:
		return 25 * time.Millisecond
	case told.ID == 0:
		return 0
	}
	return 2 * time.Second
}

// currentStage is the first stage that is not over, -1 when there is none.
func (s State) currentStage() int {
	for _, st := range s.Steps {
		if st.Phase == Waiting || st.Phase == Running {
			return st.Stage
		}
	}
	return -1
}

// Wait is how long the news may wait for newer news.
func (e TellCheck) Wait() time.Duration { return e.Patience }

// Lane lets the news of one check be told one at a time.
func (e TellCheck) Lane() string { return "tell/" + e.Check }
