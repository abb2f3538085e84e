package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// servedLogs are read from a server, by the address of a run's page. Its last part is a secret, so no error holds it.
type servedLogs struct{ run string }

// again is how long a broken connection, or a run without news, is waited for.
const again = time.Second

func pause(ctx context.Context) error {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// maxTries is how often in a row a server is asked that does not answer.
const maxTries = 30

func (s *servedLogs) ask(ctx context.Context, path, accept, after string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.run+path, nil)
	if err != nil {
		return nil, errors.New("the run's address cannot be read; copy it from the browser")
	}
	req.Header.Set("Accept", accept)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	answer, err := http.DefaultClient.Do(req)
	var within *url.Error
	if errors.As(err, &within) {
		err = within.Err
	}
	if err != nil {
		return nil, fmt.Errorf("the server does not answer: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
	_ = answer.Body.Close() // it is not read any further
	switch answer.StatusCode {
	case http.StatusNotFound:
		return nil, &refusal{"there is no such run at this address, or it is not whole; copy it from the browser"}
	case http.StatusGone:
		return nil, &refusal{strings.TrimSpace(string(said))}
	}
	return nil, fmt.Errorf("the server says %s", answer.Status)
}

// refusal is an answer that does not change when it is asked again.
type refusal struct{ says string }

func (r *refusal) Error() string { return r.says }

func (s *servedLogs) attempts(ctx context.Context) (all []attempt, over bool, err error) {
	answer, err := s.ask(ctx, "/logs", "application/json", "")
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	var list struct {
		Over bool      `json:"over"`
		Logs []attempt `json:"logs"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(&list); err != nil {
		return nil, false, errors.New("this address answers with something else than a run's logs; copy it from the browser")
	}
	return list.Logs, list.Over, nil
}

func (s *servedLogs) copy(ctx context.Context, out io.Writer, a attempt, follow bool) error {
	if !follow {
		answer, err := s.ask(ctx, "/log/"+a.String(), "text/plain", "")
		if err != nil {
			return err
		}
		_, err = io.Copy(out, answer.Body)
		return errors.Join(err, answer.Body.Close())
	}
	e := eventStream{out: out, id: "0"} // from the first byte on, however long the log is
	for tries := 0; ; tries++ {
		before := e.id
		answer, err := s.ask(ctx, "/log/"+a.String(), "text/event-stream", e.id)
		if err == nil {
			err = e.read(answer.Body)
			_ = answer.Body.Close() // it was only read
		}
		if e.id != before {
			tries = 0
		}
		switch {
		case e.over || e.failed != nil:
			return e.failed
		case errors.As(err, new(*refusal)), tries >= maxTries:
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// eventStream reads a stream of a log's events; a stream that broke off goes on with the next one.
type eventStream struct {
	out    io.Writer
	id     string // the offset up to which all was written
	over   bool
	failed error // of the output
}

// maxEvent is how many bytes an event can have.
const maxEvent = 4 << 20

func (e *eventStream) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 256<<10)
	var kind, id string
	var data []byte
	for !e.over && e.failed == nil {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err // what came of an event that is not whole comes again
		}
		line = bytes.TrimSuffix(line, []byte{'\n'})
		field, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case len(line) == 0:
			e.take(kind, id, data)
			kind, id, data = "", "", data[:0]
		case len(data) > maxEvent:
			return errors.New("the server sends an event that is too long")
		case string(field) == "event":
			kind = string(value)
		case string(field) == "id":
			id = string(value)
		case string(field) == "data" || string(line) == "data:":
			data = append(append(data, value...), '\n')
		}
	}
	return nil
}

func (e *eventStream) take(kind, id string, data []byte) {
	data = bytes.TrimSuffix(data, []byte{'\n'})
	switch kind {
	case "log":
		// A carriage return travels as a vertical tab.
		_, e.failed = e.out.Write(bytes.ReplaceAll(data, []byte{'\v'}, []byte{'\r'}))
	case "gone":
		e.failed = &refusal{string(data)}
	case "end":
		e.over = true
	}
	if id != "" {
		e.id = id
	}
}
