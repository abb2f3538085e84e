package deploy

import (
	"fmt"
	"time"
)

// held says what keeps the promotion that waits at a place from entering, whatever its gate says: a freeze, or the lock
// of another pull request. Nothing keeps a rollback: going back must be possible at the worst moment.
func (s State) held(p Place, now time.Time) string {
	if p.Waiting == nil || p.Waiting.Rollback {
		return ""
	}
	if all := s.holds(p, now); len(all) > 0 {
		return all[0]
	}
	return ""
}

// holds are the freezes of a place, and its lock, unless what waits there is of the pull request that has it.
func (s State) holds(p Place, now time.Time) (words []string) {
	for _, name := range []string{"", p.Spec.Name} {
		if f, ok := s.Freezes[name]; ok && now.Before(f.Until) {
			words = append(words, f.words())
		}
	}
	if l, ok := s.Locks[p.Name]; ok && now.Before(l.Until) && (p.Waiting == nil || s.Pulls[l.Pull].Head != p.Waiting.Commit) {
		words = append(words, l.words())
	}
	return words
}

// askAgain lets what waits try its gate anew, because what it was held by may be gone.
func (s State) askAgain(where func(Place) bool) State {
	for name, p := range s.Places {
		if p.Waiting == nil || p.Waiting.Held == "" || !where(p) {
			continue
		}
		w := *p.Waiting
		w.Held = ""
		p.Waiting = &w
		s.Places = with(s.Places, name, p)
	}
	return s
}

// EndHold owes the stream the end of a lock or a freeze, at its time.
type EndHold struct {
	Freeze      bool
	Environment string // of a freeze, empty: all of them
	At          time.Time
}

// Name of the effect. It holds the time, so that a renewal replaces what was owed before.
func (e EndHold) Name() string {
	what := "lock"
	if e.Freeze {
		what = "freeze"
	}
	return fmt.Sprintf("end/%s/%s/%s", what, e.Environment, e.At.UTC().Format(time.RFC3339Nano))
}

// Due is when the effect is owed, and not before.
func (e EndHold) Due() time.Time { return e.At }

func (s State) owedToHolds() (owed []Effect) {
	for _, name := range sortedKeys(s.Locks) {
		owed = append(owed, EndHold{Environment: name, At: s.Locks[name].Until})
	}
	for _, name := range sortedKeys(s.Freezes) {
		owed = append(owed, EndHold{Freeze: true, Environment: name, At: s.Freezes[name].Until})
	}
	return owed
}
