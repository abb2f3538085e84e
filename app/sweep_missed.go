package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

const (
	logMemory = 3 * 24 * time.Hour // how long GitHub remembers deliveries
	logSlack  = 15 * time.Minute   // attempts are not logged in the order of their times
	markEvery = time.Hour          // how often it is written down how far was looked
	mostPages = 500                // of GitHub's log in one round: 50,000 attempts
)

// missed takes in the webhooks that GitHub could not deliver, the oldest first. It asks for their bodies instead of a
// redelivery, so that it works while GitHub cannot reach this server at all.
//
// https://docs.github.com/webhooks/using-webhooks/handling-failed-webhook-deliveries
func (s *sweeper) missed(ctx context.Context) error {
	a := s.app
	if s.through.IsZero() {
		mark, _, err := a.sweeps().Load(ctx, a.journal, sweepStream(a.self()))
		if err != nil {
			return err
		}
		s.marked, s.through = mark.Through, mark.Through
		if oldest := a.now().Add(-logMemory); s.through.Before(oldest) {
			s.through = oldest
		}
	}
	began := a.now().UTC()
	attempts, err := a.undelivered(ctx, s.through.Add(-logSlack))
	if err != nil {
		return err
	}
	for _, t := range attempts {
		if err := a.recover(ctx, t); err != nil {
			return err // nothing is given up: the next round begins where this one did
		}
	}
	if s.through = began; began.Sub(s.marked) < markEvery {
		return nil
	}
	if _, err := a.post(ctx, sweepStream(a.self()), "", swept{Through: began}); err != nil {
		return err
	}
	s.marked = began
	return nil
}

// undelivered are the webhooks since a time of which no attempt has arrived, as GitHub's log shows them, the oldest first.
func (a *App) undelivered(ctx context.Context, since time.Time) (lost []github.Attempt, err error) {
	arrived, newest := map[string]bool{}, map[string]github.Attempt{}
	for cursor, pages := "", 0; pages < mostPages; pages++ {
		page, next, err := a.github.Attempts(ctx, cursor)
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			arrived[t.GUID] = arrived[t.GUID] || t.OK
			if _, ok := newest[t.GUID]; !ok {
				newest[t.GUID] = t
			}
		}
		if next == "" || len(page) == 0 || page[len(page)-1].At.Before(since) {
			break
		}
		cursor = next
	}
	for guid, t := range newest {
		if !arrived[guid] && !t.At.Before(since) {
			lost = append(lost, t)
		}
	}
	slices.SortFunc(lost, func(x, y github.Attempt) int { return x.At.Compare(y.At) })
	return lost, nil
}

// recover takes in one webhook from GitHub's log, unless it is known: GitHub may not have heard our answer.
func (a *App) recover(ctx context.Context, t github.Attempt) error {
	d := webhook.Delivery{Source: a.self(), GUID: t.GUID}
	if known, err := a.journal.Read(ctx, d.Stream(), 0); len(known) > 0 || err != nil {
		return err
	}
	event, body, err := a.github.Payload(ctx, t.ID)
	if errors.Is(err, github.ErrGone) {
		return nil // GitHub has forgotten it meanwhile
	}
	if err != nil {
		return err
	}
	d.Event, d.Body, d.ReceivedAt = event, body, a.now().UTC()
	return a.takeIn(ctx, d, "a webhook that did not arrive was taken from GitHub's log")
}

// self is where this App's own deliveries come from.
func (a *App) self() string { return webhook.AppSource(a.config.AppID) }
