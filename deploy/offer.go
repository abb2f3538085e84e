package deploy

import (
	"fmt"
	"path"
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func (s State) runBegan(e RunBegan) State {
	if _, ok := s.Runs[e.Run]; ok {
		return s
	}
	s = s.heardOf(e.Trigger.Repo, e.Trigger.At)
	r := Run{ID: e.Run, Pipeline: e.Pipeline, Trigger: e.Trigger, Trust: e.Trust, Only: e.Only, Into: e.Into, Skipped: e.Skip != "", Tree: e.Tree, Plan: e.Plan, At: e.At}
	if p, ok := s.Pulls[e.Trigger.Pull]; ok && e.Trigger.Pull != 0 && (!p.Open || p.Head != e.Trigger.Commit) {
		r.Stop = "superseded by " + p.Head.Short() // it came late: the pull request has moved on already
		if !p.Open {
			r.Stop = "the pull request was closed"
		}
	}
	if e.Trigger.Kind == pipeline.MergeGroup && slices.Contains(s.Gone, e.Trigger.Commit) {
		r.Stop = groupGone // it came late
	}
	if s.Shut != "" {
		r.Stop = s.Shut
	}
	s.began++
	r.turn = turn{mode: e.Concurrency, lane: lane(e.Trigger, e.Pipeline), order: s.began}
	s.Runs = with(s.Runs, e.Run, r)
	for _, n := range s.pullNumbers() {
		if s.Pulls[n].Head == e.Trigger.Commit && e.Only == "" && !r.byHand() && (!r.Skipped || s.Pulls[n].LastRuns[r.Pipeline] == "") {
			s = s.onPull(n, func(p *Pull) { p.LastRuns = with(p.LastRuns, r.Pipeline, e.Run) })
		}
	}
	return s
}

// runEnded takes a run's end. A successful run's artifacts are wanted where the default branch's plan says.
func (s State) runEnded(e RunEnded) State {
	r, ok := s.Runs[e.Run]
	if !ok || r.Conclusion != "" {
		return s
	}
	r.Conclusion, r.Stop = e.Conclusion, ""
	r.holds, r.wants, r.told = 0, 0, 0
	s.Runs = with(s.Runs, e.Run, r)
	s = s.admit(r.lane)
	s.forgetRuns()
	if e.Conclusion != pipeline.Success || len(e.Artifacts) == 0 || r.Only != "" || r.Into != "" || r.Trigger.Kind == pipeline.MergeGroup || r.byHand() || !(r.Trust >= pipeline.Writer) {
		return s
	}
	b := Build{
		Run: e.Run, Pipeline: r.Pipeline, Commit: r.Trigger.Commit, Branch: r.Trigger.Branch, Kind: r.Trigger.Kind, Trust: r.Trust,
		Actor: r.Trigger.Actor, Before: r.Trigger.Before, At: r.Trigger.At, Artifacts: e.Artifacts,
	}
	s.Builds = append([]Build{b}, s.Builds...)
	s.forgetBuilds(b.Pipeline)
	if b.Pipeline != s.Feeds {
		return s // it belongs to no environment
	}
	if b.Kind == pipeline.Push {
		for _, spec := range s.Definitions {
			if ok, err := path.Match(spec.On.Branch, b.Branch); spec.On.Branch != "" && err == nil && ok {
				s = s.offer(spec, spec.Name, 0, b, "pushed to "+b.Branch)
			}
		}
	}
	return s.wantPreviews(b)
}

// byHand reports whether a person chose what the run does: then it stands for no other one of its commit.
func (r Run) byHand() bool { return r.Trigger.Kind == pipeline.ByHand }

// forgetBuilds keeps the newest builds of a pipeline.
func (s *State) forgetBuilds(name string) {
	kept := 0
	s.Builds = slices.DeleteFunc(s.Builds, func(b Build) bool {
		if b.Pipeline != name {
			return false
		}
		kept++
		return kept > keepBuilds
	})
}

func (s *State) forgetRuns() {
	if len(s.Runs) <= keepPulls {
		return
	}
	used := map[pipeline.RunID]bool{}
	for _, p := range s.Pulls {
		for _, run := range p.LastRuns {
			used[run] = true
		}
	}
	for id, r := range s.Runs {
		if r.Conclusion != "" && !used[id] {
			s.Runs = without(s.Runs, id)
		}
	}
}

// wantPreviews wants a build in the preview of every open pull request whose head it is.
func (s State) wantPreviews(b Build) State {
	for _, spec := range s.Definitions {
		if !spec.On.PullRequest {
			continue
		}
		for _, n := range s.pullNumbers() {
			if p := s.Pulls[n]; p.Open && !p.Fork && p.Head == b.Commit {
				s = s.offer(spec, fmt.Sprintf("%s/pr-%d", spec.Name, n), n, b, "the pull request's head")
			}
		}
	}
	return s
}

// offer wants a build in an environment by itself, without anyone asking: never in the place of a newer one, however
// late its run ended, never in the place of a rollback that a person has asked for, and never what a person has sent
// away.
func (s State) offer(spec pipeline.Environment, name string, pull int, b Build, why string) State {
	p := s.Places[name]
	if p.Waiting != nil && (p.Waiting.Rollback || s.older(b, p.Waiting.Commit)) ||
		p.Flight != nil && !p.Flight.Rollback && s.older(b, p.Flight.Commit) ||
		p.Live != nil && !p.Closing && s.older(b, p.Live.Commit) {
		return s
	}
	if digest, _ := b.artifact(spec.Artifact); p.Stopped == b.Commit && p.Stopped != "" || p.Rejected.is(b.Commit, digest) {
		return s
	}
	return s.want(spec, name, pull, b, why)
}

// older reports whether a build's commit came before another one, by GitHub's own times; within the same second, by
// what the push says it replaced.
func (s State) older(b Build, than pipeline.Commit) bool {
	other, ok := s.build(than)
	if !ok || other.Commit == b.Commit || other.Branch != b.Branch {
		return false
	}
	return b.At.Before(other.At) || b.At.Equal(other.At) && other.Before == b.Commit
}

// want makes a build wait for its turn in an environment. It takes the place of what waits there, never of what flies.
func (s State) want(spec pipeline.Environment, name string, pull int, b Build, why string) State {
	digest, ok := b.artifact(spec.Artifact)
	if !ok {
		return s
	}
	p, ok := s.Places[name]
	if !ok {
		p = Place{Name: name, Pull: pull}
	}
	p.Spec = spec
	same := func(c pipeline.Commit, d pipeline.Digest) bool { return c == b.Commit && d == digest }
	switch {
	case p.Live != nil && p.Flight == nil && p.Failed == "" && !p.Closing && same(p.Live.Commit, p.Live.Digest),
		p.Flight != nil && same(p.Flight.Commit, p.Flight.Digest),
		p.Waiting != nil && same(p.Waiting.Commit, p.Waiting.Digest):
		return s
	}
	p.Count++
	p.Waiting = &Promotion{ID: fmt.Sprintf("%s#%d", name, p.Count), Commit: b.Commit, Digest: digest, Run: b.Run, Pull: pull, Why: why}
	p.Closing, p.Stopped, p.Rejected = false, "", nil
	s.Places = with(s.Places, name, p)
	return s
}
