package deploy

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// rollback wants a release of before back, on the word of one person who may open the environment's gate.
func (s State) rollback(p Pending, who RoleKnown) Ruling {
	c := p.Command
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	switch rule := spec.Approve; {
	case rule != nil && !eligible(*rule, c.Actor, who.Role, who.Teams, Promotion{Rollback: true}):
		return refuse("`%s` may be rolled back by %s; @%s has %s. Ask one of them to comment `%s`.",
			name, whom(*rule), c.Actor.Login, roleWord(who.Role), c.Line)
	case rule == nil && !who.Role.AtLeast(pipeline.Write):
		return refuse("`/rollback` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	place, ok := s.Places[name]
	if !ok || place.Live == nil {
		return refuse("`%s` runs nothing yet, so there is nothing to go back from.", name)
	}
	var to *Release
	for _, r := range place.Past {
		if c.Digest == "" && r.Digest != place.Live.Digest || c.Digest != "" && strings.HasPrefix(string(r.Digest), "sha256:"+c.Digest) {
			to = &r
			break
		}
	}
	if to == nil && c.Digest != "" {
		return refuse("`%s` has no release `%s` to go back to. It ran: %s.", name, c.Digest, pastDigests(place))
	}
	if to == nil {
		return refuse("`%s` has run nothing else than `%s`, so there is nothing to go back to.", name, place.Live.Digest.Short())
	}
	place.Count++
	place.Waiting = &Promotion{
		ID: fmt.Sprintf("%s#%d", name, place.Count), Commit: to.Commit, Digest: to.Digest, Run: to.Run, Rollback: true,
		Why: "rolled back by @" + c.Actor.Login, Settled: to,
	}
	place.Waiting.Approvals = []Approval{s.approval(p, who, name, *place.Waiting)}
	return Ruling{Say: fmt.Sprintf("`%s` goes back to %s (`%s`).", name, to.Commit.Short(), to.Digest.Short()), Place: &place}
}

func pastDigests(p Place) string {
	var words []string
	for _, r := range p.Past {
		words = append(words, "`"+r.Digest.Short()+"`")
	}
	if len(words) == 0 {
		return "nothing before"
	}
	return strings.Join(words, ", ")
}
