package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// CardLock is the lock of an environment as people see it before they approve. Its end is not part of it: a lock that is
// renewed is still the same one, and its time stands beside the card.
type CardLock struct {
	Pull   int            `json:"pull"`
	By     pipeline.Actor `json:"by"`
	Reason string         `json:"reason,omitempty"` // in the person's own words: shown as code, never as Markdown
}

// Words say who keeps the environment, and why.
func (l CardLock) Words() string {
	return fmt.Sprintf("locked for #%d by @%s%s", l.Pull, l.By.Login, because(l.Reason))
}

func (s State) cardLock(p Place) *CardLock {
	l, ok := s.Locks[p.Name]
	if !ok {
		return nil
	}
	return &CardLock{l.Pull, l.By, l.Reason}
}

func (l *CardLock) equal(o *CardLock) bool {
	return l == o || l != nil && o != nil && l.Pull == o.Pull && l.By.ID == o.By.ID && l.Reason == o.Reason
}

// name tells locks apart in the name of an effect.
func (l *CardLock) name() string {
	if l == nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s", l.Pull, l.By.ID, l.Reason))
	return "/lock-" + hex.EncodeToString(sum[:6])
}

// Relocked is a card that still says what ships, with the lock of now; false when it has to be drawn anew.
func (s State) Relocked(p Place) (Card, bool) {
	if p.Waiting == nil || p.Waiting.Card == nil {
		return Card{}, false
	}
	card := *p.Waiting.Card
	card.Lock, card.Guarded = s.cardLock(p), true
	w := *p.Waiting
	w.Card, p.Waiting = &card, &w
	return card, !s.OwesCard(p)
}

// shown is a promotion whose card people see by now. Approvals of another card are void, but for one change: who approved
// what was locked has seen that lock, and need not say so again when nobody keeps the environment any more.
func (w Promotion) shown(card Card) Promotion {
	hash := card.Hash()
	why := "what ships has changed since"
	var same []string
	if old := w.Card; old != nil && old.without().Hash() == card.without().Hash() && !old.Lock.equal(card.Lock) {
		why = "the lock of the environment has changed since"
		if card.Lock == nil {
			same = append(slices.Clone(w.Same), w.CardHash)
		}
	}
	if old := w.Card; old != nil && w.CardHash == hash {
		same = w.Same
	}
	w = w.voided(why, func(a Approval) bool { return a.Card != hash && !slices.Contains(same, a.Card) })
	w.Card, w.CardHash, w.Same = &card, hash, same
	return w
}

func (c Card) without() Card {
	c.Lock = nil
	return c
}
