package deploy

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// keepMost is how long a preview can be kept, at most.
const keepMost = 30 * day

// preview keeps a pull request's own environments for longer, or takes them down until its next push.
func (s State) preview(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Write) {
		return refuse("`/preview` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	var own []Place
	for _, name := range s.PlaceNames() {
		if place := s.Places[name]; place.Pull == c.Pull && c.Pull != 0 && (place.Live != nil || place.Flight != nil || place.Waiting != nil) && !place.Closing {
			own = append(own, place)
		}
	}
	if len(own) == 0 {
		return refuse("This pull request has no preview. `/deploy ENV` with an environment that is `on: pull_request` makes one, once the checks are green.")
	}
	if c.Word == "stop" {
		return s.stopPreviews(own, c)
	}
	return s.keepPreviews(own, c, who)
}

func (s State) stopPreviews(own []Place, c Command) Ruling {
	var names []string
	for i, place := range own {
		names = append(names, "`"+place.Name+"`")
		own[i].Waiting = nil
		own[i].Stopped = s.Pulls[c.Pull].Head
		own[i].Closing = place.Live != nil || place.Flight != nil
	}
	return Ruling{
		Say:  fmt.Sprintf("%s: taken down until the next push, or `/deploy %s`.", strings.Join(names, ", "), own[0].Spec.Name),
		Then: func(s State) State { return s.withPlaces(own) },
	}
}

func (s State) keepPreviews(own []Place, c Command, who RoleKnown) Ruling {
	var kept []string
	var changed []Place
	for _, place := range own {
		if place.Spec.Expires <= 0 || place.Live == nil {
			continue
		}
		span, problem := spanOf(c.For, place.Spec.Expires.Std(), keepMost)
		if problem != "" {
			return refuse("%s Type `/preview keep %s`.", problem, spanWords(3*day))
		}
		if until := who.At.Add(span); until.After(place.wait()) {
			place.Keep = until
		}
		kept = append(kept, fmt.Sprintf("`%s` is kept until %s.", place.Name, clock(place.wait())))
		changed = append(changed, place)
	}
	if len(kept) == 0 {
		return refuse("`%s` does not expire: it is kept as long as the pull request is open.", own[0].Name)
	}
	return Ruling{Say: strings.Join(kept, " "), Then: func(s State) State { return s.withPlaces(changed) }}
}

func (s State) withPlaces(places []Place) State {
	for _, p := range places {
		s.Places = with(s.Places, p.Name, p)
	}
	return s
}

// expired takes a preview down whose time is up: not one that was kept or deployed anew meanwhile.
func (s State) expired(e Expired) State {
	return s.onPlace(e.Environment, func(p *Place) {
		if e.At.Before(p.wait()) {
			return
		}
		p.Closing, p.Waiting = true, nil
	})
}
