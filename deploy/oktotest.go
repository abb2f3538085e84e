package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// okToTest lets a writer vouch for one commit of an outside author: the very head that they have read, by its name.
// A push between the reading and the word makes the word one of another commit.
func (s State) okToTest(p Pending, who RoleKnown) Ruling {
	c := p.Command
	pull := s.Pulls[c.Pull]
	switch {
	case c.Actor.Bot:
		return refuse("`/ok-to-test` is a person's word for what they have read; @%s is an App.", c.Actor.Login)
	case !who.Role.AtLeast(pipeline.Write):
		return refuse("`/ok-to-test` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	case !pull.Open:
		return refuse("The pull request is closed, so there is nothing to test.")
	case len(c.Commit) < 7 || !strings.HasPrefix(string(pull.Head), c.Commit):
		return refuse("The pull request's head is %s now, and this comment speaks of %s. Read what has changed; then type %s.",
			pull.Head.Short(), pipeline.Commit(c.Commit).Short(), okLine(pull))
	case len(c.Commit) < len(pull.Head) && pull.mistakable(c.Commit):
		return refuse("This pull request has had more than one head that %s may mean. Read the one that it has now; then type %s.", c.Commit, okLine(pull))
	}
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if r.Trigger.Pull != c.Pull || r.Trigger.Commit != pull.Head {
			continue
		}
		switch {
		case r.Trust >= pipeline.Writer:
			return refuse("The author may write to this repository, so %s needs no word to be tested. `/retest` runs its checks again.", pull.Head.Short())
		case r.Trust == pipeline.Allowed && r.Conclusion == "":
			return refuse("%s is allowed already, and its checks are on their way.", pull.Head.Short())
		}
	}
	return Ruling{Forward: true}
}

// nameTheHead refuses a word that names no commit, with the line to type instead: it is about the head as it is now, for
// people who have read it.
func (s State) nameTheHead(c Command) Ruling {
	pull := s.Pulls[c.Pull]
	if !pull.Open {
		return refuse("%s", c.Problem)
	}
	return refuse("`/ok-to-test` names the one commit that you have read, in 7 to 40 digits, and nothing else. The head is %s now: read it, then type %s.",
		pull.Head.Short(), okLine(pull))
}

// okLine is the line that allows the head, whole: seven digits can be made to fit another commit in minutes.
func okLine(p Pull) string { return fmt.Sprintf("`/ok-to-test %s`", p.Head) }

// mistakable reports whether a shortened id may mean another head of the pull request than the one it has now. Who writes
// the code chooses the ids, so that one may be made to begin like one that was read before.
func (p Pull) mistakable(prefix string) bool {
	if len(p.Shown) >= keepShown {
		return true // some are forgotten
	}
	return slices.ContainsFunc(p.Shown, func(c pipeline.Commit) bool {
		return c != p.Head && strings.HasPrefix(string(c), prefix)
	})
}

// keepShown is how many heads of a pull request are remembered, to tell shortened ids apart.
const keepShown = 50

// show remembers a head, also when it is told of late and is not the head any more.
func (p *Pull) show(heads ...pipeline.Commit) {
	for _, c := range heads {
		if c != "" && len(p.Shown) < keepShown && !slices.Contains(p.Shown, c) {
			p.Shown = append(slices.Clip(p.Shown), c)
		}
	}
}

// allowed takes a writer's word. It is of one commit: a push after it makes the next head one of which nothing was said.
func (s State) allowed(e Allowed) State {
	return s.onPull(e.Pull, func(p *Pull) { p.Allowed = &e })
}
