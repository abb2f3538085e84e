package deploy

import "fmt"

// pullSeen takes a pull request's state. Deliveries come late and out of order, so GitHub's own time decides; within the
// same second, which head replaced which.
func (s State) pullSeen(e PullSeen) State {
	old, known := s.Pulls[e.Number]
	old.show(e.Before, e.Head)
	if known {
		s.Pulls = with(s.Pulls, e.Number, old)
	}
	if known && e.Updated.Equal(old.Updated) && e.Head != old.Head && e.Head == old.Before {
		return s
	}
	if e.Head == old.Head && e.Before == "" {
		e.Before = old.Before
	}
	if known && (e.Updated.Before(old.Updated) || (!old.Open && e.Open && !e.Reopened && !e.Updated.After(old.Updated))) {
		return s
	}
	next := old
	next.PullSeen = e
	if old.Head != e.Head {
		next.FirstSeen, next.LastRuns = e.Updated, nil
	}
	next.Heads = heads(old, e)
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
		} else if p.Waiting != nil && p.Waiting.Pull == e.Number && known && e.Base != old.Base && len(p.Waiting.Approvals) > 0 {
			w := p.Waiting.voided(fmt.Sprintf("the pull request goes into %s now, and not into %s", e.Base, old.Base), everyone)
			p.Waiting = &w
			s.Places = with(s.Places, name, p)
		}
		if p.Pull == e.Number {
			p = s.Places[name]
			p.Closing = !e.Open || p.Stopped != "" && p.Stopped == e.Head && p.Closing
			s.Places = with(s.Places, name, p)
		}
	}
	if !e.Open {
		s = s.unlockPull(e.Number)
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
