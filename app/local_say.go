package app

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// terminal is what several steps print to at once, whole lines at a time.
type terminal struct {
	mu  sync.Mutex
	out io.Writer
}

func newTerminal(out io.Writer) *terminal { return &terminal{out: out} }

// Write passes on what a shell prints, as it comes: a prompt has no end of line.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(p)
}

func (t *terminal) line(format string, args ...any) {
	fmt.Fprintf(t, format+"\n", args...)
}

// of is what one step prints to: each line begins with its name.
func (t *terminal) of(step string) *speaker { return &speaker{t: t, name: step} }

type speaker struct {
	t    *terminal
	name string
	rest []byte // of a line that has not ended
}

// lineLimit is how much of a line is waited for.
const lineLimit = 64 << 10

func (s *speaker) write(p []byte) {
	s.rest = append(s.rest, p...)
	for {
		end := bytes.IndexByte(s.rest, '\n')
		if end < 0 && len(s.rest) < lineLimit {
			return
		}
		if end < 0 {
			end = len(s.rest)
			s.rest = append(s.rest, '\n')
		}
		s.t.line("%s │ %s", s.name, s.rest[:end])
		s.rest = s.rest[end+1:]
	}
}

// end prints what has no end of line.
func (s *speaker) end() {
	if len(s.rest) > 0 {
		s.write([]byte("\n"))
	}
}
