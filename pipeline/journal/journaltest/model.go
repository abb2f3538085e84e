package journaltest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// model is the contract in the fewest words: it knows nothing of stores, batches in flight or indexes.
type model struct {
	streams map[string]*modelled
	steps   int
}

type modelled struct {
	facts    []journal.Record
	token    int64
	leased   bool
	parked   bool
	wake     time.Time // of a parked one; zero for none
	due      time.Time // zero: resting
	appended time.Time
	step     int
}

func (m *model) append(b journal.Batch, now time.Time) error {
	s := m.streams[b.Stream]
	if s == nil {
		s = &modelled{}
	}
	if b.Token != 0 && b.Token != s.token {
		return journal.ErrLeaseLost
	}
	all := append(slices.Clone(s.facts), b.Records...)
	for i, r := range all {
		same := func(o journal.Record) bool { return r.Key != "" && o.Key == r.Key }
		if i >= len(s.facts) && slices.ContainsFunc(all[:i], same) {
			return journal.ErrDuplicate
		}
	}
	if b.Expect != journal.Any && b.Expect != int64(len(s.facts)) {
		return journal.ErrConflict
	}
	s.wakeUp(now)
	m.steps++
	s.facts, s.appended, s.step = all, now, m.steps
	if !s.leased && (s.due.IsZero() || s.parked || s.due.After(now)) {
		s.due, s.parked = now, false
	}
	m.streams[b.Stream] = s
	return nil
}

// wakeUp is what the time does to a parked stream.
func (s *modelled) wakeUp(now time.Time) {
	if s.parked && !s.wake.IsZero() && !s.wake.After(now) {
		s.parked = false
	}
}

// next is the stream to lease, or empty. Of parked streams, now is the time that their rights must not have passed.
func (m *model) next(now time.Time, parked bool, prefixes []string) string {
	best := ""
	for name, s := range m.streams {
		fits := len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if !fits || s.parked != parked || s.due.IsZero() || s.due.After(now) {
			continue
		}
		if best == "" || cmp.Or(s.due.Compare(m.streams[best].due), cmp.Compare(name, best)) < 0 {
			best = name
		}
	}
	return best
}

func (m *model) holds(l journal.Lease) bool {
	s := m.streams[l.Stream]
	return s != nil && s.leased && s.token == l.Token
}

func (m *model) release(l journal.Lease, seen int64, wake, now time.Time) error {
	s := m.streams[l.Stream]
	switch {
	case s == nil || s.token != l.Token:
		return journal.ErrLeaseLost
	case !s.leased:
		return nil
	case seen < int64(len(s.facts)):
		s.due = now
	case wake.IsZero():
		s.due = time.Time{}
	case wake.Before(now):
		s.due = now
	default:
		s.due = wake
	}
	s.leased = false
	return nil
}

func (m *model) park(l journal.Lease, seen int64, since, wake, now time.Time) error {
	s := m.streams[l.Stream]
	if s != nil && s.token == l.Token && s.leased && seen >= int64(len(s.facts)) {
		s.leased, s.parked, s.due, s.wake = false, true, since, wake
		return nil
	}
	return m.release(l, seen, time.Time{}, now)
}

func (m *model) list(prefix string, limit int) []string {
	var names []string
	for name := range m.streams {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return m.streams[b].step - m.streams[a].step })
	return names[:min(limit, len(names))]
}

func (m *model) depth(now time.Time) (waiting int, oldest time.Duration) {
	for _, s := range m.streams {
		if s.leased || s.parked || !s.due.IsZero() && !s.due.After(now) {
			waiting++
			oldest = max(oldest, now.Sub(s.due))
		}
	}
	return waiting, oldest
}

func (m *model) forget(prefix string, before time.Time) int {
	gone := 0
	for name, s := range m.streams {
		if strings.HasPrefix(name, prefix) && s.due.IsZero() && s.appended.Before(before) {
			delete(m.streams, name)
			gone++
		}
	}
	return gone
}
