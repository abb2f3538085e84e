package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// Output is the one stream of a step and its services. What the step writes passes as it is; each line of a service has
// the service's name before it, and comes where no line of the step is open. All of it may be used by several at once.
type Output struct {
	mu     sync.Mutex
	to     io.Writer
	within bool         // a line of the step is open
	held   bytes.Buffer // lines of services that wait for its end
	err    error
}

// What is waited for, and what is taken, in bytes.
const (
	lineMost    = 16 << 10 // of a line of a service: what is longer is cut into several
	heldMost    = 64 << 10 // of lines that wait: then the step's line is broken
	serviceMost = 4 << 20  // of what one service says: a step's log is for the step
)

// NewOutput writes to to.
func NewOutput(to io.Writer) *Output { return &Output{to: to} }

// Write is for the step.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	o.put(p)
	o.within = p[len(p)-1] != '\n'
	o.release()
	return len(p), o.err
}

// Say writes a line that neither the step nor a service has written.
func (o *Output) Say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line(fmt.Appendf(nil, format+"\n", args...))
}

// Close writes what still waits, and reports the first failure.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.within = false
	o.release()
	return o.err
}

func (o *Output) line(text []byte) {
	o.held.Write(text)
	if o.within && o.held.Len() > heldMost {
		o.put([]byte("\n"))
		o.within = false
	}
	o.release()
}

func (o *Output) release() {
	if !o.within && o.held.Len() > 0 {
		o.put(o.held.Bytes())
		o.held.Reset()
	}
}

func (o *Output) put(p []byte) {
	if o.err == nil {
		_, o.err = o.to.Write(p)
	}
}

// Service is what a service of this name writes to. Close it when the service has ended.
func (o *Output) Service(name string) io.WriteCloser {
	return &voice{to: o, name: name, left: serviceMost}
}

type voice struct {
	to   *Output
	name string
	open []byte // a line that has not ended
	left int
}

func (v *voice) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && v.left > 0; {
		end := bytes.IndexByte(rest, '\n')
		take := rest[:max(end, 0)]
		if end < 0 {
			take = rest
		}
		take = take[:min(len(take), lineMost-len(v.open))]
		v.open, rest = append(v.open, take...), rest[len(take):]
		if len(rest) > 0 && rest[0] == '\n' {
			rest = rest[1:]
			v.say()
		} else if len(v.open) >= lineMost {
			v.say()
		}
	}
	return len(p), nil // a log that cannot be written is no reason to stop a service
}

// Close writes the line that has not ended.
func (v *voice) Close() error {
	if len(v.open) > 0 && v.left > 0 {
		v.say()
	}
	return nil
}

func (v *voice) say() {
	v.left -= len(v.open) + 1
	v.to.Say("%s", append([]byte(v.name+" │ "), bytes.TrimSuffix(v.open, []byte("\r"))...))
	v.open = v.open[:0]
	if v.left <= 0 {
		v.to.Say("%s │ What it says from here on is not kept.", v.name)
	}
}
