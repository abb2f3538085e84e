package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
)

// What was looked for is remembered in streams of its own: sweep/app/123 for the webhooks of an App, sweep/1001 for the
// heads of a repository. They owe nothing.

// sweepStream names what is remembered of one thing.
func sweepStream(of string) string { return "sweep/" + of }

// swept says up to when all webhooks in GitHub's log are known.
type swept struct {
	Through time.Time `json:"through"`
}

// headsSeen says which branches were found to end at another commit than before; an empty commit is a branch that is gone.
type headsSeen struct {
	Changed map[string]pipeline.Commit `json:"changed"`
}

func (swept) Kind() string     { return "swept" }
func (headsSeen) Kind() string { return "heads_seen" }

// sweepState is what is remembered.
type sweepState struct {
	swept
	Heads map[string]pipeline.Commit // by branch; nil while they were never looked at
}

// nothing is owed by such a stream.
type nothing struct{}

func (nothing) Name() string { return "nothing" }

// sweeps is the machine of what was looked for: a memory, and no more.
func (a *App) sweeps() engine.Machine[sweepState, engine.Event, nothing] {
	return engine.Machine[sweepState, engine.Event, nothing]{
		Prefix: "sweep/",
		Decode: func(kind string, data []byte) (e engine.Event, err error) {
			switch kind {
			case swept{}.Kind():
				var s swept
				err, e = json.Unmarshal(data, &s), s
			case headsSeen{}.Kind():
				var s headsSeen
				err, e = json.Unmarshal(data, &s), s
			}
			if err != nil {
				return nil, fmt.Errorf("app: read what was swept: %w", err)
			}
			return e, nil
		},
		Apply: func(s sweepState, e engine.Event) sweepState {
			switch e := e.(type) {
			case swept:
				s.swept = e
			case headsSeen:
				heads := maps.Clone(s.Heads)
				if heads == nil {
					heads = map[string]pipeline.Commit{}
				}
				for branch, commit := range e.Changed {
					if heads[branch] = commit; commit == "" {
						delete(heads, branch)
					}
				}
				s.Heads = heads
			}
			return s
		},
		Next: func(sweepState) []nothing { return nil },
		Do:   func(context.Context, *engine.Work[sweepState, engine.Event], nothing) error { return nil },
	}
}
