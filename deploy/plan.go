package deploy

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// plan says what `/promote` or `/deploy` would do, who may, and what would be missing. It changes nothing.
func (s State) plan(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Read) {
		return refuse("`/plan` needs the role read in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	asked := p
	asked.Command.Verb = Verb(c.Word)
	asked.Command.Line = strings.TrimSpace(strings.TrimPrefix(c.Line, "/plan"))
	asked.Command.Line = "/" + strings.TrimPrefix(asked.Command.Line, "/")
	able := who
	able.Role = pipeline.Write
	would := s.promote(asked, able)
	if asked.Command.Verb == Onward {
		would = s.onward(asked, able)
	}
	if would.Refused || would.Place == nil {
		return Ruling{Say: fmt.Sprintf("`%s` would change nothing. %s", asked.Command.Line, would.Say)}
	}
	place := *would.Place
	w := place.Waiting
	lines := []pipeline.Reason{{Say: fmt.Sprintf("what: %s, artifact `%s` (`%s`)", w.Commit.Short(), spec.Artifact, w.Digest.Short())}}
	if spec.After != "" {
		lines = append(lines, s.standsIn("from", spec.After))
	}
	lines = append(lines, s.standsIn("now", name))
	if now := s.Places[name].Waiting; now != nil && now.ID != w.ID {
		lines = append(lines, pipeline.Reason{Say: fmt.Sprintf("it takes the place of %s (`%s`), which waits there with %d approvals; they would be void", now.Commit.Short(), now.Digest.Short(), len(now.Approvals))})
	}
	gate := pipeline.Reason{Say: "missing: nothing, it would go at once"}
	if missing := s.missing(place, who.At); len(missing) > 0 {
		gate = pipeline.Reason{Say: "missing:", Because: missing}
	}
	lines = append(lines, gate)
	if spec.Approve != nil {
		lines = append(lines, s.mayApprove(spec, w.Commit))
	}
	lines = append(lines, pipeline.Reason{Say: fmt.Sprintf("who may ask for it: write; @%s has %s", c.Actor.Login, roleWord(who.Role))})
	return Ruling{Say: pipeline.Reason{Say: fmt.Sprintf("`%s` would want this in `%s`, and has changed nothing yet:", asked.Command.Line, name), Because: lines}.Markdown()}
}

// standsIn says what an environment runs.
func (s State) standsIn(word, name string) pipeline.Reason {
	live := s.Places[name].Live
	if live == nil {
		return pipeline.Reason{Say: fmt.Sprintf("%s: `%s` runs nothing", word, name)}
	}
	return pipeline.Reason{Say: fmt.Sprintf("%s: `%s` runs %s (`%s`) since %s", word, name, live.Commit.Short(), live.Digest.Short(), clock(live.At))}
}

func (s State) mayApprove(spec pipeline.Environment, c pipeline.Commit) pipeline.Reason {
	say := fmt.Sprintf("who may approve: %s, %d of them", openers(spec), max(spec.Approve.Count, 1))
	if len(spec.Approve.Groups) > 0 {
		say = "who may approve: " + openers(spec)
	}
	if spec.Approve.NotContributor {
		say += ", nobody who contributed to it"
	}
	if spec.Approve.NotAuthor {
		say += ", not the author"
		if author := s.Author(c); author.Login != "" {
			say += " @" + author.Login
		}
	}
	return pipeline.Reason{Say: say}
}
