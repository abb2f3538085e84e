package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

// Webhook is a delivery as a journal keeps it.
type Webhook struct {
	GUID, Event string
	Body        []byte // as signed
}

// Decision is what became of a delivery: "run", "command", "noted" or "ignored", and why, or which.
type Decision struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Rehearse waits until a server with Config.Rehearsal has done all that it will ever do of this App's delivery, and gives
// the decision. What is left is a run that waits for a worker, which it never gets.
func (a *App) Rehearse(ctx context.Context, guid string) (Decision, error) {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for parked := 0; ; {
		if _, err := a.journal.LeaseParked(ctx, time.Hour, time.Time{}, "run/"); err == nil {
			parked++ // and it stays with this lease, for nobody else is to work on it
		}
		waiting, _, err := a.journal.Depth(ctx)
		if err != nil {
			return Decision{}, fmt.Errorf("app: rehearse %s: %w", guid, err)
		}
		if waiting == parked {
			break
		}
		select {
		case <-ctx.Done():
			return Decision{}, fmt.Errorf("app: rehearse %s: %w", guid, context.Cause(ctx))
		case <-look.C:
		}
	}
	return decisionOf(ctx, a.journal, webhook.Delivery{Source: webhook.AppSource(a.config.AppID), GUID: guid}.Stream())
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

// Recorded looks for a delivery in the journal of the data folder of a server, which may be running.
func Recorded(ctx context.Context, dataDir, guid string) (w Webhook, err error) {
	file := filepath.Join(dataDir, "journal.db")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return w, fmt.Errorf("%s holds no journal of a server; name its folder with --data-dir, or give a file with the payload", dataDir)
	}
	j, err := sqlite.Open(ctx, file, time.Now)
	if err != nil {
		return w, fmt.Errorf("app: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	names, err := j.Streams(ctx, "delivery/", math.MaxInt32)
	if err != nil {
		return w, fmt.Errorf("app: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "/"+guid) {
			continue
		}
		records, err := j.Read(ctx, name, 0)
		if err != nil {
			return w, fmt.Errorf("app: read %s: %w", name, err)
		}
		for _, r := range records {
			e, err := decodeDelivery(r.Kind, r.Data)
			if err != nil {
				return w, err
			}
			if got, ok := e.(received); ok {
				return Webhook{GUID: got.delivery.GUID, Event: got.delivery.Event, Body: got.delivery.Body}, nil
			}
		}
	}
	return w, fmt.Errorf("the journal in %s knows no delivery %s; deliveries are remembered for %d days", dataDir, guid, int(deliveryMemory.Hours()/24))
}
