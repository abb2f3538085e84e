package deploy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// drawn is the card of what waits for production, with the lock of that moment, as the effect finds it out.
func drawn(t *testing.T, s deploy.State, second int) deploy.State {
	t.Helper()
	p := s.Places["production"]
	if !s.OwesCard(p) {
		t.Fatal("no card is owed")
	}
	known, ok := s.Relocked(p)
	if !ok {
		known = s.Blank(p)
		known.CommitCount, known.FileCount, known.Thorough = 1, 1, true
	}
	s = deploy.Apply(s, deploy.CardKnown{Environment: p.Name, Promotion: p.Waiting.ID, Card: known, At: at(second)})
	if s.OwesCard(s.Places["production"]) {
		t.Fatal("the card that was drawn is owed again")
	}
	return s
}

func fold(s deploy.State, parts ...any) deploy.State {
	for _, e := range chain(parts...) {
		s = deploy.Apply(s, e)
	}
	return s
}

// toProduction is a repository whose production waits, without a card, and with another open pull request.
func toProduction(t *testing.T) deploy.State {
	t.Helper()
	all := shipped()
	return drawn(t, fold(deploy.State{}, all[:len(all)-1], pull('c', 16, numbered(14))), 17)
}

func lockProduction(id string, second int, change ...func(*deploy.Command)) []deploy.Event {
	change = append([]func(*deploy.Command){onPull(14)}, change...)
	return asked(id, mona, pipeline.Write, deploy.TakeLock, "production", second, change...)
}

func shownCard(s deploy.State) deploy.Card { return *s.Places["production"].Waiting.Card }

func open(s deploy.State, second int) bool { return s.Gate(s.Places["production"], at(second)).Open }

func TestTheLockOfAnEnvironmentIsPartOfItsCardAndOfTheHash(t *testing.T) {
	t.Parallel()
	free := toProduction(t)
	locked := drawn(t, fold(free, lockProduction("c1", 20, why("the migration"))), 21)
	renewed := fold(locked, lockProduction("c2", 22, why("the migration"), lasting(3*time.Hour)))
	if renewed.OwesCard(renewed.Places["production"]) {
		t.Error("a lock that was renewed is another card")
	}
	reasoned := drawn(t, fold(locked, lockProduction("c2", 22, why("the fair"))), 23)
	if l := shownCard(locked).Lock; l == nil || l.Words() != "locked for #14 by @mona: `the migration`" {
		t.Errorf("the card shows the lock %+v", l)
	}
	seen := map[string]bool{}
	for _, s := range []deploy.State{free, locked, reasoned} {
		seen[shownCard(s).Hash()] = true
	}
	if len(seen) != 3 {
		t.Errorf("three locks have %d hashes", len(seen))
	}
}

func TestALockThatIsTakenAfterAnApprovalVoidsItAndNothingStartsInBetween(t *testing.T) {
	t.Parallel()
	s := fold(toProduction(t), asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20))
	if !open(s, 21) {
		t.Fatal("an approval opens nothing")
	}
	own := func(c *deploy.Command) { c.Pull = 14 }
	s = fold(s, lockProduction("c2", 22, own))
	if open(s, 23) {
		t.Error("it may enter before the card with the new lock was shown")
	}
	s = drawn(t, s, 24)
	s = fold(s, asked("c3", mona, pipeline.Write, deploy.EndLock, "production", 25, onPull(14)))
	s = drawn(t, s, 26)
	if open(s, 27) {
		t.Error("an approval that saw no lock counts after there was one")
	}
	if why := s.Gate(s.Places["production"], at(27)).Missing; !strings.Contains(why, "the one of @hubot is void: the lock of the environment has changed since") {
		t.Errorf("the reason: %s", why)
	}
}

func TestAnApprovalThatSawTheLockCountsWhenTheLockEnds(t *testing.T) {
	t.Parallel()
	s := drawn(t, fold(toProduction(t), lockProduction("c1", 20)), 21)
	s = fold(s, asked("c2", hubot, pipeline.Maintain, deploy.Approve, "production", 22))
	if open(s, 23) {
		t.Fatal("what is locked for another pull request may enter")
	}
	s = fold(s, asked("c3", mona, pipeline.Write, deploy.EndLock, "production", 24, onPull(14)))
	if open(s, 25) {
		t.Error("it may enter before its card is true again")
	}
	s = drawn(t, s, 26)
	if !open(s, 27) {
		t.Errorf("its approval is lost: %s", s.Gate(s.Places["production"], at(27)).Missing)
	}
	other := drawn(t, fold(s, lockProduction("c4", 28, why("something else"))), 29)
	if got := len(other.Places["production"].Waiting.Approvals); got != 0 {
		t.Errorf("%d approvals stay beside a lock that nobody saw", got)
	}
}

func TestACardOfAnOlderVersionThatKnewNoLocksStaysTrue(t *testing.T) {
	t.Parallel()
	s := fold(deploy.State{}, shipped(), pull('c', 16, numbered(14)), asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20), lockProduction("c2", 21),
		asked("c3", mona, pipeline.Write, deploy.EndLock, "production", 22, onPull(14)))
	if s.OwesCard(s.Places["production"]) || !open(s, 23) {
		t.Error("what a journal of before says is judged anew")
	}
}
