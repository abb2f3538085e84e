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
	for _, b := range s.Feeding() {
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
	return s.wanted(spec, name, pull, *found, c, who)
}

// onward wants in an environment what runs in the one before it: the same commit and the same digest, whatever pull
// request it is said on. So it goes where the order leads, and only there.
func (s State) onward(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Write) {
		return refuse("`/promote` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	if spec.After == "" {
		return refuse("`%s` comes after no other environment, so there is nothing to promote from. For this pull request's commit, type `/deploy %s`.", name, name)
	}
	live := s.Places[spec.After].Live
	if live == nil {
		return refuse("`%s` runs nothing yet, so there is nothing to promote to `%s`.", spec.After, name)
	}
	if c.Commit != "" && !speaksOf(p, live.Commit) {
		return refuse("`%s` runs %s, not %s. If you mean what runs there, type `/promote %s@%s`.", spec.After, live.Commit.Short(), spoken(p), name, live.Commit.Short())
	}
	b := Build{Run: live.Run, Commit: live.Commit, Artifacts: []pipeline.Artifact{{Name: spec.Artifact, Digest: live.Digest}}}
	return s.wanted(spec, name, 0, b, c, who)
}

// wanted makes a build wait because someone asked for it.
func (s State) wanted(spec pipeline.Environment, name string, pull int, b Build, c Command, who RoleKnown) Ruling {
	after := s.want(spec, name, pull, b, "@"+c.Actor.Login+" asked")
	place := after.Places[name]
	if spec.On.PullRequest {
		place.Pull = c.Pull
	} else {
		place.Pull = 0
	}
	if place.Waiting == nil {
		return Ruling{Say: fmt.Sprintf("`%s` runs %s already, or is on its way to it.", name, b.Commit.Short())}
	}
	say := fmt.Sprintf("%s (`%s`) is wanted in `%s`.", place.Waiting.Commit.Short(), place.Waiting.Digest.Short(), name)
	if gate := s.Gate(place, who.At); !gate.Open {
		say += " Still missing: " + gate.Missing + "."
	}
	return Ruling{Say: say, Place: &place}
}
