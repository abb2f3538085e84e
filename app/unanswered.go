package app

import (
	"context"
	"sync"
	"time"
)

// unanswered are the deliveries that this server has heard of and that are not decided yet, as far as it knows.
type unanswered struct {
	mu    sync.Mutex
	since map[string]time.Time // by stream
}

func newUnanswered() *unanswered { return &unanswered{since: map[string]time.Time{}} }

// heard notes a delivery. It may be told twice.
func (u *unanswered) heard(stream string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.since[stream]; !ok {
		u.since[stream] = at
	}
}

func (u *unanswered) decided(stream string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.since, stream)
}

// oldest is how long the longest-waiting one waits, and how many wait.
func (u *unanswered) oldest(now time.Time) (age time.Duration, count int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, at := range u.since {
		age = max(age, now.Sub(at))
	}
	return age, len(u.since)
}

// review asks of each whether another server has decided it meanwhile.
func (u *unanswered) review(ctx context.Context, decided func(context.Context, string) (bool, error)) error {
	u.mu.Lock()
	streams := make([]string, 0, len(u.since))
	for s := range u.since {
		streams = append(streams, s)
	}
	u.mu.Unlock()
	for _, s := range streams {
		done, err := decided(ctx, s)
		if err != nil {
			return err
		}
		if done {
			u.decided(s)
		}
	}
	return nil
}

// answered reports whether a delivery's stream holds a decision.
func (a *App) answered(ctx context.Context, stream string) (bool, error) {
	s, _, err := a.deliveries().Load(ctx, a.journal, stream)
	return s.decided != nil, err
}
