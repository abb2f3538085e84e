package github

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GitHub's limits for one installation, and ours below them.
//
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
const (
	maxCalls        = 20  // at once, of one installation
	maxCrowd        = 90  // at once, of all installations together; GitHub's limit is 100
	pointsPerMinute = 900 // a read costs one, a write five
	readPoints      = 1
	writePoints     = 5
	createsPerMin   = 80
	createsPerHour  = 500
	yieldTime       = time.Second // how long those stand back who meet someone more urgent
)

// Why calls are held back although GitHub has not asked for it.
const (
	keptReason  = "what is left of the hour's calls is kept for what is more urgent"
	spentReason = "this minute's budget is used up"
)

// governor decides, for one installation, which call may be asked now. Who may not is told when to come again; the only
// wait is the one for a place among calls that are under way.
//
// GitHub Enterprise Server has no limits unless its administrator wants some, and then its answers say nothing of
// limits: after such an answer the windows are not looked at, until one speaks of limits.
type governor struct {
	now func() time.Time

	mu      sync.Mutex
	limits  limits // what GitHub has said
	pace    pace
	points  window
	minute  window // of what creates content
	hour    window
	calls   int
	writing bool
	waiting []*waiter // the most urgent first
}

type pace int

const (
	assumed pace = iota // nothing is known yet: as if there were limits
	limited             // the server speaks of its limits
	free                // it has none
)

// ask is one call as the governor sees it.
type ask struct {
	class   Class
	write   bool
	creates bool
}

func (a ask) cost() int {
	if a.write {
		return writePoints
	}
	return readPoints
}

type waiter struct {
	ask
	ready chan struct{}
	err   error // when ready: why it may not, after all
}

func newGovernor(now func() time.Time) *governor {
	return &governor{
		now:    now,
		points: window{limit: pointsPerMinute, span: time.Minute},
		minute: window{limit: createsPerMin, span: time.Minute},
		hour:   window{limit: createsPerHour, span: time.Hour},
	}
}

// askOf reads what a request is. What creates content is what people see and are told of: comments, reactions and
// deployments. GitHub warns at each endpoint that has the limit, "creating content too quickly using this endpoint may
// result in secondary rate limiting", and marks it as one that triggers notifications:
//
// https://docs.github.com/rest/issues/comments#create-an-issue-comment
//
// Of what we ask for, that is comments alone. Reactions and deployments are counted out of caution: people see them, and they
// are few. The warning is not at check runs, which only Apps can make and of which nobody is told; they count by their
// points. Counted, they would hold an installation to 500 stages an hour, of which GitHub allows ten times as many.
//
// https://docs.github.com/rest/checks/runs#create-a-check-run
func askOf(req *http.Request) ask {
	a := ask{class: classOf(req.Context()), write: isWrite(req.Method)}
	if req.Method == http.MethodPost {
		for _, part := range []string{"/comments", "/reactions", "/deployments", "/statuses"} {
			a.creates = a.creates || strings.HasSuffix(req.URL.Path, part)
		}
	}
	return a
}

// enter returns when the call may be asked, or says when to come again. leave must be called with what came of it.
func (g *governor) enter(ctx context.Context, a ask) (leave func(asked bool), err error) {
	g.mu.Lock()
	if err := g.refuse(a, g.writing || g.calls >= maxCalls); err != nil {
		g.mu.Unlock()
		return nil, err
	}
	g.begin(a)
	w := &waiter{ask: a, ready: make(chan struct{})}
	at, _ := slices.BinarySearchFunc(g.waiting, w, func(o, w *waiter) int {
		if o.class >= w.class {
			return -1 // who came first goes first
		}
		return 1
	})
	g.waiting = slices.Insert(g.waiting, at, w)
	g.admit()
	g.mu.Unlock()

	select {
	case <-w.ready:
		if w.err != nil {
			return nil, w.err
		}
		return func(asked bool) { g.leave(a, asked) }, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.end(a, false)
	} else if w.err == nil {
		g.free(a, false)
	}
	return nil, &Unavailable{Err: ctx.Err()}
}

// may is enter without the call: whether it would be refused right now. It promises nothing.
func (g *governor) may(a ask) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refuse(a, g.writing || g.calls >= maxCalls)
}

