package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// A delivery has a stream of its own, named after its source and GUID. That the stream exists is the dedupe key: a
// second delivery of the same GUID finds it there. Its machine is the smallest of all: received, so owed a decision;
// decided, so at rest.

// received is a webhook's body, as it came.
type received struct{ delivery webhook.Delivery }

// decided is what became of a delivery. Each has exactly one.
type decided struct {
	What string `json:"what"` // "run", "command", "noted" or "ignored"
	Why  string `json:"why"`
}

func (received) Kind() string { return "received" }
func (decided) Kind() string  { return "decided" }

type deliveryState struct {
	delivery webhook.Delivery
	arrived  bool
	decided  *decided
}

type route struct{}

func (route) Name() string { return "route" }

// accept makes a delivery durable. It is called before GitHub gets its answer.
func (a *App) accept(ctx context.Context, d webhook.Delivery) error {
	data, err := encodeDelivery(d)
	if err != nil {
		return err
	}
	_, err = a.journal.Append(ctx, journal.Batch{Stream: d.Stream(), Expect: journal.None, Records: []journal.Record{
		{Kind: received{}.Kind(), At: d.ReceivedAt, Data: data},
	}})
	if errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrDuplicate) {
		return webhook.ErrSeen
	}
	if err == nil {
		a.unanswered.heard(d.Stream(), d.ReceivedAt)
	}
	return err
}

// encodeDelivery is one line of JSON with everything but the body, then the body's bytes as they came.
func encodeDelivery(d webhook.Delivery) ([]byte, error) {
	body := d.Body
	d.Body = nil
	head, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("app: encode a delivery: %w", err)
	}
	data := make([]byte, 0, len(head)+1+len(body))
	data = append(data, head...)
	data = append(data, '\n')
	return append(data, body...), nil
}

func decodeDelivery(kind string, data []byte) (engine.Event, error) {
	switch kind {
	case received{}.Kind():
		head, body, _ := bytes.Cut(data, []byte("\n"))
		var d webhook.Delivery
		if err := json.Unmarshal(head, &d); err != nil {
			return nil, fmt.Errorf("app: read a stored delivery: %w", err)
		}
		d.Body = body
		return received{d}, nil
	case decided{}.Kind():
		var e decided
		if err := json.Unmarshal(data, &e); err != nil {
			return nil, fmt.Errorf("app: read a stored decision: %w", err)
		}
		return e, nil
	}
	return nil, nil
}

// MarshalJSON is never called: a body is stored as it came, by encodeDelivery.
func (received) MarshalJSON() ([]byte, error) {
	return nil, errors.New("app: a delivery is stored by encodeDelivery")
}

// deliveries is the machine of deliveries.
func (a *App) deliveries() engine.Machine[deliveryState, engine.Event, route] {
	return engine.Machine[deliveryState, engine.Event, route]{
		Prefix: "delivery/",
		Decode: decodeDelivery,
		Apply: func(s deliveryState, e engine.Event) deliveryState {
			switch e := e.(type) {
			case received:
				s.delivery, s.arrived = e.delivery, true
			case decided:
				if s.decided == nil {
					s.decided = &e
					s.delivery.Body = nil // spent
				}
			}
			return s
		},
		Next: func(s deliveryState) []route {
			if !s.arrived || s.decided != nil {
				return nil
			}
			return []route{{}}
		},
		Do: a.route,
	}
}

// post appends one event to a stream that someone else works on. A key that is there already is no error: the fact is
// known. It reports whether the event is new.
func (a *App) post(ctx context.Context, stream, key string, e engine.Event) (bool, error) {
	records, err := engine.Records(a.now().UTC(), e)
	if err != nil {
		return false, err
	}
	records[0].Key = key
	_, err = a.journal.Append(ctx, journal.Batch{Stream: stream, Expect: journal.Any, Records: records})
	if errors.Is(err, journal.ErrDuplicate) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("app: tell %s: %w", stream, err)
	}
	return true, nil
}

func (a *App) now() time.Time { return a.clock() }
