package app

import (
	"context"
	"errors"
	"time"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

// GitHub never sends a webhook again by itself, so what it could not deliver is lost unless someone looks. The sweeper
// looks twice: into GitHub's own log of deliveries (sweep_missed.go), and, more seldom, at the heads of branches and open
// pull requests themselves (sweep_heads.go), for what no log tells of any more. What it finds is taken in as a delivery,
// under a name of its own, so that the same fact, when it is heard after all, does nothing more.

// sweeper remembers between two rounds how far it looked.
type sweeper struct {
	app      *App
	through  time.Time           // all webhooks up to then are known; zero before the first round
	marked   time.Time           // what the journal says of it
	headsAt  time.Time           // when heads were looked at last
	pushedAt map[int64]time.Time // by repository: the last push when its branches were looked at
}

// sweep looks for what was missed, at once and then every now and then, until ctx ends.
func (a *App) sweep(ctx context.Context) {
	if a.config.SweepEvery <= 0 {
		return
	}
	s := &sweeper{app: a, pushedAt: map[int64]time.Time{}}
	tick := time.NewTicker(a.config.SweepEvery)
	defer tick.Stop()
	for {
		s.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *sweeper) round(ctx context.Context) {
	a := s.app
	if err := a.unanswered.review(ctx, a.answered); err != nil && ctx.Err() == nil {
		a.log.Warn("the journal was asked in vain whether deliveries are decided", "err", err)
	}
	if err := s.missed(ctx); err != nil {
		if ctx.Err() == nil {
			a.log.Warn("webhooks that did not arrive could not all be looked for; the next round goes on", "err", err)
		}
		return
	}
	if a.config.SweepHeads <= 0 || a.now().Sub(s.headsAt) < a.config.SweepHeads {
		return
	}
	began := a.now()
	if err := s.heads(ctx); err != nil {
		if ctx.Err() == nil {
			a.log.Warn("commits without a check could not all be looked for; the next round goes on", "err", err)
		}
		return
	}
	s.headsAt = began
}

// takeIn accepts a delivery that did not come through the door.
func (a *App) takeIn(ctx context.Context, d webhook.Delivery, say string) error {
	if problem := d.Problem(); problem != "" {
		a.log.Warn("what was missed cannot be read, and is left out", "delivery", d.GUID, "event", d.Event, "why", problem)
		return nil
	}
	err := a.accept(ctx, d)
	if errors.Is(err, webhook.ErrSeen) {
		return nil
	}
	if err != nil {
		return err
	}
	a.meter.recovered.Inc()
	a.log.Info(say, "delivery", d.GUID, "event", d.Event)
	return nil
}
