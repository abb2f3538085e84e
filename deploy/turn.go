package deploy

import (
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// turn is how a run stands where runs take turns. Stages are counted from 1 here; 0 is none.
//
// The rules are those of AWS CodePipeline. A stage holds one run, from its entry until the run has left it for a later one
// or has ended, well or not. The others wait in front of it. In the mode queue they enter in the order of their start.
// In the mode supersede the newest of those that wait takes the place of the older ones, which are cancelled; what is in
// a stage is never cancelled by that. A run in the mode parallel takes no part.
// https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
type turn struct {
	mode  pipeline.Concurrency
	lane  string // the runs that take turns with each other
	order int
	wants int // the stage that it waits in front of
	holds int // the stage that it is in
	told  int // the stage of which it knows that it may enter
}

// Admit owes a run the news that it is its turn.
type Admit struct {
	Run   pipeline.RunID
	Stage int
}

// Name of the effect.
func (e Admit) Name() string { return fmt.Sprintf("admit/%s/%d", e.Run, e.Stage) }

// lane is the branch or pull request whose runs take turns, those of one pipeline with each other. Groups of the merge
// queue never do: each must be tested. Runs by hand take turns among themselves.
func lane(t pipeline.Trigger, name string) string {
	lane := "branch/" + t.Branch
	switch {
	case t.Kind == pipeline.MergeGroup:
		return ""
	case t.Pull != 0:
		lane = fmt.Sprintf("pull/%d", t.Pull)
	}
	if t.Kind == pipeline.ByHand {
		lane = "hand/" + lane
	}
	if name != "" {
		lane = "pipeline/" + name + "/" + lane
	}
	return lane
}

func (s State) stageWanted(e StageWanted) State {
	r, ok := s.Runs[e.Run]
	if !ok || r.Conclusion != "" || e.Stage < max(r.holds, r.wants) {
		return s
	}
	r.holds, r.wants = 0, e.Stage+1
	s.Runs = with(s.Runs, e.Run, r)
	if r.lane == "" || !r.mode.Gates() {
		return s.enter(e.Run)
	}
	return s.admit(r.lane)
}

func (s State) admissionSent(e AdmissionSent) State {
	if r, ok := s.Runs[e.Run]; ok {
		r.told = max(r.told, e.Stage+1)
		s.Runs = with(s.Runs, e.Run, r)
	}
	return s
}

func (s State) enter(run pipeline.RunID) State {
	r := s.Runs[run]
	r.holds, r.wants = r.wants, 0
	s.Runs = with(s.Runs, run, r)
	return s
}

// admit lets those of a lane enter whose turn it is, and ends those whose place a newer one has taken.
func (s State) admit(lane string) State {
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if r.lane != lane || lane == "" || r.wants == 0 || r.Conclusion != "" || r.Stop != "" || r.Stopped {
			continue
		}
		if newer, ok := s.overtaken(r); ok {
			r.Stop, r.wants = "superseded by "+newer.Trigger.Commit.Short(), 0
			s.Runs = with(s.Runs, id, r)
			continue
		}
		if s.free(r) {
			s = s.enter(id)
		}
	}
	return s
}

// overtaken finds the newer run that takes a waiting one's place: it waits in front of the same stage, or has come further.
func (s State) overtaken(r Run) (newest Run, ok bool) {
	if r.mode != pipeline.Supersede {
		return Run{}, false
	}
	for _, other := range s.Runs {
		if other.lane == r.lane && other.mode.Gates() && other.order > max(r.order, newest.order) && other.at() >= r.wants && other.Stop == "" && !other.Stopped {
			newest, ok = other, true
		}
	}
	return newest, ok
}

// free reports whether nothing keeps a waiting run from its stage: no other is in it, and in a queue no older one has it
// still before it.
func (s State) free(r Run) bool {
	for _, other := range s.Runs {
		if other.ID == r.ID || other.lane != r.lane || !other.mode.Gates() || other.Conclusion != "" {
			continue
		}
		if other.holds == r.wants {
			return false
		}
		if stopping := other.Stop != "" || other.Stopped; !stopping && r.mode == pipeline.Queue && other.order < r.order && other.at() <= r.wants {
			return false
		}
	}
	return true
}

// at is the stage that a run is in or waits for.
func (t turn) at() int { return max(t.holds, t.wants) }
