package dashboard

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// log gives a step's log: as a stream of events to those who ask for one, else as plain text, as far as it goes.
func (p *Pages) log(c *gin.Context) {
	s := opened(c)
	attempt, err := strconv.Atoi(c.Param("attempt"))
	if err != nil || logQuery(c.Param("step"), attempt) != c.Param("step")+"/"+c.Param("attempt") || !hasAttempt(s, c.Param("step"), attempt) {
		p.notFound(c)
		return
	}
	c.Header("Vary", "Accept")
	if c.Request.Method == http.MethodGet && strings.Contains(c.GetHeader("Accept"), "text/event-stream") {
		p.follow(c, s, c.Param("step"), attempt)
		return
	}
	name := p.logName(s, c.Param("step"), attempt)
	if words := p.goneWords(name); words != "" {
		c.String(http.StatusGone, "%s\n", words)
		return
	}
	p.raw(c, name)
}

// goneWords say that a log is not kept any more; empty when it is, or never was.
func (p *Pages) goneWords(name string) string {
	at, removed := p.o.Logs.Removed(name)
	if !removed {
		return ""
	}
	return "This log is not kept any more: this server removes old logs, and did so here by " + at.UTC().Format("2 January 2006") + "."
}

// attemptName tells a program which logs a run has.
type attemptName struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
	Over    bool   `json:"over"` // nothing more will be written
}

// names lists the attempts that have begun, in the order of the plan, the newest attempt of a step last. over says that no
// more will begin.
func (p *Pages) names(c *gin.Context) {
	s := opened(c)
	list := []attemptName{}
	for _, st := range s.Steps {
		for n := 1; n <= st.Attempt; n++ {
			list = append(list, attemptName{st.Name, n, attemptOver(s, st.Name, n)})
		}
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, gin.H{"run": s.Run, "over": s.Over(), "logs": list})
}

// raw gives a log as text; of one that is being written, what there is. Its bytes are those that the step printed; ?plain and
// ?save leave out what they say to a terminal, as files for people do.
func (p *Pages) raw(c *gin.Context, name string) {
	var text io.ReadSeeker = strings.NewReader("")
	if f, err := p.o.Logs.File(name); err == nil {
		defer func() { _ = f.Close() }() // it was only read
		text = f                         // the kernel moves the bytes
	} else if r, err := p.o.Logs.Reader(name); err == nil {
		defer func() { _ = r.Close() }() // it was only read
		text = io.NewSectionReader(r, 0, r.Size())
	} else if !errors.Is(err, logs.ErrNotFound) {
		p.failed(c, err)
		return
	}
	disposition := "inline"
	_, save := c.GetQuery("save")
	_, plain := c.GetQuery("plain")
	if save {
		disposition = "attachment"
	}
	file := c.Param("step") + "-" + c.Param("attempt") + ".log"
	c.Header("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": file}))
	c.Header("Content-Type", "text/plain; charset=utf-8")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cache-Control", "no-store")
	if !plain && !save {
		http.ServeContent(c.Writer, c.Request, "", time.Time{}, text)
		return
	}
	if c.Request.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(c.Writer, logs.PlainReader(text)); err != nil && c.Request.Context().Err() == nil {
		p.o.Log.Warn("a log could not be sent", "log", name, "err", err)
	}
}

// logName is the name of a step attempt's log: of a step that an earlier run has passed, the log is that run's.
func (p *Pages) logName(s pipeline.State, step string, attempt int) string {
	for _, st := range s.Steps {
		if st.Name == step && st.From != "" {
			return p.o.LogName(st.From, step, attempt)
		}
	}
	return p.o.LogName(s.Run, step, attempt)
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

// attemptOver reports whether nobody writes the attempt's log any more, as far as the run's state tells.
func attemptOver(s pipeline.State, step string, attempt int) bool {
	for _, st := range s.Steps {
		if st.Name == step {
			return st.Phase != pipeline.Running || st.Attempt != attempt
		}
	}
	return true
}

// beginning is where a page begins to show a log: at the first line; of a long log, at one of the last lines, or a little
// before the line that was asked for.
func (p *Pages) beginning(name string, wanted int64) (line, offset int64) {
	r, err := p.o.Logs.Reader(name)
	if err != nil {
		return 1, 0
	}
	size := r.Size()
	if r.Close() != nil || size < p.long {
		return 1, 0
	}
	line = p.countLines(name) - p.shown
	if wanted > 0 {
		line = min(line, wanted-100)
	}
	if offset, err = p.o.Logs.Line(name, line); line <= 1 || err != nil {
		return 1, 0
	}
	return line, offset
}

// countLines finds the number of a log's lines, by asking for lines until there is none.
func (p *Pages) countLines(name string) int64 {
	has := func(line int64) bool {
		_, err := p.o.Logs.Line(name, line)
		return err == nil
	}
	if end, err := p.o.Logs.End(name); err == nil {
		return end.Lines
	}
	low, high := int64(1), int64(2)
	for has(high) {
		low, high = high, 2*high
	}
	for high-low > 1 {
		if middle := (low + high) / 2; has(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
