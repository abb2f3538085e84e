package dashboard

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// heartbeat keeps proxies from closing a quiet stream.
const heartbeat = 20 * time.Second

// state streams the page's changing part: once at the start, then after each change.
// https://html.spec.whatwg.org/multipage/server-sent-events.html
func (p *Pages) state(c *gin.Context) {
	s := opened(c)
	ctx := c.Request.Context()
	runs := p.o.Changed(ctx, string(s.Run))
	repo := p.o.Changed(ctx, "repo/"+strconv.FormatInt(s.Trigger.Repo.ID, 10))
	begin(c)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	last := ""
	for {
		s, err := p.o.Run(ctx, s.Run)
		if err != nil {
			return // the browser comes back by itself
		}
		view, err := p.view(ctx, s)
		if err != nil {
			return
		}
		var page strings.Builder
		if err := templates.ExecuteTemplate(&page, "live", view); err != nil {
			p.o.Log.Error("a page could not be made", "page", "live", "err", err)
			return
		}
		if page.String() != last {
			last = page.String()
			if send(c, event("state", "", []byte(last))) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-runs:
		case <-repo:
		case <-beat.C:
			if send(c, []byte(": still here\n\n")) != nil {
				return
			}
		}
	}
}

// log gives a step's log: as a stream of blocks to those who ask for one, else as plain text, as far as it goes.
func (p *Pages) log(c *gin.Context) {
	s := opened(c)
	attempt, err := strconv.Atoi(c.Param("attempt"))
	if err != nil || !hasAttempt(s, c.Param("step"), attempt) {
		p.notFound(c)
		return
	}
	name := p.o.LogName(s.Run, c.Param("step"), attempt)
	if strings.Contains(c.GetHeader("Accept"), "text/event-stream") {
		p.follow(c, name)
		return
	}
	c.Header("Content-Type", "text/plain; charset=utf-8")
	c.Header("Content-Disposition", `inline; filename="`+c.Param("step")+`.log"`)
	c.Header("Cache-Control", "no-store")
	if f, err := p.o.Logs.File(name); err == nil {
		defer func() { _ = f.Close() }() // it was only read
		http.ServeContent(c.Writer, c.Request, "", time.Time{}, f)
		return
	}
	r, err := p.o.Logs.Reader(name)
	if errors.Is(err, logs.ErrNotFound) {
		c.String(http.StatusOK, "") // it has begun, and printed nothing yet
		return
	}
	if err != nil {
		p.failed(c, err)
		return
	}
	defer func() { _ = r.Close() }() // it was only read
	block := make([]byte, 256<<10)
	for at := int64(0); at < r.Size(); {
		n, err := r.ReadAt(block[:min(int64(len(block)), r.Size()-at)], at)
		if n == 0 || err != nil && n == 0 {
			return
		}
		if _, err := c.Writer.Write(block[:n]); err != nil {
			return
		}
		at += int64(n)
	}
}

// hasAttempt keeps names that the run never gave away from the log store.
func hasAttempt(s pipeline.State, step string, attempt int) bool {
	for _, st := range s.Steps {
		if st.Name == step {
			return attempt >= 1 && attempt <= st.Attempt
		}
	}
	return false
}

// follow streams a log block by block. The id of each event is the offset after it, at which a browser that lost the
// connection goes on.
func (p *Pages) follow(c *gin.Context, name string) {
	from, err := strconv.ParseInt(c.GetHeader("Last-Event-ID"), 10, 64)
	if err != nil || from < 0 {
		from = 0
	}
	begin(c)
	var held []byte // the start of a character whose end has not arrived
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	for piece, err := range p.o.Logs.Follow(ctx, name, from) {
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, logs.ErrNotFound) {
				p.o.Log.Warn("a log could not be followed", "log", name, "err", err)
			}
			return
		}
		end := piece.Offset + int64(len(piece.Data))
		data := piece.Data
		if len(held) > 0 {
			data = append(held, data...)
		}
		whole := wholeRunes(data)
		held = append([]byte(nil), data[whole:]...)
		if whole == 0 {
			continue
		}
		if send(c, block(data[:whole], end-int64(len(held)))) != nil {
			return
		}
	}
	if len(held) > 0 && send(c, block(held, -1)) != nil {
		return
	}
	if err := send(c, event("end", "", nil)); err != nil {
		return
	}
}

// wholeRunes is how much of data ends with a whole character.
func wholeRunes(data []byte) int {
	for back := 1; back <= utf8.UTFMax && back <= len(data); back++ {
		if at := len(data) - back; utf8.RuneStart(data[at]) {
			if !utf8.FullRune(data[at:]) {
				return at
			}
			return len(data)
		}
	}
	return len(data)
}

// block is a piece of a log as an event: "block" when it ends with a line's end, "tail" when it does not.
func block(data []byte, end int64) []byte {
	name := "tail"
	if data[len(data)-1] == '\n' {
		name, data = "block", data[:len(data)-1]
	}
	id := ""
	if end >= 0 {
		id = strconv.FormatInt(end, 10)
	}
	return event(name, id, data)
}

// event writes one event. A carriage return would end a line of the protocol, so that it becomes a line's end, too.
func event(name, id string, data []byte) []byte {
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	}
	out := make([]byte, 0, len(data)+len(data)/12+64)
	out = append(append(append(out, "event: "...), name...), '\n')
	if id != "" {
		out = append(append(append(out, "id: "...), id...), '\n')
	}
	for {
		line := bytes.IndexByte(data, '\n')
		out = append(out, "data: "...)
		if line < 0 {
			out = append(append(out, data...), '\n', '\n')
			return out
		}
		out = append(out, data[:line+1]...)
		data = data[line+1:]
	}
}

func begin(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	c.Writer.Flush()
}

func send(c *gin.Context, event []byte) error {
	if _, err := c.Writer.Write(event); err != nil {
		return err
	}
	c.Writer.Flush()
	return nil
}
