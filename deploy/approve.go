package deploy

import (
	"fmt"
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// approve counts one person's word for what waits, if it is of the very commit that the command speaks of, and may be.
func (s State) approve(p Pending, who RoleKnown) Ruling {
	c := p.Command
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	if spec.Approve == nil {
		return refuse("`%s` asks for no approval: what is verified before it goes there by itself.", name)
	}
	rule, place := *spec.Approve, s.Places[name]
	w := place.Waiting
	if w == nil && rule.Names(pipeline.Codeowners) {
		return refuse("Nothing waits for `%s`%s", name, after(spec)) // so that nobody owns any of it
	}
	if !eligible(rule, c.Actor, who.Role, who.Teams, waiting(place)) {
		return refuse("`%s` may be approved by %s; @%s has %s%s. Ask one of them to comment `%s`.",
			name, whom(rule), c.Actor.Login, roleWord(who.Role), ownerless(rule, w), "/approve "+name+sha(place))
	}
	if w == nil {
		return refuse("Nothing waits for `%s`%s", name, after(spec))
	}
	if !speaksOf(p, w.Commit) {
		return refuse("`%s` waits for the approval of %s, and this comment speaks of %s. If you mean what waits, type `/approve %s@%s`.",
			name, w.Commit.Short(), spoken(p), name, w.Commit.Short())
	}
	if why := s.tooSoon(c, rule.Window()); why != "" {
		return refuse("%s If you have read it and mean %s, type `/approve %s@%s`.", why, w.Commit.Short(), name, w.Commit.Short())
	}
	if s.ambiguous(c.Commit, w.Commit) {
		return refuse("More than one commit begins with `%s`. If you mean what waits, type `/approve %s@%s`.", c.Commit, name, w.Commit)
	}
	if no := s.independent(c, who, rule, name, *w); no != nil {
		return *no
	}
	next := *w
	next.Held, next.Voided = "", ""
	counted, void := s.count(spec, next, who.At)
	next.Approvals, next.Void = append(slices.Clone(counted), s.approval(p, who, name, next)), noted(next.Void, void)
	place.Waiting = &next
	gate := s.Gate(place, who.At)
	say := fmt.Sprintf("Approved: %s (`%s`) may enter `%s`.", w.Commit.Short(), w.Digest.Short(), name)
	if !gate.Open {
		say += " Still missing: " + gate.Missing + "."
	}
	return Ruling{Say: say, Place: &place}
}

// independent refuses those whose own change ships, where a rule asks for others. Going back is nobody's change.
func (s State) independent(c Command, who RoleKnown, rule pipeline.Approve, name string, w Promotion) *Ruling {
	if w.Rollback {
		return nil
	}
	author := s.Author(w.Commit)
	mine := func(a pipeline.Actor) bool { return a.ID == c.Actor.ID }
	wrote := author.ID != 0 && mine(author) || slices.ContainsFunc(who.Wrote, mine)
	var no Ruling
	switch {
	case rule.NotAuthor && wrote:
		no = refuse("@%s wrote this change, and `%s` asks for someone else's approval. Ask another of %s to comment `/approve %s@%s`.",
			c.Actor.Login, name, whom(rule), name, w.Commit.Short())
	case rule.NotAuthor && author.ID == 0:
		no = refuse("Nobody knows any more who wrote %s, and `%s` asks for someone else's approval than the author's. Push it again.", w.Commit.Short(), name)
	case !rule.NotContributor:
		return nil
	case wrote || w.Card != nil && slices.ContainsFunc(w.Card.Contributors, mine):
		no = refuse("@%s contributed to what ships, and `%s` asks for the approval of others. Ask another of %s to comment `/approve %s@%s`.",
			c.Actor.Login, name, whom(rule), name, w.Commit.Short())
	case w.Card == nil || !w.Card.Thorough:
		no = refuse("Who contributed to %s is not known yet, and `%s` asks for the approval of others. Type `/approve %s@%s` again in a minute.",
			w.Commit.Short(), name, name, w.Commit.Short())
	case w.Card.CommitsGap != "" || w.Card.Unknown > 0:
		gap := w.Card.CommitsGap
		if gap == "" {
			gap = fmt.Sprintf("the authors of %d commits have no account at GitHub", w.Card.Unknown)
		}
		no = refuse("Nobody can say who contributed to %s, and `%s` asks for the approval of others: %s.", w.Commit.Short(), name, gap)
	default:
		return nil
	}
	return &no
}

// WaitsForAnother is the commit that a command may approve unless the one who commands wrote it; empty when there is none.
func (s State) WaitsForAnother(c Command) pipeline.Commit {
	if c.Verb != Approve && (c.Verb != Can || c.Environment == "") {
		return ""
	}
	spec, name, no := s.environment(c)
	if no != nil || spec.Approve == nil || !spec.Approve.NotAuthor && !spec.Approve.NotContributor || s.Places[name].Waiting == nil {
		return ""
	}
	return s.Places[name].Waiting.Commit
}

// ownerless says why nobody counts as an owner, where a rule asks for owners and there are none.
func ownerless(rule pipeline.Approve, w *Promotion) string {
	switch {
	case w == nil || w.Card == nil || !rule.Names(pipeline.Codeowners) || len(w.Card.Owners) > 0:
		return ""
	case w.Card.FilesGap != "":
		return ", and the owners are not known: " + w.Card.FilesGap
	}
	return ", and no changed file has an owner"
}

func waiting(p Place) Promotion {
	if p.Waiting == nil {
		return Promotion{}
	}
	return *p.Waiting
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
