package deploy

import (
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// keepGone is how many merge groups are remembered that were taken apart: that may be heard of before the group itself.
const keepGone = 50

const groupGone = "the merge queue does not need it any more"

// groupGone stops what tests a merge group that is no more. A group's commit is made for it alone, so that no other run
// is meant. After a merge the commit is the base's head, and the push of it has a run of its own.
func (s State) groupGone(e GroupGone) State {
	s.Gone = append(slices.Clone(s.Gone), e.Commit)
	s.Gone = s.Gone[max(0, len(s.Gone)-keepGone):]
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if r.Trigger.Kind == pipeline.MergeGroup && r.Trigger.Commit == e.Commit && r.Conclusion == "" && !r.Stopped {
			r.Stop = groupGone
			s.Runs = with(s.Runs, id, r)
		}
	}
	return s
}

// Proof finds the run whose evidence counts for a tree and a plan: it was whole, its code was a writer's, and all of it
// passed. What is not known is no proof.
func (s State) Proof(tree, plan string) (Run, bool) {
	if tree == "" || plan == "" {
		return Run{}, false
	}
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if r.Tree == tree && r.Plan == plan && r.Conclusion == pipeline.Success && r.Trust >= pipeline.Writer && r.Only == "" && !r.byHand() {
			return r, true
		}
	}
	return Run{}, false
}
