package deploy

// deployStarted moves the waiting promotion into flight, if it is the very one, nothing else flies, and its gate is open
// at that moment. Everything else is too late and changes nothing.
func (s State) deployStarted(e DeployStarted) State {
	p, ok := s.Places[e.Environment]
	if !ok || s.Shut != "" || p.Flight != nil || p.Closing || p.Waiting == nil || p.Waiting.ID != e.Deployment ||
		p.Waiting.Commit != e.Commit || p.Waiting.Digest != e.Digest || !s.Gate(p, e.At).Open {
		return s
	}
	flight := *p.Waiting
	flight.Started, flight.Held, flight.Delayed, flight.Card, flight.Void = e.At, "", "", nil, nil
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

// gateClosed notes why a promotion could not start. Approvals that do not count any more are dropped, so that they are
// asked for again.
func (s State) gateClosed(e GateClosed) State {
	return s.onPlace(e.Environment, func(p *Place) {
		if p.Waiting == nil || p.Waiting.ID != e.Promotion {
			return
		}
		w := *p.Waiting
		counted, void := s.count(p.Spec, w, e.At)
		w.Held, w.Approvals, w.Void = e.Reason, counted, noted(w.Void, void)
		p.Waiting = &w
	})
}

// deployDelayed notes why a promotion has not started yet. It stays owed.
func (s State) deployDelayed(e DeployDelayed) State {
	return s.onPlace(e.Environment, func(p *Place) {
		if p.Waiting == nil || p.Waiting.ID != e.Promotion {
			return
		}
		w := *p.Waiting
		w.Delayed = e.Reason
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
	s.Places = with(s.Places, p.Name, Place{Name: p.Name, Spec: p.Spec, Pull: p.Pull, Count: p.Count, Stopped: p.Stopped})
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
