package app

import (
	"context"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// changes tells pages which streams have changed, so that none of them polls.
type changes struct {
	mu        sync.Mutex
	followers map[string]map[chan struct{}]bool
}

func newChanges() *changes { return &changes{followers: map[string]map[chan struct{}]bool{}} }

// run passes the journal's hints on until ctx ends.
func (c *changes) run(ctx context.Context, j journal.Journal) {
	for stream := range j.Changed(ctx) {
		c.tell(stream)
	}
}

// tell says that what pages show of a stream has changed.
func (c *changes) tell(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for f := range c.followers[stream] {
		select {
		case f <- struct{}{}:
		default:
		}
	}
}

// follow returns a channel that receives after each change of the stream, until ctx ends.
func (c *changes) follow(ctx context.Context, stream string) <-chan struct{} {
	f := make(chan struct{}, 1)
	c.mu.Lock()
	if c.followers[stream] == nil {
		c.followers[stream] = map[chan struct{}]bool{}
	}
	c.followers[stream][f] = true
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.followers[stream], f)
		if len(c.followers[stream]) == 0 {
			delete(c.followers, stream)
		}
	})
	return f
}
