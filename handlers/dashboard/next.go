package dashboard

import (
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// nextStep is one thing that happens next, or that a person can do.
type nextStep struct {
	Words    string
	Command  string // to comment, complete
	Where    string // where to comment it
	WhereURL string
	Class    string // of the state that it is about
}

func say(class, format string, args ...any) nextStep {
	return nextStep{Class: class, Words: fmt.Sprintf(format, args...)}
}

// next says what happens now, and why, or what a person can do.
func next(s pipeline.State, repo deploy.State, places []placeView, pullURL string) []nextStep {
	switch s.Conclusion() {
	case "":
		return running(s, places)
	case pipeline.Failure, pipeline.RanOutOfTime:
		return failed(s, pullURL)
	case pipeline.WasCancelled:
		return []nextStep{say("off", "Nothing more: the run was cancelled. %s", sentence(plain(s.Cancel)))}
	case pipeline.Skipped:
		return []nextStep{say("off", "Nothing: the plan does not want it run here. %s", sentence(plain(s.Skip)))}
	case pipeline.ActionRequired:
		return []nextStep{outside(s, pullURL)}
	}
	if s.Trigger.Kind == pipeline.MergeGroup {
		return []nextStep{say("good", "Nothing is deployed from a merge group: GitHub merges it, and the push to %s goes its own way.", cut(plain(s.Trigger.Base), 80))}
	}
	return passed(s, repo, places)
}

// heldBack says that GitHub shows something older for a while. The minute is the one in which it is told, or the one after.
func heldBack(until time.Time, why string) nextStep {
	at := until.UTC().Add(time.Minute - time.Nanosecond).Format("15:04 MST")
	if why != "" {
		why = " (" + plain(why) + ")"
	}
	return say("wait", "GitHub limits us, next update %s%s. Until then it may show less than this page.", at, why)
}

// outside is the way of a stranger's code: someone who may write reads it, and gives their word for this commit.
func outside(s pipeline.State, pullURL string) nextStep {
	words := "The author of this code may not write to this repository, so nothing was run."
	if stages := s.Withheld(); len(stages) < len(s.Plan.Stages) {
		words = fmt.Sprintf("The author of this code may not write to this repository, so %s was not run.", list(stages, "and"))
	}
	step := say("wait", "%s Someone who may write can read the change, and let this commit be tested:", words)
	step.Command, step.Where, step.WhereURL = "/ok-to-test "+string(s.Trigger.Commit), fmt.Sprintf("pull request #%d", s.Trigger.Pull), pullURL
	return step
}

// running is the way of a run that is not over.
func running(s pipeline.State, places []placeView) (steps []nextStep) {
	var now []string
	for _, st := range s.Steps {
		switch {
		case st.Phase == pipeline.Running && st.Tries > 0:
			steps = append(steps, say("busy", "%s runs for the %s time, because it failed before and the plan lets it be tried again: %s", st.Name, ordinal(st.Attempt), sentence(plain(st.TriesWhy))))
		case st.Phase == pipeline.Waiting && st.Tries > 0 && st.Lost == 0:
			steps = append(steps, say("busy", "%s is tried again by itself, as the plan says: %s", st.Name, sentence(plain(st.TriesWhy))))
		case st.Phase == pipeline.Running && st.Attempt > 1:
			steps = append(steps, say("busy", "%s runs for the %s time, because the attempt before was lost: %s", st.Name, ordinal(st.Attempt), sentence(plain(st.LostWhy))))
		case st.Phase == pipeline.Running:
			now = append(now, st.Name)
		case st.Phase == pipeline.Waiting && st.Attempt > 0:
			steps = append(steps, say("busy", "%s is tried again by itself, because its attempt was lost: %s", st.Name, sentence(plain(st.LostWhy))))
		}
	}
	switch {
	case len(now) == 1:
		steps = append(steps, say("busy", "%s runs now.", now[0]))
	case len(now) > 1:
		steps = append(steps, say("busy", "%s run now.", list(now, "and")))
	case len(steps) == 0 && s.InLine():
		steps = append(steps, say("wait", "It waits for its turn: another run is in the next stage, and the plan lets one in at a time."))
	case len(steps) == 0:
		steps = append(steps, say("off", "The next step starts as soon as a worker is free."))
	}
	var after []string
	begun := false
	for i, stage := range s.Plan.Stages {
		idle := true
		for _, st := range s.Steps {
			idle = idle && (st.Stage != i || st.Attempt == 0)
		}
		begun = begun || !idle
		if idle && begun {
			after = append(after, stage.Name)
		}
	}
	switch {
	case len(after) == 1:
		steps = append(steps, say("off", "Then, if it passes, the stage %s.", after[0]))
	case len(after) > 1:
		steps = append(steps, say("off", "Then, as long as all pass, the stages %s.", list(after, "and")))
	}
	for _, place := range places {
		if place.Is == "later" {
			steps = append(steps, say("off", "%s", place.Then))
		}
	}
	return steps
}

// failed is what a person can do about a red run.
func failed(s pipeline.State, pullURL string) []nextStep {
	if len(s.Problems) > 0 {
		return []nextStep{say("bad", "Nothing was run. Mend %s and push. The command conveyor validate says the same on your machine.", s.Problems[0].File())}
	}
	ours := true
	for _, st := range s.Steps {
		if st.Phase == pipeline.Done && st.Result.Outcome != pipeline.Passed && st.Result.Outcome != pipeline.Infrastructure {
			ours = false
		}
	}
	words := "Nothing is deployed. Push a fix."
	if s.OutOfTime != "" {
		words = fmt.Sprintf("Nothing is deployed. The run was out of time: %s", sentence(plain(s.OutOfTime)))
	} else if ours {
		words = "Nothing is deployed. This server failed, not the change; its operator finds more in its log."
	}
	step := say("bad", "%s", words)
	if s.Trigger.Pull != 0 {
		step.Words += " Or run the same commit again:"
		step.Command, step.Where, step.WhereURL = "/retest", fmt.Sprintf("pull request #%d", s.Trigger.Pull), pullURL
	}
	return []nextStep{step}
}

// passed is the way of a green run's artifacts.
func passed(s pipeline.State, repo deploy.State, places []placeView) (steps []nextStep) {
	var live []string
	for _, place := range places {
		switch place.Is {
		case "waiting":
			step := say("wait", "%s waits. %s", place.Name, place.Detail)
			step.Command, step.Where, step.WhereURL = place.Command, place.Where, place.WhereURL
			steps = append(steps, step)
		case "deploying":
			steps = append(steps, say("busy", "%s is being deployed: %s", place.Name, place.Detail))
		case "failed":
			words := place.Then
			if words == "" {
				words = place.Name + " failed: " + place.Detail
			}
			steps = append(steps, say("bad", "%s", words))
		case "later":
			steps = append(steps, say("off", "%s", place.Then))
		case "live":
			live = append(live, place.Name)
		}
	}
	if pull, ok := repo.Pulls[s.Trigger.Pull]; ok && s.Trigger.Pull != 0 && pull.Head != s.Trigger.Commit {
		steps = append(steps, say("off", "Pull request #%d has moved on: its head is %s now.", s.Trigger.Pull, pull.Head.Short()))
	}
	switch {
	case len(steps) > 0:
	case len(live) > 0:
		verb := "runs"
		if len(live) > 1 {
			verb = "run"
		}
		steps = append(steps, say("good", "Nothing is left to do: %s %s this commit.", list(live, "and"), verb))
	case s.Only != "":
		steps = append(steps, say("good", "Nothing is left to do: the run went up to the stage %s, and nothing of a part is deployed.", s.Only))
	case s.Merge != nil:
		steps = append(steps, say("good", "Nothing is left to do: what was tested is a merge that nobody has made yet, and nothing of it is deployed."))
	case len(s.Artifacts()) == 0:
		steps = append(steps, say("good", "Nothing is left to do: the run made no artifact, so there is nothing to deploy."))
	default:
		steps = append(steps, say("good", "Nothing is left to do: no environment wants this run's artifacts now."))
	}
	return steps
}
