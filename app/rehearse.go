package app

import (
	"context"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// Webhook is a delivery as a journal keeps it.
type Webhook struct {
	GUID, Event string
	Body        []byte    // as signed
	At          time.Time // when it was received; zero when it is not from a journal
}

// Decision is what became of a delivery: "run", "command", "noted" or "ignored", and why, or which.
type Decision struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Rehearse waits until a server with Config.Rehearsal has done all that it will ever do of this App's delivery, and gives
// the decision.
func (a *App) Rehearse(ctx context.Context, guid string) (Decision, error) {
	if err := a.Settle(ctx); err != nil {
		return Decision{}, err
	}
	return decisionOf(ctx, a.journal, webhook.Delivery{Source: webhook.AppSource(a.config.AppID), GUID: guid}.Stream())
}

// Settle waits until a server with Config.Rehearsal has done all that it will ever do. What is left are runs that wait for a
// worker, which they never get.
func (a *App) Settle(ctx context.Context) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		if _, err := a.journal.LeaseParked(ctx, time.Hour, time.Time{}, "run/"); err == nil {
			a.parked++ // and it stays with this lease, for nobody else is to work on it
		}
		waiting, _, err := a.journal.Depth(ctx)
		if err != nil {
			return fmt.Errorf("app: rehearse: %w", err)
		}
		if waiting == a.parked {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("app: rehearse: %w", context.Cause(ctx))
		case <-look.C:
		}
	}
}

func decisionOf(ctx context.Context, j journal.Journal, stream string) (Decision, error) {
	records, err := j.Read(ctx, stream, 0)
	if err != nil {
		return Decision{}, fmt.Errorf("app: read %s: %w", stream, err)
	}
	for _, r := range records {
		e, err := decodeDelivery(r.Kind, r.Data)
		if err != nil {
			return Decision{}, err
		}
		if d, ok := e.(decided); ok {
			return Decision(d), nil
		}
	}
	return Decision{}, fmt.Errorf("app: %s has no decision", stream)
}
