package deploy

import (
	"fmt"
	"slices"
	"strings"
)

// keepVoided is how many changed comments are remembered: a change may be heard of before the comment itself.
const keepVoided = 50

// approvalVoided takes back the approvals that a comment gave, as long as nothing came of them. Everyone with write
// access may edit what others have written, and what an edited comment says now nobody has approved. An approval on
// which a deployment has begun stays recorded.
func (s State) approvalVoided(e ApprovalVoided) State {
	if e.Comment <= 0 {
		return s
	}
	if !s.isVoided(e.Comment) {
		s.Voided = append(slices.Clone(s.Voided), e.Comment)
		s.Voided = s.Voided[max(0, len(s.Voided)-keepVoided):]
	}
	var lost []taken
	for _, name := range sortedKeys(s.Places) {
		p := s.Places[name]
		if p.Waiting == nil {
			continue
		}
		w := *p.Waiting
		w.Approvals = nil
		for _, a := range p.Waiting.Approvals {
			if a.Comment != e.Comment {
				w.Approvals = append(w.Approvals, a)
				continue
			}
			lost = append(lost, taken{a, w.Rollback})
			w.Voided = fmt.Sprintf("the approval of @%s counts no more, because its comment was %s", a.Actor.Login, e.Why)
		}
		switch {
		case len(w.Approvals) == len(p.Waiting.Approvals):
			continue
		case w.Rollback:
			p.Waiting = nil // nobody asks for it any more
		default:
			p.Waiting = &w
		}
		s.Places = with(s.Places, name, p)
	}
	if len(lost) == 0 {
		return s
	}
	return s.sayVoided(e, lost)
}

// taken is an approval that was taken back.
type taken struct {
	Approval
	rollback bool
}

// sayVoided owes one answer, as if a command had been refused.
func (s State) sayVoided(e ApprovalVoided, lost []taken) State {
	var lines, again []string
	for _, a := range lost {
		line := fmt.Sprintf("/approve %s@%s", a.Environment, a.Commit.Short())
		if a.rollback {
			line = fmt.Sprintf("/rollback %s %s", a.Environment, a.Digest.Short())
		}
		lines, again = append(lines, line), append(again, "`"+line+"`")
	}
	by := ""
	if e.By.Login != "" {
		by = " by @" + e.By.Login
	}
	id := fmt.Sprintf("voided.%d", e.Comment)
	s.Commands = with(s.Commands, id, Pending{
		Command: Command{ID: id, Pull: e.Pull, Comment: e.Comment, Actor: lost[0].Actor, Verb: Approve, Line: strings.Join(lines, " "), At: e.At},
		Commit:  lost[0].Commit, Acked: true, Decided: true, Passed: true, Refused: true,
		Say: fmt.Sprintf("The comment that said this was %s%s, so the word of @%s counts no more. Who still means it says so in a new comment: %s.",
			e.Why, by, lost[0].Actor.Login, strings.Join(again, ", ")),
	})
	return s
}

func (s State) isVoided(comment int64) bool { return slices.Contains(s.Voided, comment) }
