package deploy

import (
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// promote wants the pull request's commit in an environment. Gates are not opened by it.
func (s State) promote(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Write) {
		return refuse("`/deploy` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	var found *Build
	for _, b := range s.Builds {
		if speaksOf(p, b.Commit) {
			found = &b
			break
		}
	}
	if found == nil {
		return refuse("No successful run has made an artifact of %s yet. When its checks are green, type `%s` again.", spoken(p), c.Line)
	}
	if _, ok := found.artifact(spec.Artifact); !ok {
		return refuse("The run of %s made no artifact named `%s`, which `%s` deploys.", found.Commit.Short(), spec.Artifact, name)
	}
	pull := 0
	if s.Pulls[c.Pull].Open && s.Pulls[c.Pull].Head == found.Commit {
		pull = c.Pull
	}
	after := s.want(spec, name, pull, *found, "@"+c.Actor.Login+" asked")
	place := after.Places[name]
	if spec.On.PullRequest {
		place.Pull = c.Pull
	} else {
		place.Pull = 0
	}
	if place.Waiting == nil {
		return Ruling{Say: fmt.Sprintf("`%s` runs %s already, or is on its way to it.", name, found.Commit.Short())}
	}
	say := fmt.Sprintf("%s (`%s`) is wanted in `%s`.", place.Waiting.Commit.Short(), place.Waiting.Digest.Short(), name)
	if gate := s.Gate(place, who.At); !gate.Open {
		say += " Still missing: " + gate.Missing + "."
	}
	return Ruling{Say: say, Place: &place}
}
