package github

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// limitHeaders speak of limits that are far away.
func limitHeaders(t *testing.T, g *governor) {
	t.Helper()
	h := http.Header{}
	h.Set("X-RateLimit-Limit", "15000")
	h.Set("X-RateLimit-Remaining", "14999")
	h.Set("X-RateLimit-Reset", fmt.Sprint(g.now().Add(time.Hour).Unix()))
	if _, limit := g.read(&http.Response{StatusCode: http.StatusOK, Header: h}, nil); limit {
		t.Fatal("that is no limit")
	}
}

// TestNoMinuteHoldsMoreThanGitHubAllows asks at random, as fast as the governor lets it, and looks at every window that
// ends with a call.
func TestNoMinuteHoldsMoreThanGitHubAllows(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	now := time.Unix(1e9, 0)
	g := newGovernor(func() time.Time { return now })
	type made struct {
		at time.Time
		a  ask
	}
	var all []made
	for range 20_000 {
		a := ask{class: Class(random.IntN(int(classes))), write: random.IntN(2) == 0}
		a.creates = a.write && random.IntN(3) == 0
		leave, err := g.enter(t.Context(), a)
		var l *Limited
		if errors.As(err, &l) {
			if !l.Until.After(now) {
				t.Fatalf("later is %s, and now is %s", l.Until, now)
			}
			now = now.Add(time.Duration(random.Int64N(int64(3 * time.Second))))
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, made{now, a})
		now = now.Add(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
		leave(true)
	}
	most := func(span time.Duration, cost func(ask) int) (worst int) {
		from, sum := 0, 0
		for _, m := range all {
			sum += cost(m.a)
			for all[from].at.Add(span).Before(m.at) {
				sum -= cost(all[from].a)
				from++
			}
			worst = max(worst, sum)
		}
		return worst
	}
	points, creates, hour := most(time.Minute, ask.cost), most(time.Minute, creation), most(time.Hour, creation)
	if points > 900 || creates > 80 || hour > 500 {
		t.Errorf("%d points and %d new contents in a minute, %d in an hour", points, creates, hour)
	}
	if hour < 490 {
		t.Errorf("only %d of 500 were used in any hour", hour)
	}
}

func TestAFifthIsKeptForRepliesAndAFifthForConclusions(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	g := newGovernor(func() time.Time { return now })
	asked := map[Class]int{}
	for _, c := range Classes() {
		for {
			leave, err := g.enter(t.Context(), ask{class: c, write: true})
			if err != nil {
				break
			}
			leave(true)
			asked[c]++
		}
	}
	if got := fmt.Sprint(asked); got != "map[background:72 progress:36 conclusion:36 reply:36]" {
		t.Errorf("asked %s", got)
	}
}

func TestTheNextNewsIsKnownBeforeItIsHeldBack(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	g := newGovernor(func() time.Time { return now })
	limitHeaders(t, g)
	next := func(c Class) time.Duration {
		until, why := g.next(c)
		if until.IsZero() {
			return 0
		}
		if why == "" {
			t.Errorf("nobody knows why %s waits", c)
		}
		return until.Sub(now)
	}
	for asked := 0; next(Progress) == 0; asked++ {
		if asked > 200 {
			t.Fatal("nothing is ever held back")
		}
		leave, err := g.enter(t.Context(), ask{class: Progress, write: true})
		if err != nil {
			t.Fatalf("held back without a warning: %v", err)
		}
		leave(true)
	}
	for range 3 { // asking takes nobody's place
		if got := next(Progress); got != time.Minute {
			t.Errorf("progress can be told in %s", got)
		}
	}
	if got := next(Reply); got != 0 {
		t.Errorf("a reply can be given in %s", got)
	}
	leave, err := g.enter(t.Context(), ask{class: Progress, write: true})
	if err != nil {
		t.Fatalf("the one that is warned of is not let through: %v", err)
	}
	leave(true)
	if g.may(ask{class: Progress, write: true}) == nil {
		t.Error("the one after it is let through")
	}
	now = now.Add(time.Minute)
	if got := next(Progress); got != 0 {
		t.Errorf("a minute later progress can be told in %s", got)
	}
}

func TestWhatPeopleAreToldOfIsCountedAsNewContent(t *testing.T) {
	t.Parallel()
	const here = "https://api.github.com/repos/acme/shop/"
	for request, creates := range map[string]bool{
		"POST issues/5/comments":             true,
		"POST issues/comments/9/reactions":   true,
		"POST deployments":                   true,
		"POST deployments/3/statuses":        true,
		"PATCH issues/comments/9":            false,
		"GET issues/5/comments":              false,
		"POST check-runs":                    false, // GitHub does not say so of them
		"PATCH check-runs/7":                 false,
		"POST check-suites/7/rerequest":      false,
		"POST issues/5/comments/more":        false,
		"DELETE issues/comments/9":           false,
		"DELETE issues/comments/9/reactions": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, here+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := askOf(req); got.creates != creates || got.write != (method != http.MethodGet) {
			t.Errorf("%s is taken for %+v", request, got)
		}
	}
}

func TestOfTheHoursLastCallsAFifthIsKeptForReplies(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	g := newGovernor(func() time.Time { return now })
	reset := now.Add(20 * time.Minute)
	for left, want := range map[int]string{3100: "", 2900: "background", 1900: "background progress", 900: "background progress conclusion"} {
		h := http.Header{}
		h.Set("X-RateLimit-Limit", "5000")
		h.Set("X-RateLimit-Remaining", fmt.Sprint(left))
		h.Set("X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
		g.limits = limits{}
		g.read(&http.Response{StatusCode: http.StatusOK, Header: h}, nil)
		var held []string
		for _, c := range Classes() {
			var l *Limited
			if errors.As(g.may(ask{class: c}), &l) {
				held = append(held, c.String())
				if !l.Until.Equal(reset) {
					t.Errorf("%s may ask again at %s, want %s", c, l.Until, reset)
				}
			}
		}
		if got := strings.Join(held, " "); got != want {
			t.Errorf("with %d left are held: %q, want %q", left, got, want)
		}
	}
}

func TestThoseToldToComeLaterComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	g := newGovernor(func() time.Time { return now })
	a := ask{class: Reply, write: true, creates: true}
	for range createsPerMin {
		leave, err := g.enter(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		leave(true)
		now = now.Add(100 * time.Millisecond)
	}
	times := map[time.Time]int{}
	last := now
	for range 200 {
		var l *Limited
		if !errors.As(g.may(a), &l) || l.Until.Before(last) {
			t.Fatalf("told to come at %v after %v", l, last)
		}
		last = l.Until
		times[l.Until]++
	}
	if last.Sub(now) < 2*time.Minute || last.Sub(now) > 4*time.Minute || len(times) < createsPerMin {
		t.Errorf("200 come at %d different times, the last after %s", len(times), last.Sub(now))
	}
}

func TestAServerWithoutLimitsIsNotPacedUntilItSpeaksOfOne(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	g := newGovernor(func() time.Time { return now })
	g.read(&http.Response{StatusCode: http.StatusOK, Header: http.Header{}}, nil)
	ask1000 := func() (n int) {
		for range 1000 {
			leave, err := g.enter(t.Context(), ask{class: Background, write: true})
			if err != nil {
				return n
			}
			leave(true)
			n++
		}
		return n
	}
	if n := ask1000(); n != 1000 {
		t.Fatalf("%d of 1000 were asked", n)
	}
	g.read(&http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}, nil)
	now = now.Add(time.Hour)
	if n := ask1000(); n != 72 {
		t.Fatalf("after a limit %d were asked in a moment", n)
	}
}

// TestTheMostUrgentWriteGoesNext fills the one place for writes, lets others wait for it, and looks who comes next.
func TestTheMostUrgentWriteGoesNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGovernor(time.Now)
		limitHeaders(t, g)
		first, err := g.enter(t.Context(), ask{class: Background, write: true})
		if err != nil {
			t.Fatal(err)
		}
		var (
			mu    sync.Mutex
			order []string
			all   sync.WaitGroup
		)
		wait := func(c Class) {
			all.Go(func() {
				leave, err := g.enter(t.Context(), ask{class: c, write: true})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					order = append(order, "later "+c.String())
					return
				}
				order = append(order, c.String())
				leave(true)
			})
			synctest.Wait()
		}
		for _, c := range []Class{Background, Progress, Conclusion, Reply, Progress, Conclusion, Reply} {
			wait(c)
		}
		first(true)
		all.Wait()
		want := []string{"later progress", "later conclusion", "reply", "reply", "conclusion", "progress", "background"}
		if !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
		if b := g.budget(); b.Points != pointsPerMinute-6*writePoints {
			t.Errorf("%d points are left: what was not asked costs nothing", b.Points)
		}
	})
}

func TestWhoGivesUpWaitingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGovernor(time.Now)
		first, err := g.enter(t.Context(), ask{class: Reply, write: true, creates: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { _, err := g.enter(ctx, ask{class: Reply, write: true, creates: true}); gone <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		first(false)
		if b := g.budget(); b.Points != pointsPerMinute || b.Creates != createsPerMin || b.CreatesHour != createsPerHour || g.calls != 0 || g.writing || len(g.waiting) != 0 {
			t.Errorf("left behind: %+v, %d calls, writing %v", b, g.calls, g.writing)
		}
	})
}

func TestWhoWaitedWhenALimitCameIsSentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGovernor(time.Now)
		first, err := g.enter(t.Context(), ask{class: Progress, write: true})
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error)
		for range 3 {
			go func() { _, err := g.enter(t.Context(), ask{class: Progress, write: true}); waited <- err }()
		}
		synctest.Wait()
		g.read(&http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}}, nil)
		first(true)
		for range 3 {
			var l *Limited
			if err := <-waited; !errors.As(err, &l) || time.Until(l.Until) != 30*time.Second {
				t.Errorf("got %v", err)
			}
		}
	})
}
