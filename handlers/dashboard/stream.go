package dashboard

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// stream is an open stream of events. https://html.spec.whatwg.org/multipage/server-sent-events.html
type stream struct {
	ctx     context.Context // ends with the request, with a reader that does not read, or with end
	stop    context.CancelCauseFunc
	out     http.ResponseWriter
	control *http.ResponseController
	slow    time.Duration

	mu    sync.Mutex
	fresh bool // something was sent since the last beat
	beats sync.WaitGroup
}

// errOver ends a stream whose source has nothing more, although it did not say so.
var errOver = errors.New("dashboard: nothing more will come")

// begin opens a stream. Whenever nothing was sent for a beat, a comment is sent, so that proxies do not close it and the
// reader's end is noticed; quiet, which may be nil, is asked then whether the stream should go on. The caller calls end.
func (p *Pages) begin(c *gin.Context, quiet func() bool) *stream {
	s := &stream{out: c.Writer, control: http.NewResponseController(c.Writer), slow: p.slow}
	s.ctx, s.stop = context.WithCancelCause(c.Request.Context())
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	s.send([]byte("retry: 1000\n\n"))
	s.beats.Go(func() {
		tick := time.NewTicker(p.beat)
		defer tick.Stop()
		for {
			select {
			case <-s.ctx.Done():
				return
			case <-tick.C:
			}
			if s.busy() {
				continue
			}
			if quiet != nil && !quiet() {
				s.stop(errOver)
				return
			}
			s.send([]byte(": still here\n\n"))
		}
	})
	return s
}

// busy reports whether something was sent since it was asked last.
func (s *stream) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.fresh
	s.fresh = false
	return was
}

// send writes a whole event. A reader that takes too long for it loses the stream; browsers come back by themselves, and
// go on where they were. Nobody but this reader waits.
func (s *stream) send(event []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil && !errors.Is(context.Cause(s.ctx), errOver) {
		return false
	}
	s.fresh = true
	err := s.control.SetWriteDeadline(time.Now().Add(s.slow))
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		if _, err = s.out.Write(event); err == nil {
			err = s.control.Flush()
		}
	}
	if err != nil {
		s.stop(err)
		return false
	}
	return true
}

// end waits until nothing writes any more.
func (s *stream) end() {
	s.stop(context.Canceled)
	s.beats.Wait()
}

// event writes one event. Its data is any bytes but carriage returns, which would end a line of the protocol; see
// withoutReturns. An empty id is none.
func event(name, id string, data []byte) []byte {
	return appendEvent(nil, name, id, data)
}

// appendEvent writes an event behind out, whose memory it uses when there is enough.
func appendEvent(out []byte, name, id string, data []byte) []byte {
	out = slices.Grow(out, len(data)+len(data)/12+64)
	out = append(append(append(out, "event: "...), name...), '\n')
	if id != "" {
		out = append(append(append(out, "id: "...), id...), '\n')
	}
	for {
		line := bytes.IndexByte(data, '\n')
		out = append(out, "data: "...)
		if line < 0 {
			return append(append(out, data...), '\n', '\n')
		}
		out = append(out, data[:line+1]...)
		data = data[line+1:]
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
