package github

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	leastWait = time.Minute      // when GitHub names no time
	mostWait  = 15 * time.Minute // of the doubling
	mostNamed = 65 * time.Minute // GitHub's window is an hour; a longer time is a mistake somewhere
)

// limits remembers until when GitHub wants to hear nothing, and what is left of the hour. Its governor's lock guards it.
//
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
type limits struct {
	until   time.Time
	strikes int // limits in a row for which GitHub named no time

	held    time.Time // nothing is asked before, for another reason than a limit
	heldWhy string

	limit, left int       // of the window that ends at reset, as GitHub said last
	reset       time.Time // by our clock
}

func (l *limits) closed(now time.Time) (until time.Time, closed bool) {
	until = l.until
	if l.held.After(until) {
		until = l.held
	}
	return until, now.Before(until)
}

// reason is why calls are held back, in words.
func (l *limits) reason() string {
	if l.held.After(l.until) {
		return l.heldWhy
	}
	return ""
}

func (l *limits) hold(until time.Time, why string) {
	if until.After(l.held) {
		l.held, l.heldWhy = until, why
	}
}

func (l *limits) resume() { l.held, l.heldWhy = time.Time{}, "" }

// remaining is what is left of the hour, -1 when it is not known.
func (l *limits) remaining(now time.Time) int {
	if l.limit <= 0 || !now.Before(l.reset) {
		return -1
	}
	return l.left
}

// reserved is when a class may ask again, when what is left of the hour is kept for others; zero when it is not.
func (l *limits) reserved(now time.Time, c Class) time.Time {
	if left := l.remaining(now); left < 0 || left > l.limit-c.share(l.limit) || c == Reply {
		return time.Time{}
	}
	return l.reset
}

// learn notes what is left of the hour. Answers that overtake each other count down only, within one window.
func (l *limits) learn(h http.Header, now time.Time) {
	limit, e1 := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	left, e2 := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	seconds, e3 := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if e1 != nil || e2 != nil || e3 != nil || limit <= 0 {
		return
	}
	reset := now.Add(min(time.Unix(seconds, 0).Sub(clock(h, now)), mostNamed))
	if within := reset.Sub(l.reset).Abs() < time.Minute; within && limit == l.limit {
		left = min(left, l.left)
	}
	l.limit, l.left, l.reset = limit, left, reset
}

// read learns from an answer, and reports whether the answer says that nothing was done because of a limit.
func (l *limits) read(resp *http.Response, body []byte, now time.Time) (until time.Time, limited bool) {
	h := resp.Header
	spent := h.Get("X-RateLimit-Remaining") == "0"
	limited = resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode == http.StatusForbidden && (spent || h.Get("Retry-After") != "" || speaksOfLimits(body))

	l.learn(h, now)
	wait, named := namedWait(h, spent, now)
	switch {
	case !limited && spent && named:
		l.extend(now.Add(wait)) // this was the last call of the window; the next would be refused
		return l.until, false
	case !limited:
		if resp.StatusCode < 400 {
			l.strikes = 0
		}
		return l.until, false
	case named:
		l.extend(now.Add(wait))
	case !now.Before(l.until): // else another call in flight has met the same limit, and it is counted
		l.extend(now.Add(min(leastWait<<l.strikes, mostWait)))
		l.strikes = min(l.strikes+1, 8)
	}
	return l.until, true
}

func (l *limits) extend(until time.Time) {
	if until.After(l.until) {
		l.until = until
	}
}

// namedWait is how long GitHub asks to wait. X-RateLimit-Reset is about the whole window, and counts only when nothing of
// it remains; it is compared with GitHub's own clock.
func namedWait(h http.Header, spent bool, now time.Time) (time.Duration, bool) {
	if s := h.Get("Retry-After"); s != "" {
		if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
			return clamp(time.Duration(min(max(seconds, 0), 1<<20)) * time.Second), true
		}
		if at, err := http.ParseTime(s); err == nil {
			return clamp(at.Sub(clock(h, now))), true
		}
	}
	if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && spent {
		return clamp(time.Unix(reset, 0).Sub(clock(h, now))), true
	}
	return 0, false
}

func clamp(wait time.Duration) time.Duration { return min(max(wait, time.Second), mostNamed) }

func clock(h http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

// speaksOfLimits finds a secondary limit that has no headers: https://github.com/hub4j/github-api/issues/2009
func speaksOfLimits(body []byte) bool {
	var m struct {
		Message string `json:"message"`
		Link    string `json:"documentation_url"`
	}
	if json.Unmarshal(body, &m) != nil {
		return false
	}
	message, link := strings.ToLower(m.Message), strings.ToLower(m.Link)
	return strings.Contains(message, "rate limit") || strings.Contains(message, "abuse detection") ||
		strings.Contains(link, "rate-limits") || strings.Contains(link, "abuse")
}
