package deploy

import (
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// How long a lock lasts.
const (
	lockUsual = day
	lockMost  = 7 * day
)

// Lock keeps an environment for the commits of one pull request, for a while. It belongs to the pull request, and ends
// with it at the latest, so that nobody has to look for the person who went home.
type Lock struct {
	Environment  string
	Pull         int
	By           pipeline.Actor
	Reason       string
	Since, Until time.Time
}

func (l Lock) words() string {
	return fmt.Sprintf("locked for #%d by @%s until %s%s", l.Pull, l.By.Login, clock(l.Until), because(l.Reason))
}

// lock takes an environment for the pull request on which it is said. Said again there, it renews the lock.
func (s State) lock(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Write) {
		return refuse("`/lock` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	if spec.On.PullRequest {
		return refuse("`%s` is this pull request's own already, so there is nobody to lock out.", name)
	}
	if !s.Pulls[c.Pull].Open {
		return refuse("A lock belongs to an open pull request and ends with it, and this one is closed. A maintainer may `/freeze %s` instead.", name)
	}
	if old, taken := s.Locks[name]; taken && old.Pull != c.Pull && who.At.Before(old.Until) {
		return refuse("`%s` is %s. Ask there for `/unlock %s`, or a maintainer for `/unlock %s REASON`.", name, old.words(), name, name)
	}
	span, problem := spanOf(c.For, lockUsual, lockMost)
	if problem != "" {
		return refuse("%s Type `/lock %s for %s`.", problem, name, spanWords(lockUsual))
	}
	lock := Lock{Environment: name, Pull: c.Pull, By: c.Actor, Reason: c.Reason, Since: who.At, Until: who.At.Add(span)}
	return Ruling{
		Say: fmt.Sprintf("`%s` is %s. Only commits of #%d enter it; `/rollback` stays possible. `/unlock %s`, or the end of the pull request, ends the lock.",
			name, lock.words(), c.Pull, name),
		Then: func(s State) State {
			s.Locks = with(s.Locks, name, lock)
			return s
		},
	}
}

// unlock gives an environment back: by a word on the pull request that holds it or of the person who took it, or by a
// maintainer who says why.
func (s State) unlock(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Write) {
		return refuse("`/unlock` needs the role write in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	_, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	lock, ok := s.Locks[name]
	if !ok {
		return refuse("`%s` is not locked.", name)
	}
	own := lock.Pull == c.Pull || lock.By.ID == c.Actor.ID
	switch maintains := who.Role.AtLeast(pipeline.Maintain); {
	case !own && !maintains:
		return refuse("`%s` is %s. It is given back on that pull request, by @%s, or by a maintainer with `/unlock %s REASON`.", name, lock.words(), lock.By.Login, name)
	case !own && c.Reason == "":
		return refuse("`%s` is %s. To end the lock of someone else, say why: `/unlock %s REASON`.", name, lock.words(), name)
	}
	say := fmt.Sprintf("`%s` is not locked any more.", name)
	if !own {
		say = fmt.Sprintf("`%s` was %s. @%s has ended the lock%s.", name, lock.words(), c.Actor.Login, because(c.Reason))
	}
	return Ruling{Say: say, Then: func(s State) State { return s.endLock(name) }}
}

func (s State) endLock(name string) State {
	s.Locks = without(s.Locks, name)
	return s.askAgain(func(p Place) bool { return p.Name == name })
}

// unlockPull ends what a pull request has locked.
func (s State) unlockPull(number int) State {
	for name, l := range s.Locks {
		if l.Pull == number {
			s = s.endLock(name)
		}
	}
	return s
}

// lockEnded ends a lock whose time is up: not one that was renewed or taken anew meanwhile.
func (s State) lockEnded(e LockEnded) State {
	if l, ok := s.Locks[e.Environment]; ok && !e.At.Before(l.Until) {
		return s.endLock(e.Environment)
	}
	return s
}
