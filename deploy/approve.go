package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

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
	next.Held, next.Voided = "", ""
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
	if c.Verb != Approve && (c.Verb != Can || c.Environment == "") {
		return ""
	}
	spec, name, no := s.environment(c)
	if no != nil || spec.Approve == nil || !spec.Approve.NotAuthor || s.Places[name].Waiting == nil {
		return ""
	}
	return s.Places[name].Waiting.Commit
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
