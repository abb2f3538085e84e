package journal

import (
	"context"
	"sync"
)

// listenerRoom is how many names a listener may be behind before names are dropped.
const listenerRoom = 256

// Hints hands the names of changed streams to everyone who listens; adapters build Changed on it. A listener that is
// slow loses names, it never holds up a write. The zero value is ready, and all methods may be called concurrently.
type Hints struct {
	mu        sync.Mutex
	closed    bool
	listeners map[chan string]func() bool // the listener, and how to stop waiting for its context
}

// Listen returns a channel of names that is closed when ctx ends or Hints is closed.
func (h *Hints) Listen(ctx context.Context) <-chan string {
	names := make(chan string, listenerRoom)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(names)
		return names
	}
	if h.listeners == nil {
		h.listeners = map[chan string]func() bool{}
	}
	h.listeners[names] = context.AfterFunc(ctx, func() { h.leave(names) })
	return names
}

// Heard tells whether anyone listens.
func (h *Hints) Heard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners) > 0
}

// Tell passes names on without waiting.
func (h *Hints) Tell(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for listener := range h.listeners {
		for _, name := range names {
			select {
			case listener <- name:
			default:
			}
		}
	}
}

// Close closes every listener's channel. It may be repeated.
func (h *Hints) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for listener, stop := range h.listeners {
		stop()
		close(listener)
	}
	h.listeners = nil
}

func (h *Hints) leave(listener chan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, here := h.listeners[listener]; here {
		delete(h.listeners, listener)
		close(listener)
	}
}
