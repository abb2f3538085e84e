package github

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault makes REST calls go wrong. Those that match are hit, the first Skip of
// them excepted, Times of them (zero: until removed), with Probability (zero:
// always). Rate limits are not spent by what a fault answers.
type Fault struct {
	Method string // "" means any
	Route  string // as documented, "/repos/{owner}/{repo}/check-runs"; a * at the end means any rest; "" any

	Skip        int
	Times       int
	Probability float64

	Status     int           // answer so, and do nothing
	Limit      Limit         // answer as an exceeded limit; Status chooses 403 (default) or 429
	RetryAfter time.Duration // of a limit; zero means no such header
	Cut        bool          // do it, then cut the connection
	Lost       bool          // cut the connection without doing it
	Delay      time.Duration // do it, and answer late
	Stale      bool          // answer reads of pull requests and refs as they were before their last change
	Undecided  bool          // answer GET of a pull request with mergeable null

	hits int
}

// Limit is which of GitHub's limits a Fault pretends.
type Limit string

// The limits. A bare secondary limit comes without any header.
const (
	PrimaryLimit   Limit = "primary"
	SecondaryLimit Limit = "secondary"
)

// Inject adds a fault and returns what removes it.
func (s *Server) Inject(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &f
	s.faults = append(s.faults, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(o *Fault) bool { return o == added })
	}
}

// hit tells whether a fault strikes now, and counts.
func (s *Server) hit(hits *int, skip, times int, probability float64) bool {
	*hits++
	if *hits <= skip || (times > 0 && *hits > skip+times) {
		return false
	}
	return probability == 0 || s.random.Float64() < probability
}

func (f *Fault) matches(c *call) bool {
	if f.Method != "" && f.Method != c.r.Method {
		return false
	}
	pattern := ""
	if c.route != nil {
		pattern = c.route.pattern
	}
	if prefix, open := strings.CutSuffix(f.Route, "*"); open {
		return strings.HasPrefix(pattern, prefix)
	}
	return f.Route == "" || f.Route == pattern
}

// applyFault finds the fault that strikes a call, and its answer when the
// call is not to be done at all.
func (s *Server) applyFault(c *call) *answer {
	for _, f := range s.faults {
		if !f.matches(c) || !s.hit(&f.hits, f.Skip, f.Times, f.Probability) {
			continue
		}
		c.fault, c.stale = f, f.Stale
		if f.Lost {
			lost := *f
			lost.Cut = true
			c.fault = &lost
			a := fail(http.StatusBadGateway, "the connection was cut")
			return &a
		}
		if f.Limit != "" || f.Status != 0 {
			a := s.faultAnswer(c, f)
			return &a
		}
		return nil
	}
	return nil
}

func (s *Server) faultAnswer(c *call, f *Fault) answer {
	status := f.Status
	if status == 0 {
		status = http.StatusForbidden
	}
	retry := strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds())))
	switch {
	case f.Limit == PrimaryLimit:
		reset := s.now().Add(max(f.RetryAfter, time.Minute))
		a := fail(status, "API rate limit exceeded for installation ID %d.", s.seq)
		a.body.(obj)["documentation_url"] = "https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting"
		a = a.with("X-RateLimit-Limit", strconv.Itoa(max(s.opt.RateLimit, 0))).with("X-RateLimit-Remaining", "0").
			with("X-RateLimit-Used", strconv.Itoa(max(s.opt.RateLimit, 0))).with("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10)).with("X-RateLimit-Resource", "core")
		if f.RetryAfter > 0 {
			a = a.with("Retry-After", retry)
		}
		return a
	case f.Limit == SecondaryLimit:
		a := fail(status, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID %s.", c.header.Get("X-GitHub-Request-Id"))
		a.body.(obj)["documentation_url"] = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
		if f.RetryAfter > 0 {
			a = a.with("Retry-After", retry)
		}
		return a
	case status == http.StatusInternalServerError:
		return fail(status, "Server Error")
	case status > 500: // the proxies in front answer with a page
		page := fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head><body><p>%d %s</p></body></html>\n", status, http.StatusText(status))
		return answer{status: status, raw: []byte(page), header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	case status == http.StatusUnauthorized:
		return fail(status, badCredentials)
	}
	return fail(status, "%s", http.StatusText(status))
}

// HookFault makes webhooks go wrong; matching and counting are as for Fault.
type HookFault struct {
	App   string // slug; "" means any
	Event string // "push", or "pull_request.opened"; "" means any

	Skip        int
	Times       int
	Probability float64

	Drop       bool          // not delivered, but in the log as failed: to be found and redelivered
	Lose       bool          // not delivered and not even logged
	Duplicates int           // delivered so many times more, with the same GUID
	Behind     int           // delivered only after so many later ones
	Delay      time.Duration // delivered so much later

	hits int
}

// InjectHook adds a fault of webhooks and returns what removes it.
func (s *Server) InjectHook(f HookFault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &f
	s.hookBugs = append(s.hookBugs, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hookBugs = slices.DeleteFunc(s.hookBugs, func(o *HookFault) bool { return o == added })
	}
}

func (s *Server) hookFault(a *App, d *Delivery) *HookFault {
	for _, f := range s.hookBugs {
		matches := (f.App == "" || f.App == a.Slug) && (f.Event == "" || f.Event == d.Event || f.Event == d.Event+"."+d.Action)
		if matches && s.hit(&f.hits, f.Skip, f.Times, f.Probability) {
			return f
		}
	}
	return nil
}