// refuse says when to come again, or nothing.
func (g *governor) refuse(a ask, busy bool) error {
	now := g.now()
	if until, closed := g.limits.closed(now); closed {
		return &Limited{Until: until, Why: g.limits.reason()}
	}
	if busy && len(g.waiting) > 0 && g.waiting[0].class > a.class {
		return &Limited{Until: now.Add(yieldTime), Why: "more urgent calls wait"}
	}
	if until := g.limits.reserved(now, a.class); !until.IsZero() {
		return &Limited{Until: until, Why: keptReason}
	}
	if g.pace == free {
		return nil
	}
	var until time.Time
	for _, part := range []struct {
		w    *window
		cost int
	}{{&g.points, a.cost()}, {&g.minute, creation(a)}, {&g.hour, creation(a)}} {
		if most := a.class.share(part.w.limit); part.cost > 0 && part.w.left(now, most) < part.cost {
			if at := part.w.later(now, part.cost, a.class); at.After(until) {
				until = at
			}
		}
	}
	if !until.IsZero() {
		return &Limited{Until: until, Why: spentReason}
	}
	return nil
}

// next is when there can be news of a class again after one more write, and why not at once; zero when nothing is in the
// way. Unlike refuse it promises nobody a place.
func (g *governor) next(c Class) (until time.Time, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if until, closed := g.limits.closed(now); closed {
		return until, g.limits.reason()
	}
	if until := g.limits.reserved(now, c); !until.IsZero() {
		return until, keptReason
	}
	if cost := 2 * writePoints; g.pace != free && g.points.left(now, c.share(g.points.limit)) < cost {
		return g.points.when(now, cost, c), spentReason
	}
	return time.Time{}, ""
}

func creation(a ask) int {
	if a.creates {
		return 1
	}
	return 0
}

// admit lets those in for whom there is a place. When GitHub has meanwhile asked to wait, all are sent away.
func (g *governor) admit() {
	if until, closed := g.limits.closed(g.now()); closed {
		for _, w := range g.waiting {
			w.err = &Limited{Until: until, Why: g.limits.reason()}
			g.end(w.ask, false)
			close(w.ready)
		}
		g.waiting = nil
		return
	}
	for i := 0; i < len(g.waiting) && g.calls < maxCalls; {
		w := g.waiting[i]
		if w.write && g.writing {
			i++
			continue
		}
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.calls++
		g.writing = g.writing || w.write
		close(w.ready)
	}
}

func (g *governor) leave(a ask, asked bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free(a, asked)
}

func (g *governor) free(a ask, asked bool) {
	g.calls--
	if a.write {
		g.writing = false
	}
	g.end(a, asked)
	g.admit()
}

func (g *governor) begin(a ask) {
	g.points.begin(a.cost())
	g.minute.begin(creation(a))
	g.hour.begin(creation(a))
}

func (g *governor) end(a ask, asked bool) {
	now := g.now()
	g.points.end(now, a.cost(), asked)
	g.minute.end(now, creation(a), asked)
	g.hour.end(now, creation(a), asked)
}

// read learns from an answer.
func (g *governor) read(resp *http.Response, body []byte) (until time.Time, limit bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, limit = g.limits.read(resp, body, g.now())
	switch _, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit")); {
	case limit || err == nil:
		g.pace = limited
	case g.pace == assumed && resp.StatusCode < 300:
		g.pace = free
	}
	return until, limit
}

// hold keeps all calls back until a time, for a reason that is not a limit.
func (g *governor) hold(until time.Time, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.hold(until, why)
}

// resume ends such a hold, and no other.
func (g *governor) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.resume()
}

// Budget is what is left to one installation, or to the one that has least.
type Budget struct {
	Points       int       // of this minute; a read costs one, a write five
	Creates      int       // of this minute: comments, reactions, deployments
	CreatesHour  int       // the same, of this hour
	Calls        int       // of this hour, as GitHub says; -1 while it has not said
	LimitedUntil time.Time // GitHub wants to hear nothing before; zero when it does not say so
	Why          string    // why it is limited
}

func (g *governor) budget() Budget {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	b := Budget{
		Points: g.points.left(now, g.points.limit), Creates: g.minute.left(now, g.minute.limit), CreatesHour: g.hour.left(now, g.hour.limit),
		Calls: g.limits.remaining(now),
	}
	if until, closed := g.limits.closed(now); closed {
		b.LimitedUntil, b.Why = until, g.limits.reason()
	}
	return b
}
