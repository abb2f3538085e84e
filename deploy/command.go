package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// commanded takes a command up. Which commit it speaks of is decided here, once: the one it names, else the pull
// request's head while it is open, else the commit that merged it.
func (s State) commanded(e Commanded) State {
	c := e.Command
	if _, ok := s.Commands[c.ID]; ok {
		return s
	}
	s.Repo = e.Repo
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
	if ruling.Refused || ruling.Place == nil {
		return s
	}
	s.Places = with(s.Places, ruling.Place.Name, *ruling.Place)
	return s
}

// Ruling is what becomes of a command.
type Ruling struct {
	Refused bool
	Say     string // the reason, and the full command to type instead; or what happens now
	Place   *Place // the environment as it is afterwards, when the command changes it
	Forward bool   // the runs must be told
}

func refuse(format string, args ...any) Ruling {
	return Ruling{Refused: true, Say: fmt.Sprintf(format, args...)}
}

// Decide rules on a command by what is known. It is pure: the same state and role give the same ruling.
func Decide(s State, p Pending, who RoleKnown) Ruling {
	c := p.Command
	switch {
	case c.Problem != "":
		return refuse("%s", c.Problem)
	case c.Actor.Bot:
		return refuse("Commands of Apps and bots are not taken.")
	}
	switch c.Verb {
	case Help:
		return Ruling{Say: HelpText}
	case Approve:
		return s.approve(p, who)
	case Promote:
		return s.promote(p, who)
	case Rollback:
		return s.rollback(p, who)
	case Retest, Cancel:
		if !who.Role.AtLeast(pipeline.Write) {
			return refuse("`/%s` needs the role write in this repository; @%s has %s.", c.Verb, c.Actor.Login, roleWord(who.Role))
		}
		return Ruling{Forward: true}
	}
	return refuse("There is no such command. `/help` lists those there are.")
}

// HelpText lists the commands.
const HelpText = "" +
	"| command | what it does | who may |\n|---|---|---|\n" +
	"| `/approve ENV` or `/approve ENV@SHA` | lets the commit that waits for ENV in | whom the environment's `approve.by` names |\n" +
	"| `/deploy ENV` or `/deploy ENV@SHA` | wants this pull request's commit in ENV | write |\n" +
	"| `/rollback ENV` or `/rollback ENV DIGEST` | puts a release of before back | whom the environment's `approve.by` names, else write |\n" +
	"| `/retest` | runs the checks of the head again | write |\n" +
	"| `/cancel` | ends the runs of this pull request | write |\n" +
	"| `/help` | this list | everyone |\n\n" +
	"A command stands on a line of its own in a new comment. Edited comments, quotes and code are not read."

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

// approve counts one person's word for what waits, if it is of the very commit that the command speaks of.
func (s State) approve(p Pending, who RoleKnown) Ruling {
	c := p.Command
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	if spec.Approve == nil {
		return refuse("`%s` asks for no approval: what is verified before it goes there by itself.", name)
	}
	if !satisfies(*spec.Approve, c.Actor, who.Role, who.Teams) {
		return refuse("`%s` may be approved by %s; @%s has %s. Ask one of them to comment `%s`.",
			name, strings.Join(spec.Approve.By, ", "), c.Actor.Login, roleWord(who.Role), "/approve "+name+sha(s.Places[name]))
	}
	place := s.Places[name]
	w := place.Waiting
	if w == nil {
		return refuse("Nothing waits for `%s`%s", name, after(spec))
	}
	if !speaksOf(p, w.Commit) {
		return refuse("`%s` waits for the approval of %s, and this comment speaks of %s. If you mean what waits, type `/approve %s@%s`.",
			name, w.Commit.Short(), spoken(p), name, w.Commit.Short())
	}
	author := s.Author(w.Commit)
	wrote := author.ID == c.Actor.ID || slices.ContainsFunc(who.Wrote, func(a pipeline.Actor) bool { return a.ID == c.Actor.ID })
	if spec.Approve.NotAuthor && !w.Rollback && author.ID == 0 && !wrote {
		return refuse("Nobody knows any more who wrote %s, and `%s` asks for someone else's approval than the author's. Push it again.", w.Commit.Short(), name)
	}
	if spec.Approve.NotAuthor && !w.Rollback && wrote {
		return refuse("@%s wrote this change, and `%s` asks for someone else's approval. Ask another of %s to comment `/approve %s@%s`.",
			c.Actor.Login, name, strings.Join(spec.Approve.By, ", "), name, w.Commit.Short())
	}
	next := *w
	next.Held = ""
	next.Approvals = append(slices.Clone(valid(spec, *w, who.At)), Approval{
		Actor: c.Actor, Role: who.Role, Teams: who.Teams, Environment: name, Commit: w.Commit, Digest: w.Digest,
		Plan: s.Plan, Command: c.ID, Comment: c.Comment, At: who.At,
	})
	place.Waiting = &next
	gate := s.Gate(place, who.At)
	say := fmt.Sprintf("Approved: %s (`%s`) may enter `%s`.", w.Commit.Short(), w.Digest.Short(), name)
	if !gate.Open {
		say += " Still missing: " + gate.Missing + "."
	}
	return Ruling{Say: say, Place: &place}
}

// WaitsForAnother is the commit that a command may approve unless the one who commands wrote it; empty when there is none.
func (s State) WaitsForAnother(c Command) pipeline.Commit {
	if c.Verb != Approve {
		return ""
	}
	spec, name, no := s.environment(c)
	if no != nil || spec.Approve == nil || !spec.Approve.NotAuthor || s.Places[name].Waiting == nil {
		return ""
	}
	return s.Places[name].Waiting.Commit
}

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

// rollback wants a release of before back, on the word of one person who may open the environment's gate.
func (s State) rollback(p Pending, who RoleKnown) Ruling {
	c := p.Command
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	switch rule := spec.Approve; {
	case rule != nil && !satisfies(*rule, c.Actor, who.Role, who.Teams):
		return refuse("`%s` may be rolled back by %s; @%s has %s. Ask one of them to comment `%s`.",
			name, strings.Join(rule.By, ", "), c.Actor.Login, roleWord(who.Role), c.Line)
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
		Approvals: []Approval{{
			Actor: c.Actor, Role: who.Role, Teams: who.Teams, Environment: name, Commit: to.Commit, Digest: to.Digest,
			Plan: s.Plan, Command: c.ID, Comment: c.Comment, At: who.At,
		}},
	}
	return Ruling{Say: fmt.Sprintf("`%s` goes back to %s (`%s`).", name, to.Commit.Short(), to.Digest.Short()), Place: &place}
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

func sha(p Place) string {
	if p.Waiting == nil {
		return ""
	}
	return "@" + p.Waiting.Commit.Short()
}

func after(spec pipeline.Environment) string {
	if spec.After == "" {
		return " now."
	}
	return fmt.Sprintf(" now: what `%s` runs is offered to it once it is verified there.", spec.After)
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

// wait is the time at which a place's expiry is due, zero when it has none.
func (p Place) wait() time.Time {
	if p.Live == nil || p.Spec.Expires <= 0 || p.Pull == 0 {
		return time.Time{}
	}
	return p.Live.At.Add(p.Spec.Expires.Std())
}
