package box

import (
	"strings"
	"sync"
)

// NothingSaid is what OneLine makes of nothing.
const NothingSaid = "it said nothing"

// OneLine shortens what a runtime or an engine said to what an operator can read.
func OneLine(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	if text == "" {
		return NothingSaid
	}
	return text
}

// Tail keeps the end of what is written to it.
type Tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2 << 10 // bytes

func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(p), nil
}

// Forget empties it.
func (t *Tail) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = nil
}

func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
