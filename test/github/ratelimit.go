package github

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// window counts the calls of one caller within an hour.
type window struct {
	limit, used int
	reset       time.Time
}

// SetRateLimit gives an installation another limit and so many calls left in
// the present hour.
func (s *Server) SetRateLimit(installation int64, limit, remaining int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits[fmt.Sprintf("installation %d", installation)] = &window{limit: limit, used: limit - remaining, reset: s.now().Add(time.Hour)}
}

func (s *Server) window(who *identity) *window {
	w := s.limits[who.name()]
	if w == nil || !s.now().Before(w.reset) {
		limit := s.opt.RateLimit
		if who.kind == "anonymous" && limit > 0 {
			limit = 60
		}
		if w != nil {
			limit = w.limit
		}
		w = &window{limit: limit, reset: s.now().Add(time.Hour)}
		s.limits[who.name()] = w
	}
	return w
}

// spend counts a call and refuses it beyond the limit. Asking for the limits
// is free.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
func (s *Server) spend(c *call) *answer {
	w := s.window(c.who)
	if w.limit < 0 {
		return nil
	}
	free := c.route != nil && c.route.pattern == "/rate_limit"
	var refused *answer
	if !free {
		if w.used >= w.limit {
			a := fail(http.StatusForbidden, "API rate limit exceeded for %s.", limitName(c.who))
			a.body.(obj)["documentation_url"] = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
			refused = &a
		} else {
			w.used++
		}
	}
	c.limitHeaders(w)
	return refused
}

func limitName(who *identity) string {
	switch who.kind {
	case "installation":
		return fmt.Sprintf("installation ID %d", who.installation.ID)
	case "user":
		return fmt.Sprintf("user ID %d", who.user.ID)
	}
	return "127.0.0.1"
}

func (c *call) limitHeaders(w *window) {
	h := c.header
	h.Set("X-RateLimit-Limit", strconv.Itoa(w.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(w.limit-w.used))
	h.Set("X-RateLimit-Used", strconv.Itoa(w.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(w.reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
}

// refund gives back what a 304 cost: nothing.
func (s *Server) refund(c *call) {
	if w := s.limits[c.who.name()]; w != nil && w.used > 0 {
		w.used--
	}
}

func (c *call) rateLimit() answer {
	w := c.s.window(c.who)
	if w.limit < 0 {
		return fail(http.StatusNotFound, "Rate limiting is not enabled.")
	}
	render := func(limit, used int) obj {
		return obj{"limit": limit, "used": used, "remaining": limit - used, "reset": w.reset.Unix(), "resource": "core"}
	}
	core := render(w.limit, w.used)
	return ok(obj{"resources": obj{"core": core, "search": render(30, 0), "graphql": render(5000, 0)}, "rate": core})
}
