package deploy

import "github.com/conveyor-ci/conveyor/pipeline"

// start lets a person start a pipeline at the pull request's head. The head is the one that was there when the comment was
// heard: one that came after it is not meant, and one that the person cannot have seen neither.
func (s State) start(p Pending, who RoleKnown) Ruling {
	c := p.Command
	pull := s.Pulls[c.Pull]
	switch {
	case !who.Role.AtLeast(pipeline.Write):
		return refuse("`/run` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	case !pull.Open:
		return refuse("The pull request is closed, so there is nothing to run.")
	case pull.Head != p.Commit:
		return refuse("%s was pushed meanwhile, and this comment speaks of %s. Say it again if you mean the head as it is now.", pull.Head.Short(), p.Commit.Short())
	}
	if late := s.tooSoon(c, 0); late != "" {
		return refuse("%s Say it again if you mean the head as it is now.", late)
	}
	return Ruling{Forward: true}
}
