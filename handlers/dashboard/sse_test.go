package dashboard_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// event is one event of a stream, as a browser understands it.
type event struct{ name, id, data string }

// events is an open stream.
type events struct {
	t      testing.TB
	lines  *bufio.Reader
	body   io.Reader
	close  func()
	header http.Header
	beats  int
	lastID string
}

// connect opens a stream, as a browser does that saw lastID before.
func connect(t testing.TB, url, lastID string) *events {
	t.Helper()
	e, err := dial(url, lastID)
	must(t, err)
	e.t = t
	t.Cleanup(e.close)
	return e
}

func dial(url, lastID string) (*events, error) {
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	// A connection of its own, so that cutting it harms no other test.
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		cancel()
		return nil, err
	}
	closed := func() {
		cancel()
		_ = answer.Body.Close() // it was cut
		transport.CloseIdleConnections()
	}
	return &events{lines: bufio.NewReader(answer.Body), body: answer.Body, close: closed, header: answer.Header, lastID: lastID}, nil
}

// read parses the next event by the rules of the standard; an event that was cut is none.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
func (e *events) read() (event, error) {
	var got event
	var data strings.Builder
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			return event{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data.Len() == 0:
			got = event{} // a browser does not tell of an event without data
		case line == "":
			got.id, got.data = e.lastID, strings.TrimSuffix(data.String(), "\n")
			return got, nil
		case field == "":
			e.beats++
		case field == "event":
			got.name = value
		case field == "id":
			e.lastID = value
		case field == "data":
			data.WriteString(value + "\n")
		case field == "retry":
		default:
			return event{}, io.ErrNoProgress // a line that the protocol does not know: something broke out of an event
		}
	}
}

// next waits for the next event of a stream that is not expected to break.
func (e *events) next() event {
	e.t.Helper()
	got, err := e.read()
	must(e.t, err)
	return got
}

// named waits for the next event, and wants it to have a name.
func (e *events) named(name string) event {
	e.t.Helper()
	got := e.next()
	if got.name != name {
		e.t.Fatalf("got the event %q, want %q; its data is %.200q", got.name, name, got.data)
	}
	return got
}
