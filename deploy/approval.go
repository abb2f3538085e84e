package deploy

import (
	"slices"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Approval is one person's word that exactly these bytes of exactly this commit may enter one environment. It serves one
// promotion, and so one deployment: the next one needs new ones, even of the same bytes.
type Approval struct {
	Actor       pipeline.Actor  `json:"actor"`
	Role        pipeline.Role   `json:"role"` // at the moment of the decision
	Teams       []string        `json:"teams,omitempty"`
	Environment string          `json:"environment"`
	Promotion   string          `json:"promotion,omitempty"` // the one that it serves
	Commit      pipeline.Commit `json:"commit"`
	Base        pipeline.Commit `json:"base,omitempty"` // the base of the pull request where it was said, as last seen
	Digest      pipeline.Digest `json:"digest"`
	Plan        string          `json:"plan"`             // hash of the plan whose rule was satisfied
	Card        string          `json:"card,omitempty"`   // hash of the card that says what ships
	Command     string          `json:"command"`          // the command that said it
	Comment     int64           `json:"comment"`          // where it was said; 0 when a button said it
	Button      string          `json:"button,omitempty"` // the button's name
	Body        string          `json:"body,omitempty"`   // SHA-256 of the comment's text as it was received, in hex
	At          time.Time       `json:"at"`
}

// approval is the record of a word that was granted.
func (s State) approval(p Pending, who RoleKnown, environment string, w Promotion) Approval {
	c := p.Command
	return Approval{
		Actor: c.Actor, Role: who.Role, Teams: who.Teams, Environment: environment, Promotion: w.ID,
		Commit: w.Commit, Base: s.Pulls[c.Pull].BaseCommit, Digest: w.Digest, Plan: s.Plan, Card: w.CardHash,
		Command: c.ID, Comment: c.Comment, Button: c.Button, Body: c.Body, At: who.At,
	}
}

// Void is an approval that was given and does not count any more, with the reason.
type Void struct {
	Actor pipeline.Actor
	Why   string
}

// keepVoid is how many of them are remembered, to be shown.
const keepVoid = 10

func noted(before, more []Void) []Void {
	all := append(append([]Void(nil), before...), more...)
	return all[max(len(all)-keepVoid, 0):]
}

func everyone(Approval) bool { return true }

// voided is the promotion without the approvals that which tells, and with the reason.
func (w Promotion) voided(why string, which func(Approval) bool) Promotion {
	var kept []Approval
	var void []Void
	for _, a := range w.Approvals {
		if which(a) {
			void = append(void, Void{a.Actor, why})
		} else {
			kept = append(kept, a)
		}
	}
	w.Approvals, w.Void = kept, noted(w.Void, void)
	return w
}

// rightLost voids the approvals of someone who may not approve any more.
func (s State) rightLost(e RightLost) State {
	return s.onPlace(e.Environment, func(p *Place) {
		if p.Waiting == nil || p.Waiting.ID != e.Promotion {
			return
		}
		w := p.Waiting.voided("@"+e.Actor.Login+" has lost the right to approve it and has "+roleWord(e.Role)+" now",
			func(a Approval) bool { return a.Actor.ID == e.Actor.ID })
		p.Waiting = &w
	})
}

// count parts the approvals of what waits into those that count, one for each person, and those that do not any more.
func (s State) count(spec pipeline.Environment, w Promotion, now time.Time) (counted []Approval, void []Void) {
	if spec.Approve == nil {
		return nil, nil
	}
	seen := map[int64]bool{}
	for _, a := range w.Approvals {
		why := ""
		switch {
		case a.Commit != w.Commit || a.Digest != w.Digest || a.Promotion != "" && a.Promotion != w.ID:
			why = "it was of something else"
		case a.Plan != s.Plan:
			why = "the pipeline file of the default branch has changed since"
		case a.Card != w.CardHash && !slices.Contains(w.Same, a.Card):
			why = "what ships has changed since"
		case spec.Approve.Expires > 0 && !now.Before(a.At.Add(spec.Approve.Expires.Std())):
			why = "it has run out"
		case !eligible(*spec.Approve, a.Actor, a.Role, a.Teams, w):
			why = "the rule does not name them any more"
		case seen[a.Actor.ID]:
			continue
		}
		if why != "" {
			void = append(void, Void{a.Actor, why})
			continue
		}
		seen[a.Actor.ID] = true
		counted = append(counted, a)
	}
	return counted, void
}

// Counted are the approvals of what waits that count at a moment.
func (s State) Counted(p Place, now time.Time) []Approval {
	if p.Waiting == nil {
		return nil
	}
	counted, _ := s.count(p.Spec, *p.Waiting, now)
	return counted
}

// StillMay reports whether someone who has approved what waits may still do so, with the rights of now.
func (p Place) StillMay(a Approval, role pipeline.Role, teams []string) bool {
	return p.Waiting != nil && p.Spec.Approve != nil && eligible(*p.Spec.Approve, a.Actor, role, teams, *p.Waiting)
}
