package github

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// route is one REST endpoint: who may call it and what it does.
type route struct {
	method, pattern string
	match           *regexp.Regexp
	names           []string
	need            need
	do              func(*call) answer
	writesGit       bool // takes the repository's write lock before the state's
}

// call is one REST request on its way. Handlers run with Server.mu held.
type call struct {
	s      *Server
	r      *http.Request
	route  *route
	param  map[string]string
	query  url.Values
	body   obj
	who    *identity
	repo   *Repo
	stale  bool // a fault asks for the state before the last change
	fault  *Fault
	header http.Header
}

// on makes a route. `{name}` is one segment, `{name...}` may hold slashes.
func on(method, pattern string, n need, do func(*call) answer) *route {
	rt := &route{method: method, need: n, do: do}
	var b strings.Builder
	b.WriteString("^")
	for _, part := range strings.Split(strings.TrimPrefix(pattern, "/"), "/") {
		b.WriteString("/")
		switch {
		case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "...}"):
			rt.names = append(rt.names, strings.TrimSuffix(part[1:], "...}"))
			b.WriteString("(.+)")
		case strings.HasPrefix(part, "{") && (strings.HasSuffix(part, "_id}") || strings.HasSuffix(part, "_number}")):
			rt.names = append(rt.names, part[1:len(part)-1])
			b.WriteString("([0-9]{1,18})")
		case strings.HasPrefix(part, "{"):
			rt.names = append(rt.names, part[1:len(part)-1])
			b.WriteString("([^/]+)")
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	b.WriteString("/?$")
	rt.pattern = strings.ReplaceAll(pattern, "...}", "}")
	rt.match = regexp.MustCompile(b.String())
	return rt
}

// locked marks a route that changes the git repository.
func (rt *route) locked() *route { rt.writesGit = true; return rt }

// find gives the route for a path and its parameters. known is true when only
// the method was wrong.
func (s *Server) find(method, path string) (rt *route, param map[string]string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, rt := range s.routes {
		if rt.method != method {
			continue
		}
		m := rt.match.FindStringSubmatch(path)
		if m == nil {
			continue
		}
		param = make(map[string]string, len(rt.names))
		for i, name := range rt.names {
			v, err := url.PathUnescape(m[i+1])
			if err != nil {
				v = m[i+1]
			}
			param[name] = v
		}
		return rt, param
	}
	return nil, nil
}

// serveREST takes a call through everything GitHub checks before it works:
// user agent, API version, credentials, limits, route, repository, permission.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 25<<20))
	if err != nil {
		fail(http.StatusRequestEntityTooLarge, "Request body too large").write(w, r)
		return
	}
	h := w.Header()
	h.Set("Server", "github.com")
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Enterprise-Version", "3.18.0")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Expose-Headers", "ETag, Link, Location, Retry-After, X-GitHub-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Used, X-RateLimit-Resource, X-RateLimit-Reset")

	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3")
	if path == "" {
		path = "/"
	}
	s.mu.Lock()
	now := s.now()
	h.Set("Date", now.Format(http.TimeFormat))
	h.Set("X-GitHub-Request-Id", fmt.Sprintf("%04X:%X:%X:%X", s.next(), now.Unix()&0xffff, now.Nanosecond(), now.Unix()))
	c := &call{s: s, r: r, query: r.URL.Query(), header: h}
	a := s.admit(c, path)
	if a == nil {
		a = s.answerCall(c, body)
	}
	cut, delay := c.fault != nil && c.fault.Cut, time.Duration(0)
	if c.fault != nil {
		delay = c.fault.Delay
	}
	record := s.record(c, path, a.status)
	s.changed.Broadcast()
	s.mu.Unlock()

	if delay > 0 {
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		timer.Stop()
	}
	if cut {
		// The work is done; the caller never hears of it.
		panic(http.ErrAbortHandler)
	}
	if a.write(w, r) == http.StatusNotModified {
		s.mu.Lock()
		s.calls[record].Status = http.StatusNotModified
		s.refund(c)
		s.mu.Unlock()
	}
}

