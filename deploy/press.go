package deploy

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// AtCheck reports whether a command was given by a press at one of our checks.
func (c Command) AtCheck() bool { return c.Check != "" || c.Button == Rerequested }

// pressed finds out, by our own records, what a press at a check speaks of: the run, the pull request and the
// environment. GitHub tells the commit and, for code of a fork, no pull request. When several open pull requests have that
// commit as their head, it is not guessed which one is to be tested again.
func (s State) pressed(c Command) Command {
	commit := pipeline.Commit(c.Commit)
	if r, ok := s.Runs[c.Run]; !ok || r.Trigger.Commit != commit {
		c.Run = s.newestRun(commit, c.Check)
	}
	run, known := s.Runs[c.Run]
	var open []string
	for _, n := range s.pullNumbers() {
		p := s.Pulls[n]
		if p.Open && p.Head == commit {
			open = append(open, fmt.Sprintf("#%d", n))
		}
		if p.Open && p.Head == commit || c.Pull == 0 && p.Merged && p.MergeCommit == commit {
			c.Pull = n
		}
	}
	if run.Trigger.Pull != 0 {
		c.Pull = run.Trigger.Pull
	}
	switch c.Verb {
	case Retest:
		c.Line = "/retest"
	case Cancel:
		c.Line = "/cancel"
	default:
		c.Environment = s.environmentOf(c.Verb, c.Button)
		c.Line = fmt.Sprintf("/%s %s@%s", c.Verb, c.Environment, commit.Short())
		if c.Verb == Rollback {
			c.Line = "/rollback " + c.Environment
		}
	}
	switch {
	case !known:
		c.Problem = fmt.Sprintf("No run of %s is known any more. Push it again.", commit.Short())
	case c.Verb == Retest && len(open) > 1:
		c.Pull = 0
		c.Problem = fmt.Sprintf("The open pull requests %s all have the head %s, so it is not clear which one to test again. Comment `/retest` on the one that you mean.",
			strings.Join(open, ", "), commit.Short())
	case c.Environment == "" && c.Verb != Retest && c.Verb != Cancel:
		c.Problem = "The environment of this button is not defined any more."
	}
	return c
}

// newestRun is the newest run of the pipeline that a check belongs to; without a check, of the first that has one.
func (s State) newestRun(c pipeline.Commit, check string) pipeline.RunID {
	for _, r := range s.NewestRuns(c) {
		if check == "" || r.Pipeline == pipeline.PipelineOfCheck(check) && !strings.HasSuffix(check, pipeline.ByHandCheck) {
			return r.ID
		}
	}
	return ""
}

// NewestRuns are, of each pipeline, the whole run of a commit that began last; one that was skipped counts only when there
// is no other. The pipeline without a name comes first.
func (s State) NewestRuns(c pipeline.Commit) []Run {
	newest := map[string]Run{}
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if r.Trigger.Commit != c || r.Only != "" || r.byHand() {
			continue
		}
		if last := newest[r.Pipeline]; last.ID == "" || last.Skipped && !r.Skipped || last.Skipped == r.Skipped && r.At.After(last.At) {
			newest[r.Pipeline] = r
		}
	}
	return byPipeline(newest)
}

// Begun finds a run by its name, or by that of what the same delivery started.
func (s State) Begun(run pipeline.RunID) (Run, bool) {
	for _, id := range sortedKeys(s.Runs) {
		if r := s.Runs[id]; id == run.For(r.Pipeline) {
			return r, true
		}
	}
	return Run{}, false
}

// LastRuns are, of each pipeline, the newest whole run of a pull request's head.
func (s State) LastRuns(pull int) []Run {
	p, last := s.Pulls[pull], map[string]Run{}
	for name, id := range p.LastRuns {
		if r, ok := s.Runs[id]; ok && r.Trigger.Commit == p.Head {
			last[name] = r
		}
	}
	return byPipeline(last)
}

func byPipeline(runs map[string]Run) (sorted []Run) {
	for _, name := range sortedKeys(runs) {
		sorted = append(sorted, runs[name])
	}
	return sorted
}

// environmentOf finds the environment that a button was made for.
func (s State) environmentOf(verb Verb, button string) string {
	for _, d := range s.Definitions {
		if identifier(verb, d.Name) == button {
			return d.Name
		}
	}
	for _, name := range s.PlaceNames() {
		if identifier(verb, name) == button {
			return name
		}
	}
	return ""
}

// pressedLate refuses a button that speaks of something else than it did when it was shown: a page at GitHub may have
// been open for long.
func (s State) pressedLate(c Command) *Ruling {
	if !c.AtCheck() {
		return nil
	}
	place := s.Places[c.Environment]
	var late Ruling
	switch w := place.Waiting; {
	case c.Verb == Approve && w != nil && w.Run != c.Run:
		late = refuse("`%s` waits with another build than that of this check. Press the button at the check of %s that is the newest.", c.Environment, w.Commit.Short())
	case c.Verb == Rollback && (place.Live == nil || string(place.Live.Commit) != c.Commit):
		late = refuse("`%s` does not run %s any more, so there is nothing to go back from.", c.Environment, pipeline.Commit(c.Commit).Short())
	case c.Verb == Rollback && (w != nil && w.Rollback || place.Flight != nil && place.Flight.Rollback):
		late = refuse("`%s` is on its way back already.", c.Environment)
	default:
		return nil
	}
	return &late
}
