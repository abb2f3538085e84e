package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Carried is a step that an earlier run of the same commit has passed, under the same plan and trust. It counts as if it
// had passed here: its result is evidence of the commit, not of the run.
type Carried struct {
	Step     string    `json:"step"`
	From     RunID     `json:"from"`
	Attempt  int       `json:"attempt"` // names its log, with From
	Result   Result    `json:"result"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// step is how a step begins: waiting, or passed already. Only what has passed is ever carried.
func (r Requested) step(stage int, name string) StepState {
	for _, c := range r.Carried {
		if c.Step == name && c.Result.Outcome == Passed {
			return StepState{Stage: stage, Name: name, Phase: Done, Attempt: c.Attempt, Result: c.Result, Started: c.Started, Finished: c.Finished, From: c.From}
		}
	}
	return StepState{Stage: stage, Name: name}
}

// Again is the request for another run of the same commit, plan and trust as an earlier one, whole. Who asks fills in
// the run, the trigger's delivery and the time.
func Again(old State) Requested {
	return Requested{Trigger: old.Trigger, Trust: old.Trust, Plan: old.Plan, PlanFrom: old.PlanFrom, Problems: old.Problems, Restricted: old.Restricted, Merge: old.Merge, Attempt: old.Attempt + 1}
}

// AgainFailed is Again, of nothing but the steps that have not passed; those that have are carried. The problem is a
// sentence for the one who asked.
func AgainFailed(old State) (r Requested, problem string) {
	switch {
	case !old.Over():
		return r, "The last run is still on its way. Wait for its end, or type `/cancel` first."
	case old.Conclusion() == Success:
		return r, "Nothing of the last run failed. `/retest` runs all of it again."
	}
	r = Again(old)
	r.Carried = old.passed(len(old.Plan.Stages))
	return r, ""
}

// AgainStage is Again up to a stage: that stage anew, and of those before it what has not passed at this commit. So a
// stage that is green always stands on green ones, as in a whole run.
func AgainStage(old State, stage string) (r Requested, problem string) {
	at := slices.IndexFunc(old.Plan.Stages, func(s Stage) bool { return s.Name == stage })
	if at < 0 {
		return r, fmt.Sprintf("The plan has no stage `%s`. It has %s.", stage, stageNames(old.Plan))
	}
	r = Again(old)
	r.Only, r.Carried = stage, old.passed(at)
	r.Plan.Stages = r.Plan.Stages[: at+1 : at+1]
	return r, ""
}

// AgainCheck is Again because of one check: its stage anew, and whatever else has not passed. What other stages have
// passed is carried, so that the new run is as complete as a first one, and GitHub is told only of what runs.
func AgainCheck(old State, check string) (r Requested, problem string) {
	at := slices.IndexFunc(old.Plan.Stages, func(s Stage) bool { return old.checkName(s.Name) == check })
	switch {
	case !old.Over():
		return r, "The run of this check is still on its way. Cancel it first, or wait for its end."
	case at < 0: // the check of the plan itself
		return Again(old), ""
	}
	r = Again(old)
	r.Only, r.Quiet = old.Only, true
	for _, c := range old.passed(len(old.Plan.Stages)) {
		if stage := old.stageOf(c.Step); stage != at {
			r.Carried = append(r.Carried, c)
		}
	}
	return r, ""
}

func (s State) stageOf(step string) int {
	return s.Steps[slices.IndexFunc(s.Steps, func(st StepState) bool { return st.Name == step })].Stage
}

// carried reports whether all of a stage was passed by earlier runs.
func (s State) carried(stage int) bool {
	for _, st := range s.stageSteps(stage) {
		if st.From == "" {
			return false
		}
	}
	return true
}

// passed are the steps of the first stages that have passed.
func (s State) passed(stages int) (carried []Carried) {
	for _, st := range s.Steps {
		if st.Stage >= stages || st.Phase != Done || st.Result.Outcome != Passed {
			continue
		}
		from := st.From
		if from == "" {
			from = s.Run
		}
		carried = append(carried, Carried{Step: st.Name, From: from, Attempt: st.Attempt, Result: st.Result, Started: st.Started, Finished: st.Finished})
	}
	return carried
}

func stageNames(p Plan) string {
	var names []string
	for _, s := range p.Stages {
		names = append(names, "`"+s.Name+"`")
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
