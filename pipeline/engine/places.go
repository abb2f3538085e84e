package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// places are what heavy effects need one of while they are done. A free place goes to whoever has the oldest right: a
// stream that is tended here and waits (a seeker), or one that is parked in the journal, by this or another server.
//
// As long as there may be parked streams, only the usher gives places out; else whoever comes first takes one at once.
type places struct {
	mu      sync.Mutex
	free    int
	seekers []*seeker     // the one with the oldest right first
	parked  int           // counts what was parked, from 1; 0: nothing is parked, as far as is known
	look    chan struct{} // holds one: the usher has something to do
}

// seeker is a stream under lease here that waits for a place.
type seeker struct {
	since time.Time
	wake  chan<- struct{}
	given bool
}

func newPlaces(n int) *places {
	return &places{free: n, parked: 1, look: make(chan struct{}, 1)}
}

// take takes a place, or lines up for one.
func (p *places) take(s *seeker, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s.given:
		s.given = false
		return true
	case slices.Contains(p.seekers, s):
		return false
	case p.free > 0 && p.parked == 0 && len(p.seekers) == 0:
		p.free--
		return true
	}
	s.since = since
	at, _ := slices.BinarySearchFunc(p.seekers, s, func(have, s *seeker) int {
		if have.since.After(s.since) {
			return 1
		}
		return -1 // those who came before stay before
	})
	p.seekers = slices.Insert(p.seekers, at, s)
	p.nudge()
	return false
}

// give gives places back.
func (p *places) give(n int) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += n
	p.nudge()
}

// leave takes a seeker out of the line. It gives back what the seeker was given and did not take.
func (p *places) leave(s *seeker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(s)
	if s.given {
		s.given = false
		p.free++
		p.nudge()
	}
}

// park takes a seeker out of the line when it has no place in sight.
func (p *places) park(s *seeker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.given || p.free > 0 {
		return false
	}
	p.drop(s)
	return true
}

// look for what is parked before anyone takes a place.
func (p *places) suspect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked++
	p.nudge()
}

func (p *places) drop(s *seeker) {
	p.seekers = slices.DeleteFunc(p.seekers, func(have *seeker) bool { return have == s })
}

func (p *places) nudge() {
	if p.free > 0 {
		select {
		case p.look <- struct{}{}:
		default:
		}
	}
}

// next gives a place to the first seeker, unless a parked stream may come before it. Then it tells to look for one:
// before is the bound of its right, zero for none.
func (p *places) next() (before time.Time, parked int, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.parked == 0 && p.free > 0 && len(p.seekers) > 0 {
		p.serve()
	}
	if p.free == 0 || p.parked == 0 {
		return time.Time{}, 0, false
	}
	if len(p.seekers) > 0 {
		before = p.seekers[0].since
	}
	return before, p.parked, true
}

// resume takes a place for a parked stream. Only the usher takes any while there may be parked ones, so one is free.
func (p *places) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free--
}

// none says that no parked stream has an older right than before.
func (p *places) none(before time.Time, parked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case before.IsZero() && p.parked == parked:
		p.parked = 0
	case !before.IsZero() && len(p.seekers) > 0 && !p.seekers[0].since.After(before):
		p.serve()
	}
}

func (p *places) serve() {
	s := p.seekers[0]
	p.seekers = slices.Delete(p.seekers, 0, 1)
	p.free--
	s.given = true
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// usher gives free places away, until ctx ends. Streams are parked by other servers, too, and nobody tells of it: while a
// place is free, it looks for itself.
func (e *Engine) usher(ctx context.Context, tend func(l journal.Lease, places int)) {
	look := time.NewTicker(e.o.Idle)
	defer look.Stop()
	for {
		for ctx.Err() == nil {
			before, parked, more := e.places.next()
			if !more {
				break
			}
			l, err := e.o.Journal.LeaseParked(ctx, e.o.TTL, before, e.prefixes()...)
			switch {
			case err == nil:
				e.places.resume()
				tend(l, 1)
				continue
			case errors.Is(err, journal.ErrNoWork):
				e.places.none(before, parked)
				continue
			case ctx.Err() == nil:
				e.o.Log.Error("the journal gives no parked work", "err", err)
			}
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-e.places.look:
		case <-look.C:
			e.places.suspect()
		}
	}
}
