package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxAnswer    = 16 << 20         // bytes
	callTimeout  = 30 * time.Second // GitHub gives up after ten; a local proxy may add to it
	maxRedirects = 3

	suspendedWait = 10 * time.Minute // until a suspended installation is asked again, when no webhook says that it is back
)

// guard is what every request passes through. It sends only to the configured API, asks the governor, caps the answer,
// and turns limits and outages into errors. It works around what
// go-github v60 does not know: 429, limits without headers, redirects that change a write into a read, endless answers.
type guard struct {
	api          *url.URL // ends with a slash
	next         http.RoundTripper
	now          func() time.Time
	observe      func(Call)
	installation int64
	governor     *governor
}

func newGuard(a *App, installation int64, next http.RoundTripper) *guard {
	return &guard{
		api: a.api, next: next, now: a.now, observe: a.observe, installation: installation, governor: newGovernor(a.now),
	}
}

// RoundTrip sends one request. The answer's body is already read, so that the place in the queue is held until the end.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if !g.inside(req.URL) {
		return nil, &Refused{Message: fmt.Sprintf("%s is not the configured API; nothing was sent", req.URL.Host)}
	}
	call := Call{Installation: g.installation, Method: req.Method, Class: classOf(req.Context())}
	call.Route, _ = req.Context().Value(routeKey{}).(string)
	leave, err := g.governor.enter(req.Context(), askOf(req))
	if err != nil {
		call.Outcome = "held"
		g.observe(call)
		return nil, err
	}
	started := g.now()
	resp, status, err := g.send(req)
	leave(!errors.As(err, new(unsent)))
	call.Took, call.Status, call.Outcome = g.now().Sub(started), status, outcome(resp, err)
	g.observe(call)
	return resp, err
}

func outcome(resp *http.Response, err error) string {
	var (
		before  unsent
		limited *Limited
	)
	switch {
	case errors.As(err, &before):
		return "held"
	case errors.As(err, &limited):
		return "limited"
	case err != nil && !errors.Is(err, ErrGone):
		return "unavailable"
	case err != nil || resp.StatusCode >= 400:
		return "refused"
	}
	return "ok"
}

func (g *guard) send(req *http.Request) (resp *http.Response, status int, err error) {
	ctx, cancel := context.WithTimeout(req.Context(), callTimeout)
	defer cancel()
	out := req.Clone(ctx)
	out.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	if run, _ := ctx.Value(runKey{}).(string); run != "" {
		out.Header.Set("X-Conveyor-Run", run)
	}
	resp, err = g.next.RoundTrip(out)
	if err != nil {
		return nil, 0, lost(err, isWrite(req.Method))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	if err != nil {
		return nil, resp.StatusCode, &Unavailable{Status: resp.StatusCode, Unknown: isWrite(req.Method), Err: err}
	}
	if until, limited := g.governor.read(resp, body); limited {
		return nil, resp.StatusCode, &Limited{Until: until}
	}
	if err := trouble(resp, body, isWrite(req.Method)); err != nil {
		if errors.Is(err, ErrSuspended) {
			g.governor.hold(g.now().Add(suspendedWait), ErrSuspended.Error())
		}
		return nil, resp.StatusCode, err
	}
	for _, h := range []string{"X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Limit", "Retry-After"} {
		resp.Header.Del(h) // go-github would hold calls back by its own count and clock
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.Request = req // without what was added on the way
	return resp, resp.StatusCode, nil
}

// lost is a request without an answer.
func lost(err error, write bool) error {
	var (
		before unsent
		op     *net.OpError
	)
	if errors.As(err, &before) {
		return before
	}
	dialling := errors.As(err, &op) && op.Op == "dial"
	return &Unavailable{Unknown: write && !dialling, Err: err}
}

// unsent is what came of asking for a token, so that the request itself was not sent.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// trouble is an answer that says nothing of what was asked.
func trouble(resp *http.Response, body []byte, write bool) error {
	message := strings.ToLower(messageOf(body))
	switch status := resp.StatusCode; {
	case status >= 500 || status == http.StatusRequestTimeout:
		return &Unavailable{Status: status, Unknown: write}
	case status == http.StatusForbidden && strings.Contains(message, "suspended"):
		return errSuspended
	}
	return nil
}

// redirect admits only what stays at the API and keeps the method. net/http turns a POST that is answered with 301 into a
// GET, which would look like success; GitHub answers writes to a renamed repository with 307, which keeps method and body.
func (g *guard) redirect(req *http.Request, via []*http.Request) error {
	switch {
	case !g.inside(req.URL):
		return &Refused{Message: fmt.Sprintf("GitHub points to %s, which is not the configured API; nothing was sent there", req.URL.Host)}
	case req.Method != via[0].Method:
		return &Refused{Message: "GitHub answers a write with a redirect that drops it; it was not done"}
	case len(via) > maxRedirects:
		return &Refused{Message: "GitHub redirects without end"}
	}
	return nil
}

func (g *guard) inside(u *url.URL) bool {
	return u.Scheme == g.api.Scheme && u.Host == g.api.Host && u.User == nil && strings.HasPrefix(u.Path, g.api.Path)
}

func isWrite(method string) bool { return method != http.MethodGet && method != http.MethodHead }
