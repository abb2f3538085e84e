package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// Event is a fact of a stream; Kind is how it is stored.
type Event interface{ Kind() string }

// Effect is something a state owes the world; Name is its identity within the stream.
//
// An effect that has a method Due() time.Time is owed at that time and not before. One that has a method
// Wait() time.Duration is begun that much later, unless it is not owed any more by then. Effects that share a name given
// by a method Lane() string are done one at a time, and one that has begun is let finish even when it is not owed any
// more: newer news waits, so that it can never be overtaken by older. One that has a method Since() time.Time needs one of
// the engine's workers while it is done; the next free worker goes to whoever has waited since the earliest time. A stream
// that waits for nothing else is parked meanwhile: it is not in memory, and any server that has a worker takes it up.
type Effect interface{ Name() string }

// Machine is one kind of stream: pure functions, and the one function that touches the world.
type Machine[S any, V Event, F Effect] struct {
	Prefix string // the streams it works on
	Decode func(kind string, data []byte) (V, error)
	Apply  func(S, V) S
	Next   func(S) []F
	Keep   bool // its streams are long and worked on again and again: folded states stay in memory between leases

	// Do does one effect and appends what came of it through w. It may be called again for the same effect, by this or
	// another server, after any error or crash: receivers must know it by its name. When ctx ends, context.Cause says
	// why: ErrNotOwed, ErrHandBack or ErrLeaseLost. An error means "not now": the effect is tried again later, at the
	// time that the error's method RetryAt() time.Time names, if it has one.
	Do func(ctx context.Context, w *Work[S, V], effect F) error
}

// Work is what an effect may do to its stream.
type Work[S any, V Event] struct {
	Stream string
	Token  int64 // the lease's fencing token
	State  S     // as it was when the effect was begun
	append func(ctx context.Context, events []V) (S, error)
	latest func() S
}

// Append makes events durable and returns the state after them. It fails with journal.ErrLeaseLost when someone else
// works on the stream by now. Because Apply ignores what no longer fits, the caller looks at the returned state to see
// whether the events counted.
func (w *Work[S, V]) Append(ctx context.Context, events ...V) (S, error) {
	return w.append(ctx, events)
}

// Latest is the newest state that is known.
func (w *Work[S, V]) Latest() S { return w.latest() }

// Load folds a stream up to its newest record.
func (m Machine[S, V, F]) Load(ctx context.Context, j journal.Journal, stream string) (S, int64, error) {
	var s S
	return m.fold(ctx, j, stream, s, 0)
}

// fold applies the records after a version.
func (m Machine[S, V, F]) fold(ctx context.Context, j journal.Journal, stream string, s S, version int64) (S, int64, error) {
	records, err := j.Read(ctx, stream, version)
	if err != nil {
		return s, version, fmt.Errorf("engine: read %s: %w", stream, err)
	}
	for _, r := range records {
		event, err := m.Decode(r.Kind, r.Data)
		if err != nil {
			return s, version, fmt.Errorf("engine: %s record %d: %w", stream, r.Version, err)
		}
		if any(event) != nil {
			s = m.Apply(s, event)
		}
		version = r.Version
	}
	return s, version, nil
}

// Records encodes events for the journal.
func Records[V Event](at time.Time, events ...V) ([]journal.Record, error) {
	records := make([]journal.Record, 0, len(events))
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("engine: encode a %q event: %w", e.Kind(), err)
		}
		records = append(records, journal.Record{Kind: e.Kind(), At: at, Data: data})
	}
	return records, nil
}
