package deploy

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// commanded takes a command up. Which commit it speaks of is decided here, once: the one it names, else the pull
// request's head while it is open, else the commit that merged it.
func (s State) commanded(e Commanded) State {
	c := e.Command
	if _, ok := s.Commands[c.ID]; ok {
		return s
	}
	s = s.heardOf(e.Repo, c.At)
	if e.Counted {
		var heed bool
		if s, c, heed = s.counted(c); !heed {
			return s
		}
	}
	if c.AtCheck() {
		c = s.pressed(c)
	}
	s.Commands = with(s.Commands, c.ID, Pending{Command: c})
	if _, ok := s.Pulls[c.Pull]; ok {
		return s.bindCommand(c.ID)
	}
	return s
}

// bindCommand decides which commit a command speaks of.
func (s State) bindCommand(id string) State {
	return s.onCommand(id, func(p *Pending) {
		pull := s.Pulls[p.Command.Pull]
		p.Commit = pull.Head
		if pull.Merged && pull.MergeCommit != "" {
			p.Commit = pull.MergeCommit
		}
	})
}

// roleKnown decides a command, in the order of the stream: what was true when the answer arrived counts.
func (s State) roleKnown(e RoleKnown) State {
	p, ok := s.Commands[e.Command]
	if !ok || p.Decided {
		return s
	}
	if p.Commit == "" {
		s = s.bindCommand(e.Command)
		p = s.Commands[e.Command]
	}
	p.Role, p.Decided = &e, true
	ruling := Decide(s, p, e)
	p.Say, p.Refused = ruling.Say, ruling.Refused
	p.Passed = !ruling.Forward
	s.Commands = with(s.Commands, e.Command, p)
	if ruling.Refused {
		return s
	}
	if ruling.Place != nil {
		s.Places = with(s.Places, ruling.Place.Name, *ruling.Place)
	}
	if ruling.Then != nil {
		return ruling.Then(s)
	}
	return s
}

// Ruling is what becomes of a command.
type Ruling struct {
	Refused bool
	Say     string            // the reason, and the full command to type instead; or what happens now
	Place   *Place            // the environment as it is afterwards, when the command changes it
	Then    func(State) State // what else the command changes
	Forward bool              // the runs must be told, or asked
}

func refuse(format string, args ...any) Ruling {
	return Ruling{Refused: true, Say: fmt.Sprintf(format, args...)}
}

// Decide rules on a command by what is known. It is pure: the same state and role give the same ruling.
func Decide(s State, p Pending, who RoleKnown) Ruling {
	c := p.Command
	switch {
	case c.Problem != "" && c.Verb == OkToTest:
		return s.nameTheHead(c)
	case c.Problem != "":
		return refuse("%s", c.Problem)
	case c.Actor.Bot && c.App == 0:
		return refuse("Commands of Apps and bots are not taken.")
	case s.isVoided(c.Comment) && (c.Verb == Approve || c.Verb == Rollback || c.Verb == OkToTest):
		return refuse("The comment was changed before it was decided, so it counts for nothing. Say it in a new comment: `%s`.", c.Line)
	}
	if late := s.pressedLate(c); late != nil {
		return *late
	}
	switch c.Verb {
	case Help:
		return helpOn(Verb(c.Word))
	case Approve:
		return s.approve(p, who)
	case Promote:
		return s.promote(p, who)
	case Rollback:
		return s.rollback(p, who)
	case Onward:
		return s.onward(p, who)
	case Reject:
		return s.reject(p, who)
	case TakeLock:
		return s.lock(p, who)
	case EndLock:
		return s.unlock(p, who)
	case TakeFreeze:
		return s.freeze(p, who)
	case EndFreeze:
		return s.unfreeze(p, who)
	case Preview:
		return s.preview(p, who)
	case OkToTest:
		return s.okToTest(p, who)
	case Plan:
		return s.plan(p, who)
	case Why:
		return s.why(p, who)
	case Can:
		return s.can(p, who)
	case Test, Retest, Cancel:
		if !who.Role.AtLeast(pipeline.Write) {
			return refuse("`/%s` needs the role write in this repository; @%s has %s.", c.Verb, c.Actor.Login, roleWord(who.Role))
		}
		return Ruling{Forward: true}
	case Start:
		return s.start(p, who)
	case Doctor:
		if !who.Role.AtLeast(pipeline.Read) {
			return refuse("`/doctor` needs the role read in this repository.")
		}
		return Ruling{Forward: true}
	}
	return refuse("There is no such command. `/help` lists those there are.")
}

func roleWord(r pipeline.Role) string {
	if r == pipeline.NoRole {
		return "no role"
	}
	return "the role " + string(r)
}

// environment finds the place that a command names. A bare "preview" is this pull request's own.
func (s State) environment(c Command) (pipeline.Environment, string, *Ruling) {
	base, _, _ := strings.Cut(c.Environment, "/")
	spec, ok := s.spec(base)
	name := c.Environment
	if ok && spec.On.PullRequest {
		own := fmt.Sprintf("%s/pr-%d", spec.Name, c.Pull)
		if name != spec.Name && name != own {
			r := refuse("`%s` belongs to another pull request; say it there, or type `/%s %s` for this one.", name, c.Verb, spec.Name)
			return spec, "", &r
		}
		name = own
	} else if ok && name != spec.Name {
		ok = false
	}
	if !ok {
		var names []string
		for _, d := range s.Definitions {
			names = append(names, "`"+d.Name+"`")
		}
		if len(names) == 0 {
			r := refuse("The default branch's %s defines no environments yet.", pipeline.PlanPath)
			return spec, "", &r
		}
		r := refuse("There is no environment `%s`. Type `/%s ENV` with one of %s.", c.Environment, c.Verb, strings.Join(names, ", "))
		return spec, "", &r
	}
	return spec, name, nil
}

// speaksOf reports whether a command means a commit: by the id it names, else by the one it was bound to.
func speaksOf(p Pending, c pipeline.Commit) bool {
	if p.Command.Commit != "" {
		return len(p.Command.Commit) >= 7 && strings.HasPrefix(string(c), p.Command.Commit)
	}
	return p.Commit != "" && p.Commit == c
}

func spoken(p Pending) string {
	if p.Command.Commit != "" {
		return pipeline.Commit(p.Command.Commit).Short()
	}
	return p.Commit.Short()
}
