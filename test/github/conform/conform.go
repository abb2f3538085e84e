// Package conform holds REST calls and webhooks against GitHub's own
// descriptions: the OpenAPI document of the REST API and the schemas of the
// webhook payloads, both in testdata.
//
// It only looks and remembers; it never changes a call. Put Checker.Wrap
// before a local GitHub to check both sides of every call, or
// Checker.Transport before a client. Start reading at Checker.
package conform

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Checker collects what does not conform. Its methods may be called from any
// goroutine.
type Checker struct {
	// EveryRequest also counts requests that were refused with a 4xx. Without
	// it a test may send nonsense on purpose and look at the answer.
	EveryRequest bool

	mu         sync.Mutex
	violations []string
	checked    int
}

// Violations are all so far, one readable text each.
func (k *Checker) Violations() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.violations...)
}

// Checked counts the calls and payloads that were looked at.
func (k *Checker) Checked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.checked
}

func (k *Checker) looked(problems ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.checked++
	k.violations = append(k.violations, problems...)
}

// Wrap checks what goes in and out of a handler that serves the REST API
// below /api/v3.
func (k *Checker) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isREST(r) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the request broke off", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		tee := &tee{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(tee, r)
		k.exchange(r, body, tee.status, tee.Header(), tee.body.Bytes())
	})
}

// isREST tells calls of the REST API from pages and git: by the path, or by
// the host as gh names it.
func isREST(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/v3") || strings.HasPrefix(r.Host, "api.")
}

// tee keeps a copy of the answer.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

// Transport checks what a client sends and gets; base nil means the default
// transport.
func (k *Checker) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		var sent []byte
		if r.Body != nil {
			var err error
			if sent, err = io.ReadAll(r.Body); err != nil {
				return nil, fmt.Errorf("conform: read the request: %w", err)
			}
			_ = r.Body.Close()
			r = r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(sent))
		}
		res, err := base.RoundTrip(r)
		if err != nil || !isREST(r) {
			return res, err
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("conform: read the answer: %w", err)
		}
		res.Body = io.NopCloser(bytes.NewReader(got))
		k.exchange(r, sent, res.StatusCode, res.Header, got)
		return res, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
