package deploy

import (
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// okToTest lets a writer vouch for one commit of an outside author: the very head that they have read, by its name.
// A push between the reading and the word makes the word one of another commit.
func (s State) okToTest(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Write) {
		return refuse("`/ok-to-test` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	pull := s.Pulls[c.Pull]
	if !pull.Open {
		return refuse("The pull request is closed, so there is nothing to test.")
	}
	if len(c.Commit) < 7 || !strings.HasPrefix(string(pull.Head), c.Commit) {
		return refuse("The pull request's head is %s now, and this comment speaks of %s. Read what has changed; then type `/ok-to-test %s`.",
			pull.Head.Short(), pipeline.Commit(c.Commit).Short(), pull.Head.Short())
	}
	return Ruling{Forward: true}
}
