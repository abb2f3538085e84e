package app

import (
	"errors"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
)

// noticed is how long news must be held back before people are told of it: less is over before they have read it.
const noticed = 5 * time.Second

// held remembers which news GitHub's limits hold back, and until when, so that pages can say when GitHub is told next. It
// is not in the journal: it says nothing of what is owed, and another server has limits of its own.
type held struct {
	now  func() time.Time
	tell func(stream string) // that pages of the stream have something new to show

	mu      sync.Mutex
	streams map[string]map[string]hold // stream → lane of an effect
}

// hold is until when something is held back, and why; empty when GitHub asked.
type hold struct {
	until time.Time
	why   string
}

func newHeld(now func() time.Time, tell func(string)) *held {
	return &held{now: now, tell: tell, streams: map[string]map[string]hold{}}
}

// note takes in what came of an effect.
func (h *held) note(stream string, effect interface{ Name() string }, err error) {
	lane := effect.Name()
	if l, ok := effect.(interface{ Lane() string }); ok && l.Lane() != "" {
		lane = l.Lane()
	}
	var limited *github.Limited
	if errors.As(err, &limited) && limited.Until.Sub(h.now()) >= noticed {
		h.keep(stream, lane, hold{limited.Until, limited.Why})
		h.tell(stream)
	} else if h.drop(stream, lane) {
		h.tell(stream)
	}
}

func (h *held) keep(stream, lane string, until hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.prune()
	if h.streams[stream] == nil {
		h.streams[stream] = map[string]hold{}
	}
	h.streams[stream][lane] = until
}

func (h *held) drop(stream, lane string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, was := h.streams[stream][lane]
	delete(h.streams[stream], lane)
	if len(h.streams[stream]) == 0 {
		delete(h.streams, stream)
	}
	return was
}

// prune forgets what has had its time: what is still owed then is tried again, and noted anew.
func (h *held) prune() {
	now := h.now()
	for stream, lanes := range h.streams {
		for lane, hold := range lanes {
			if !now.Before(hold.until) {
				delete(lanes, lane)
			}
		}
		if len(lanes) == 0 {
			delete(h.streams, stream)
		}
	}
}

// next is when GitHub is told something next of the first of these streams of which anything is held back, and why not
// sooner. Zero: nothing is held back.
func (h *held) next(streams ...string) (at time.Time, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for _, stream := range streams {
		for _, hold := range h.streams[stream] {
			if now.Before(hold.until) && (at.IsZero() || hold.until.Before(at)) {
				at, why = hold.until, hold.why
			}
		}
		if !at.IsZero() {
			return at, why
		}
	}
	return time.Time{}, ""
}
