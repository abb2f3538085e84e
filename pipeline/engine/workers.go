package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// workers are what heavy effects need one of while they are done. A free worker goes to whoever has the oldest right: a
// stream that is tended here and waits (a seeker), or one that is parked in the journal, by this or another server.
//
// As long as there may be parked streams, only the usher gives workers out; else whoever comes first takes one at once.
type workers struct {
	mu      sync.Mutex
	free    int
	seekers []*seeker     // the one with the oldest right first
	parked  int           // counts what was parked, from 1; 0: nothing is parked, as far as is known
	look    chan struct{} // holds one: the usher has something to do
}

// seeker is a stream under lease here that waits for a worker.
type seeker struct {
	since time.Time
	wake  chan<- struct{}
	given bool
}

func newWorkers(n int) *workers {
	return &workers{free: n, parked: 1, look: make(chan struct{}, 1)}
}

// take takes a worker, or lines up for one.
func (w *workers) take(s *seeker, since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case s.given:
		s.given = false
		return true
	case slices.Contains(w.seekers, s):
		return false
	case w.free > 0 && w.parked == 0 && len(w.seekers) == 0:
		w.free--
		return true
	}
	s.since = since
	at, _ := slices.BinarySearchFunc(w.seekers, s, func(have, s *seeker) int {
		if have.since.After(s.since) {
			return 1
		}
		return -1 // those who came before stay before
	})
	w.seekers = slices.Insert(w.seekers, at, s)
	w.nudge()
	return false
}

// give gives workers back.
func (w *workers) give(n int) {
	if n == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free += n
	w.nudge()
}

// leave takes a seeker out of the line. It gives back what the seeker was given and did not take.
func (w *workers) leave(s *seeker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(s)
	if s.given {
		s.given = false
		w.free++
		w.nudge()
	}
}

// park takes a seeker out of the line when it has no worker in sight.
func (w *workers) park(s *seeker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.given || w.free > 0 {
		return false
	}
	w.drop(s)
	return true
}

// suspect says that something may be parked: nobody takes a worker past it.
func (w *workers) suspect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parked++
	w.nudge()
}

func (w *workers) drop(s *seeker) {
	w.seekers = slices.DeleteFunc(w.seekers, func(have *seeker) bool { return have == s })
}

func (w *workers) nudge() {
	if w.free > 0 {
		select {
		case w.look <- struct{}{}:
		default:
		}
	}
}

// next gives a worker to the first seeker, unless a parked stream may come before it. Then it tells to look for one:
// before is the bound of its right, zero for none.
func (w *workers) next() (before time.Time, parked int, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.parked == 0 && w.free > 0 && len(w.seekers) > 0 {
		w.serve()
	}
	if w.free == 0 || w.parked == 0 {
		return time.Time{}, 0, false
	}
	if len(w.seekers) > 0 {
		before = w.seekers[0].since
	}
	return before, w.parked, true
}

// resume takes a worker for a parked stream. Only the usher takes any while there may be parked ones, so one is free.
func (w *workers) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free--
}

// none says that no parked stream has an older right than before.
func (w *workers) none(before time.Time, parked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case before.IsZero() && w.parked == parked:
		w.parked = 0
	case !before.IsZero() && len(w.seekers) > 0 && !w.seekers[0].since.After(before):
		w.serve()
	}
}

func (w *workers) serve() {
	s := w.seekers[0]
	w.seekers = slices.Delete(w.seekers, 0, 1)
	w.free--
	s.given = true
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// usher gives free workers away, until ctx ends. Streams are parked by other servers, too, and nobody tells of it: while a
// worker is free, it looks for itself.
func (e *Engine) usher(ctx context.Context, tend func(l journal.Lease, workers int)) {
	look := time.NewTicker(e.o.Idle)
	defer look.Stop()
	for {
		for ctx.Err() == nil {
			before, parked, more := e.workers.next()
			if !more {
				break
			}
			l, err := e.o.Journal.LeaseParked(ctx, e.o.TTL, before, e.prefixes()...)
			switch {
			case err == nil:
				e.workers.resume()
				tend(l, 1)
				continue
			case errors.Is(err, journal.ErrNoWork):
				e.workers.none(before, parked)
				continue
			case ctx.Err() == nil:
				e.o.Log.Error("the journal gives no parked work", "err", err)
			}
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-e.workers.look:
		case <-look.C:
			e.workers.suspect()
		}
	}
}
