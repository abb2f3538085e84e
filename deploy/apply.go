package deploy

import (
	"fmt"
	"path"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Apply folds one event into the state. It is total: an event that no longer fits changes nothing. It never changes s.
func Apply(s State, e Event) State {
	switch e := e.(type) {
	case Defined:
		return s.defined(e)
	case PullSeen:
		return s.pullSeen(e)
	case RunBegan:
		return s.runBegan(e)
	case RunEnded:
		return s.runEnded(e)
	case CancelSent:
		if r, ok := s.Runs[e.Run]; ok {
			r.Stop, r.Stopped = "", true
			s.Runs = with(s.Runs, e.Run, r)
		}
	case Commanded:
		return s.commanded(e)
	case Acknowledged:
		return s.onCommand(e.Command, func(p *Pending) { p.Acked = true })
	case RoleKnown:
		return s.roleKnown(e)
	case Forwarded:
		return s.onCommand(e.Command, func(p *Pending) { p.Passed, p.Say, p.Refused = true, e.Say, e.Refused })
	case Answered:
		s.Commands = without(s.Commands, e.Command)
	case DeployStarted:
		return s.deployStarted(e)
	case DeployFinished:
		return s.deployFinished(e)
	case GateClosed:
		return s.gateClosed(e)
	case Expired:
		return s.onPlace(e.Environment, func(p *Place) { p.Closing, p.Waiting = true, nil })
	case Removed:
		return s.removed(e)
	case DeploymentOpening:
		return s.onPicture(e.Deployment, func(p *Picture) { p.Opening = true })
	case DeploymentTold:
		return s.deploymentTold(e)
	case PanelOpening:
		return s.onPull(e.Pull, func(p *Pull) { p.Opening = true })
	case PanelTold:
		return s.onPull(e.Pull, func(p *Pull) { p.Opening, p.Panel, p.PanelMark = false, e.ID, e.Mark })
	}
	return s
}

// defined takes the default branch's environments. What a pull request's base said counts only while nothing is known.
func (s State) defined(e Defined) State {
	s.Repo = e.Repo
	if !e.Pushed && (s.pushed || s.Definitions != nil) {
		return s
	}
	s.Definitions, s.Plan, s.pushed = e.Environments, e.Plan, e.Pushed
	for name, p := range s.Places {
		base, _, _ := strings.Cut(name, "/")
		if spec, ok := s.spec(base); ok {
			p.Spec = spec
			s.Places = with(s.Places, name, p)
		}
	}
	return s
}

// pullSeen takes a pull request's state. Deliveries come late and out of order, so GitHub's own time decides.
func (s State) pullSeen(e PullSeen) State {
	old, known := s.Pulls[e.Number]
	if known && (e.Updated.Before(old.Updated) || (!old.Open && e.Open && !e.Reopened && !e.Updated.After(old.Updated))) {
		return s
	}
	next := old
	next.PullSeen = e
	if old.Head != e.Head {
		next.FirstSeen, next.LastRun = e.Updated, ""
	}
	s.Pulls = with(s.Pulls, e.Number, next)
	s.forgetPulls()

	for id, r := range s.Runs {
		if r.Trigger.Pull != e.Number || r.Conclusion != "" || r.Stopped {
			continue
		}
		switch {
		case !e.Open:
			r.Stop = "the pull request was closed"
		case r.Trigger.Commit != e.Head:
			r.Stop = "superseded by " + e.Head.Short()
		default:
			continue
		}
		s.Runs = with(s.Runs, id, r)
	}
	for name, p := range s.Places {
		if p.Waiting != nil && p.Waiting.Pull == e.Number && (p.Waiting.Commit != e.Head || !e.Open) {
			p.Waiting = nil // a push, or the end of the pull request, voids what was bound to its head
			s.Places = with(s.Places, name, p)
		}
		if p.Pull == e.Number {
			p = s.Places[name]
			p.Closing = !e.Open
			s.Places = with(s.Places, name, p)
		}
	}
	if b, ok := s.build(e.Head); ok && e.Open && (!old.Open || old.Head != e.Head) {
		return s.wantPreviews(b)
	}
	return s
}

func (s *State) forgetPulls() {
	if len(s.Pulls) <= keepPulls {
		return
	}
	for _, n := range s.pullNumbers() { // lowest numbers first
		if len(s.Pulls) <= keepPulls {
			return
		}
		if !s.Pulls[n].Open {
			s.Pulls = without(s.Pulls, n)
		}
	}
}

func (s State) runBegan(e RunBegan) State {
	if _, ok := s.Runs[e.Run]; ok {
		return s
	}
	s.Repo = e.Trigger.Repo
	r := Run{ID: e.Run, Trigger: e.Trigger, Trust: e.Trust}
	if p, ok := s.Pulls[e.Trigger.Pull]; ok && e.Trigger.Pull != 0 && (!p.Open || p.Head != e.Trigger.Commit) {
		r.Stop = "superseded by " + p.Head.Short() // it came late: the pull request has moved on already
		if !p.Open {
			r.Stop = "the pull request was closed"
		}
	}
	s.Runs = with(s.Runs, e.Run, r)
	for _, n := range s.pullNumbers() {
		if s.Pulls[n].Head == e.Trigger.Commit {
			s = s.onPull(n, func(p *Pull) { p.LastRun = e.Run })
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
	s.Runs = with(s.Runs, e.Run, r)
	s.forgetRuns()
	if e.Conclusion != pipeline.Success || len(e.Artifacts) == 0 || !(r.Trust >= pipeline.Writer) {
		return s
	}
	b := Build{
		Run: e.Run, Commit: r.Trigger.Commit, Branch: r.Trigger.Branch, Kind: r.Trigger.Kind, Trust: r.Trust,
		Actor: r.Trigger.Actor, Before: r.Trigger.Before, At: r.Trigger.At, Artifacts: e.Artifacts,
	}
	s.Builds = append([]Build{b}, s.Builds...)
	if len(s.Builds) > keepBuilds {
		s.Builds = s.Builds[:keepBuilds]
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

func (s *State) forgetRuns() {
	if len(s.Runs) <= keepPulls {
		return
	}
	used := map[pipeline.RunID]bool{}
	for _, p := range s.Pulls {
		used[p.LastRun] = true
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
// late its run ended, and never in the place of a rollback that a person has asked for.
func (s State) offer(spec pipeline.Environment, name string, pull int, b Build, why string) State {
	p := s.Places[name]
	if p.Waiting != nil && (p.Waiting.Rollback || s.older(b, p.Waiting.Commit)) ||
		p.Flight != nil && !p.Flight.Rollback && s.older(b, p.Flight.Commit) ||
		p.Live != nil && !p.Closing && s.older(b, p.Live.Commit) {
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
	p.Closing = false
	s.Places = with(s.Places, name, p)
	return s
}

// deployStarted moves the waiting promotion into flight, if it is the very one, nothing else flies, and its gate is open
// at that moment. Everything else is too late and changes nothing.
func (s State) deployStarted(e DeployStarted) State {
	p, ok := s.Places[e.Environment]
	if !ok || p.Flight != nil || p.Closing || p.Waiting == nil || p.Waiting.ID != e.Deployment ||
		p.Waiting.Commit != e.Commit || p.Waiting.Digest != e.Digest || !s.Gate(p, e.At).Open {
		return s
	}
	flight := *p.Waiting
	flight.Started, flight.Held = e.At, ""
	p.Flight, p.Waiting = &flight, nil
	s.Places = with(s.Places, p.Name, p)
	s.Pictures = with(s.Pictures, e.Deployment, Picture{
		Deployment: e.Deployment, Environment: p.Name, Commit: e.Commit, Digest: e.Digest, Run: flight.Run,
		Preview: p.Pull != 0, State: "in_progress", URL: p.URL(e.Commit), Description: flight.Why,
	})
	return s
}

// deployFinished ends the flight. A success makes it the release that the environment runs, and wants it in the
// environments that come after this one; a rollback goes no further.
func (s State) deployFinished(e DeployFinished) State {
	for name, p := range s.Places {
		if p.Flight == nil || p.Flight.ID != e.Deployment {
			continue
		}
		flight := *p.Flight
		p.Flight = nil
		if !e.OK {
			p.Failed = e.Reason
			s.Places = with(s.Places, name, p)
			return s.onPicture(e.Deployment, func(pic *Picture) { pic.State, pic.Description = "failure", e.Reason })
		}
		if p.Live != nil {
			s = s.onPicture(p.Live.Deployment, func(pic *Picture) { pic.State, pic.Description = "inactive", "replaced by "+flight.Digest.Short() })
			p.Past = append([]Release{*p.Live}, p.Past...)
			if len(p.Past) > keepReleases {
				p.Past = p.Past[:keepReleases]
			}
		}
		p.Failed = ""
		p.Live = &Release{Deployment: flight.ID, Commit: flight.Commit, Digest: flight.Digest, Run: flight.Run, URL: p.URL(flight.Commit), At: e.At}
		s.Places = with(s.Places, name, p)
		s = s.onPicture(e.Deployment, func(pic *Picture) { pic.State = "success" })
		if flight.Rollback || p.Pull != 0 {
			return s
		}
		if b, ok := s.build(flight.Commit); ok {
			for _, spec := range s.Definitions {
				if spec.After == p.Name && !spec.On.PullRequest {
					s = s.offer(spec, spec.Name, 0, b, p.Name+" runs it")
				}
			}
		}
		return s
	}
	return s
}

// gateClosed notes why a promotion could not start. Approvals that have run out are dropped, so that they are asked for
// again.
func (s State) gateClosed(e GateClosed) State {
	return s.onPlace(e.Environment, func(p *Place) {
		if p.Waiting == nil || p.Waiting.ID != e.Promotion {
			return
		}
		w := *p.Waiting
		w.Held, w.Approvals = e.Reason, valid(p.Spec, w, e.At)
		p.Waiting = &w
	})
}

func (s State) removed(e Removed) State {
	p, ok := s.Places[e.Environment]
	if !ok || !p.Closing || p.Flight != nil {
		return s
	}
	if p.Live != nil {
		s = s.onPicture(p.Live.Deployment, func(pic *Picture) { pic.State, pic.Description = "inactive", "taken down" })
	}
	// The count stays, so that a reopened preview never gives a deployment's name a second time.
	s.Places = with(s.Places, p.Name, Place{Name: p.Name, Spec: p.Spec, Pull: p.Pull, Count: p.Count})
	return s
}

// deploymentTold drops the picture once GitHub shows its last state and nothing can follow.
func (s State) deploymentTold(e DeploymentTold) State {
	s = s.onPicture(e.Deployment, func(p *Picture) { p.ID, p.Told, p.Opening = e.ID, e.State, false })
	if p, ok := s.Pictures[e.Deployment]; ok && p.Told == p.State && (p.State == "inactive" || p.State == "failure") {
		s.Pictures = without(s.Pictures, e.Deployment)
	}
	return s
}

func (s State) onPlace(name string, change func(*Place)) State {
	if p, ok := s.Places[name]; ok {
		change(&p)
		s.Places = with(s.Places, name, p)
	}
	return s
}

func (s State) onPull(number int, change func(*Pull)) State {
	if p, ok := s.Pulls[number]; ok {
		change(&p)
		s.Pulls = with(s.Pulls, number, p)
	}
	return s
}

func (s State) onPicture(deployment string, change func(*Picture)) State {
	if p, ok := s.Pictures[deployment]; ok {
		change(&p)
		s.Pictures = with(s.Pictures, deployment, p)
	}
	return s
}

func (s State) onCommand(id string, change func(*Pending)) State {
	if p, ok := s.Commands[id]; ok {
		change(&p)
		s.Commands = with(s.Commands, id, p)
	}
	return s
}
