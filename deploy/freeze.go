package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// How long a freeze lasts.
const (
	freezeUsual = day
	freezeMost  = 30 * day
)

// Freeze keeps everything out of an environment, or of all of them, for a while. It ends by itself.
type Freeze struct {
	Environment  string // empty: all of them
	By           pipeline.Actor
	Reason       string
	Since, Until time.Time
}

func (f Freeze) words() string {
	return fmt.Sprintf("frozen by @%s until %s%s", f.By.Login, clock(f.Until), because(f.Reason))
}

// freeze stops everything that would enter. What is on its way arrives, and going back stays possible.
func (s State) freeze(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Maintain) {
		return refuse("`/freeze` needs the role maintain in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	name, reason := s.frozenName(c)
	span, problem := spanOf(c.For, freezeUsual, freezeMost)
	if problem != "" {
		return refuse("%s Type `%s for %s`.", problem, strings.TrimSpace("/freeze "+name), spanWords(freezeUsual))
	}
	f := Freeze{Environment: name, By: c.Actor, Reason: reason, Since: who.At, Until: who.At.Add(span)}
	return Ruling{
		Say: fmt.Sprintf("%s %s. Nothing enters. What is on its way arrives, and `/rollback` stays possible. `%s` ends it earlier.",
			frozenWords(name), f.words(), strings.TrimSpace("/unfreeze "+name)),
		Then: func(s State) State {
			s.Freezes = with(s.Freezes, name, f)
			return s
		},
	}
}

// unfreeze ends a freeze before its time.
func (s State) unfreeze(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Maintain) {
		return refuse("`/unfreeze` needs the role maintain in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	name := ""
	if c.Environment != "" {
		spec, _, no := s.environment(c)
		if no != nil {
			return *no
		}
		name = spec.Name
	}
	if _, ok := s.Freezes[name]; !ok {
		say := "There is no freeze of `" + name + "`."
		if name == "" {
			say = "There is no freeze of all environments."
		}
		for _, other := range sortedKeys(s.Freezes) {
			say += fmt.Sprintf(" %s %s: type `%s`.", frozenWords(other), s.Freezes[other].words(), strings.TrimSpace("/unfreeze "+other))
		}
		return refuse("%s", say)
	}
	return Ruling{Say: frozenWords(name) + " not frozen any more.", Then: func(s State) State { return s.endFreeze(name) }}
}

// frozenName is the environment that a command freezes, and why. The first word is the name of one or begins the
// reason: a name that nobody knows freezes everything, which is the safe mistake.
func (s State) frozenName(c Command) (name, reason string) {
	base, _, _ := strings.Cut(c.Environment, "/")
	if _, ok := s.spec(base); ok {
		return base, c.Reason
	}
	return "", strings.TrimSpace(c.Environment + " " + c.Reason)
}

func frozenWords(name string) string {
	if name == "" {
		return "All environments are"
	}
	return "`" + name + "` is"
}

func (s State) endFreeze(name string) State {
	s.Freezes = without(s.Freezes, name)
	return s.askAgain(func(p Place) bool { return name == "" || p.Spec.Name == name })
}

// freezeEnded ends a freeze whose time is up: not one that was renewed meanwhile.
func (s State) freezeEnded(e FreezeEnded) State {
	if f, ok := s.Freezes[e.Environment]; ok && !e.At.Before(f.Until) {
		return s.endFreeze(e.Environment)
	}
	return s
}
