// Package browser drives the distribution's chromium in tests, by the DevTools protocol over a pipe: no port, no driver,
// no other program. https://chromedevtools.github.io/devtools-protocol/
//
// It knows pages, their scripts' values, pictures, and what they complain of. Start reading at Start.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a page may take for anything.
const Patience = 30 * time.Second

// Browser is a running chromium.
type Browser struct {
	writing sync.Mutex
	in      io.WriteCloser

	mu      sync.Mutex
	last    int
	answers map[int]chan message
	pages   map[string]*Page
	gone    chan struct{}
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts a browser with a new profile, and ends it with the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("this test needs chromium; install it with: apt-get install chromium")
	}
	profile, err := os.MkdirTemp("", "browser-")
	must(t, err)
	theirIn, in, err := os.Pipe()
	must(t, err)
	out, theirOut, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-breakpad", "--hide-scrollbars", "--user-data-dir="+profile, "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the flag wants them
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	must(t, errors.Join(theirIn.Close(), theirOut.Close()))
	b := &Browser{in: in, answers: map[int]chan message{}, pages: map[string]*Page{}, gone: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(out) })
	t.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil) // it may close before it answers
		select {
		case <-b.gone:
		case <-time.After(5 * time.Second):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its own group: what is left of its helpers
		_ = cmd.Wait()                                      // killed, or ended by itself
		_ = in.Close()
		reading.Wait()
		_ = out.Close()
		deadline := time.Now().Add(Patience)
		for tick := time.NewTicker(20 * time.Millisecond); os.RemoveAll(profile) != nil; <-tick.C {
			if time.Now().After(deadline) {
				t.Errorf("the browser's profile %s could not be removed", profile)
				break
			}
		}
	})
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *Browser) read(out io.Reader) {
	defer close(b.gone)
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answer, page := b.answers[m.ID], b.pages[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case answer != nil:
			answer <- m
		case page != nil:
			page.hear(m)
		}
	}
}

// call asks the browser for something, and waits for the answer.
func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	packed, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	line, err := json.Marshal(message{ID: b.last, Session: session, Method: method, Params: packed})
	b.answers[b.last] = answer
	b.mu.Unlock()
	if err == nil {
		b.writing.Lock()
		_, err = b.in.Write(append(line, 0))
		b.writing.Unlock()
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	select {
	case m := <-answer:
		if m.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		return m.Result, nil
	case <-b.gone:
		return nil, fmt.Errorf("%s: the browser is gone", method)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer after %s", method, Patience)
	}
}
