package dashboard

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// follow streams a log. The events are
//
//	start  the number of the first line that comes; only at a first visit, not when a reader comes back
//	log    a piece of the log, line ends included; its id is the offset after it
//	gone   why there is no log any more, in words
//	end    nothing more will come
//
// A reader that lost the connection comes back with the last id it saw, in Last-Event-ID or, when its page has to open
// the stream anew, in ?from=. So it gets every byte once. ?line= at a first visit asks that this line be there.
func (p *Pages) follow(c *gin.Context, s pipeline.State, step string, attempt int) {
	name := p.logName(s, step, attempt)
	over := func() bool {
		now, err := p.o.Run(c.Request.Context(), s.Run)
		return err == nil && attemptOver(now, step, attempt)
	}
	// A server that was killed may leave a log without its end. When the step is over and the log is silent, it is over.
	out := p.begin(c, func() bool { return !over() })
	defer out.end()
	if !p.await(out.ctx, name, over) {
		if out.ctx.Err() == nil || errors.Is(context.Cause(out.ctx), errOver) {
			if words := p.goneWords(name); words != "" {
				out.send(event("gone", "", []byte(words)))
			}
			out.send(event("end", "", nil))
		}
		return
	}
	from, again := resumed(c)
	if !again {
		var line int64
		wanted, _ := strconv.ParseInt(c.Query("line"), 10, 64) // zero is none
		line, from = p.beginning(name, wanted)
		if !out.send(event("start", number(from), []byte(number(line)))) {
			return
		}
	}
	if p.copyLog(out, name, from) {
		out.send(event("end", "", nil))
	}
}

// resumed is the offset at which a reader that comes back goes on.
func resumed(c *gin.Context) (from int64, again bool) {
	for _, said := range []string{c.GetHeader("Last-Event-ID"), c.Query("from")} {
		if n, err := strconv.ParseInt(said, 10, 64); err == nil && n >= 0 {
			return n, true
		}
	}
	return 0, false
}

// await waits until a log exists: a step has begun before its source is there and it can print. False when it never
// will, or when ctx has ended.
func (p *Pages) await(ctx context.Context, name string, over func() bool) bool {
	tick := time.NewTicker(p.look)
	defer tick.Stop()
	for {
		late := over() // asked first: a step that is over has begun its log before
		if r, err := p.o.Logs.Reader(name); err == nil {
			return r.Close() == nil
		} else if !errors.Is(err, logs.ErrNotFound) {
			p.o.Log.Warn("a log could not be opened", "log", name, "err", err)
			return false
		}
		if late {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// copyLog sends a log from an offset on, until it is complete. It reports whether the reader got all there is.
func (p *Pages) copyLog(out *stream, name string, from int64) bool {
	var held []byte   // what cannot be sent before more is known; its bytes count as not sent
	var framed []byte // memory for an event, used again while whole blocks come: an old log is sent without making garbage
	for piece, err := range p.o.Logs.Follow(out.ctx, name, from) {
		if errors.Is(err, errOver) {
			break
		}
		if err != nil {
			if out.ctx.Err() == nil {
				p.o.Log.Warn("a log could not be followed", "log", name, "err", err)
			}
			return false
		}
		end := piece.Offset + int64(len(piece.Data))
		data := piece.Data
		if len(held) > 0 {
			data = append(held, data...)
		}
		sure := decided(data)
		if sure > 0 {
			framed = appendEvent(framed[:0], "log", number(end-int64(len(data)-sure)), withoutReturns(data[:sure]))
			if !out.send(framed) {
				return false
			}
		}
		if len(piece.Data) < logs.BlockSize {
			framed = nil // from here on it waits, and thousands may wait at once
		}
		held = bytes.Clone(data[sure:])
		from = end
	}
	return len(held) == 0 || out.send(event("log", number(from), withoutReturns(held)))
}

// decided is how much of data can be sent without knowing what follows: not the first bytes of a character whose others
// are still to come, and not a carriage return that may turn out to be half of a line's end.
func decided(data []byte) int {
	if n := len(data); n > 0 && data[n-1] == '\r' {
		return n - 1
	}
	for back := 1; back < utf8.UTFMax && back <= len(data); back++ {
		if at := len(data) - back; utf8.RuneStart(data[at]) {
			if !utf8.FullRune(data[at:]) {
				return at
			}
			break
		}
	}
	return len(data)
}

// withoutReturns makes data fit for an event: CR LF is a line's end, and a CR alone, which sends a terminal back to the
// start of its line, travels as a vertical tab. Lines keep their numbers by that. The result may share data's memory.
func withoutReturns(data []byte) []byte {
	if bytes.IndexByte(data, '\r') < 0 {
		return data
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\v"))
}