// admit does what happens before the repository is looked at; nil means go on.
func (s *Server) admit(c *call, path string) *answer {
	stop := func(a answer) *answer { return &a }
	if c.r.UserAgent() == "" {
		return stop(fail(http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check https://developer.github.com for other possible causes."))
	}
	switch v := c.r.Header.Get("X-GitHub-Api-Version"); {
	case v == "" || v == "2022-11-28" || v == "2026-03-10":
		if v != "" {
			c.header.Set("X-GitHub-Api-Version-Selected", v)
		}
	case v < "2022-11-28" && len(v) == 10:
		return stop(fail(http.StatusGone, "API version %s is no longer supported.", v))
	default:
		return stop(fail(http.StatusBadRequest, "%q is not a supported version for X-GitHub-Api-Version. Supported versions: 2022-11-28, 2026-03-10", v))
	}
	rt, param := s.find(c.r.Method, s.numericRepository(path))
	c.route, c.param = rt, param
	if a := s.applyFault(c); a != nil {
		return a
	}
	if a := s.authenticate(c); a != nil {
		return a
	}
	if a := s.spend(c); a != nil {
		return a
	}
	if rt == nil {
		return stop(notFound())
	}
	return nil
}

// answerCall runs the handler. s.mu is held on entry and on return; a handler
// that changes git needs the repository's lock first, so s.mu is let go of in
// between.
func (s *Server) answerCall(c *call, body []byte) *answer {
	stop := func(a answer) *answer { return &a }
	if a := s.resolveRepository(c); a != nil {
		return a
	}
	if a := c.permitted(); a != nil {
		return a
	}
	if len(body) > 0 && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return stop(fail(http.StatusBadRequest, "Problems parsing JSON"))
		}
		switch v := v.(type) {
		case map[string]any:
			c.body = v
		case []any: // labels may come as a bare list
			c.body = obj{"": v}
		case nil:
		default:
			return stop(fail(http.StatusBadRequest, "Body should be a JSON object"))
		}
	}
	if c.body == nil {
		c.body = obj{}
	}
	if c.route.writesGit && c.repo != nil {
		s.mu.Unlock()
		c.repo.git.writing.Lock()
		defer c.repo.git.writing.Unlock()
		s.mu.Lock()
	}
	return stop(c.route.do(c))
}

// numericRepository turns /repositories/{id}/… into /repos/{owner}/{name}/….
func (s *Server) numericRepository(path string) string {
	rest, found := strings.CutPrefix(path, "/repositories/")
	if !found {
		return path
	}
	id, tail, _ := strings.Cut(rest, "/")
	n, _ := strconv.ParseInt(id, 10, 64)
	for _, r := range s.repos {
		if r.ID == n && !r.deleted {
			path = "/repos/" + r.Owner + "/" + r.Name
			if tail != "" {
				path += "/" + tail
			}
			return path
		}
	}
	return path
}

// resolveRepository finds {owner}/{repo}. A renamed one is answered with a
// redirect to its number: 301 for reads, 307 for writes, so that the body is
// sent again.
func (s *Server) resolveRepository(c *call) *answer {
	owner, name := c.param["owner"], c.param["repo"]
	if owner == "" || name == "" {
		return nil
	}
	repo, moved := s.lookup(owner, name)
	if repo == nil {
		a := notFound()
		return &a
	}
	if moved {
		path := strings.TrimPrefix(c.r.URL.EscapedPath(), "/api/v3")
		parts := strings.SplitN(strings.TrimPrefix(path, "/repos/"), "/", 3)
		to := fmt.Sprintf("%srepositories/%d", s.APIURL(), repo.ID)
		if len(parts) == 3 {
			to += "/" + parts[2]
		}
		if c.r.URL.RawQuery != "" {
			to += "?" + c.r.URL.RawQuery
		}
		status, message := http.StatusMovedPermanently, "Moved Permanently"
		if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
			status, message = http.StatusTemporaryRedirect, "Temporary Redirect"
		}
		a := fail(status, "%s", message).with("Location", to)
		a.body.(obj)["url"] = to
		return &a
	}
	c.repo = repo
	return nil
}

// id is a numeric path parameter.
func (c *call) id(name string) int64 {
	n, _ := strconv.ParseInt(c.param[name], 10, 64)
	return n
}
