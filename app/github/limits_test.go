package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
)

func TestEveryShapeOfALimitSaysUntilWhen(t *testing.T) {
	t.Parallel()
	const secondary = `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	start := newClock().now()
	in := func(d time.Duration) string { return fmt.Sprint(start.Add(d).Unix()) }
	for name, shape := range map[string]struct {
		status int
		header map[string]string
		body   string
		wait   time.Duration
	}{
		"primary 403":                        {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(30 * time.Minute)}, `{"message":"API rate limit exceeded for installation ID 7."}`, 30 * time.Minute},
		"primary 429":                        {429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(10 * time.Minute)}, `{"message":"API rate limit exceeded"}`, 10 * time.Minute},
		"secondary 403 with Retry-After":     {403, map[string]string{"Retry-After": "47"}, secondary, 47 * time.Second},
		"403 with Retry-After and no words":  {403, map[string]string{"Retry-After": "47"}, `{}`, 47 * time.Second},
		"secondary 429 with Retry-After":     {429, map[string]string{"Retry-After": "5"}, secondary, 5 * time.Second},
		"Retry-After is stronger than reset": {429, map[string]string{"Retry-After": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(time.Hour)}, secondary, 5 * time.Second},
		"Retry-After as a date":              {429, map[string]string{"Retry-After": start.Add(90 * time.Second).Format(http.TimeFormat)}, ``, 90 * time.Second},
		"secondary 403 without headers":      {403, nil, secondary, time.Minute},
		"secondary 403 with only a reset":    {403, map[string]string{"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": in(30 * time.Minute)}, secondary, time.Minute},
		"429 with nothing at all":            {429, nil, ``, time.Minute},
		"429 that is not JSON":               {429, nil, `<html>slow down</html>`, time.Minute},
		"the old words":                      {403, nil, `{"message":"You have triggered an abuse detection mechanism."}`, time.Minute},
		"a reset that has passed":            {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(-time.Hour)}, `{"message":"API rate limit exceeded"}`, time.Second},
		"a Retry-After of a year":            {429, map[string]string{"Retry-After": "31536000"}, ``, 65 * time.Minute},
		"a Retry-After beyond all numbers":   {429, map[string]string{"Retry-After": "99999999999999999999"}, ``, time.Minute},
		"a negative Retry-After":             {429, map[string]string{"Retry-After": "-5"}, ``, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limited := true
			s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
				if !limited {
					pull(w, r)
					return
				}
				for k, v := range shape.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(shape.status)
				fmt.Fprint(w, shape.body)
			})
			in, ctx := s.installation(t), testContext(t)

			_, err := in.Pull(ctx, shop, 3)
			var l *github.Limited
			if !errors.As(err, &l) {
				t.Fatalf("got %v, want *Limited", err)
			}
			if want := start.Add(shape.wait); !l.Until.Equal(want) {
				t.Fatalf("until %v, want %v", l.Until, want)
			}
			limited = false
			s.clock.move(shape.wait - time.Second/2)
			if _, err = in.Pull(ctx, shop, 3); !errors.As(err, &l) {
				t.Fatalf("asked before the time: %v", err)
			}
			if n := s.asked.Load(); n != 1 {
				t.Fatalf("%d requests were sent, want 1", n)
			}
			s.clock.move(time.Second)
			if _, err = in.Pull(ctx, shop, 3); err != nil {
				t.Fatalf("after the time: %v", err)
			}
		})
	}
}

func TestA403ThatIsNoLimitIsARefusal(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "4999")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message":"Resource not accessible by integration","documentation_url":"https://docs.github.com/rest/checks/runs#create-a-check-run"}`)
	})
	_, _, err := s.installation(t).UpsertCheck(testContext(t), shop, check())
	var refused *github.Refused
	if !errors.As(err, &refused) || refused.Status != 403 {
		t.Fatalf("got %v", err)
	}
}

func TestTheWaitDoublesWhileGitHubNamesNoTime(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	in, ctx := s.installation(t), testContext(t)
	for _, want := range []time.Duration{1, 2, 4, 8, 15, 15} {
		_, err := in.Pull(ctx, shop, 3)
		var l *github.Limited
		if !errors.As(err, &l) || l.Until.Sub(s.clock.now()) != want*time.Minute {
			t.Fatalf("got %v, want %d minutes", err, want)
		}
		s.clock.move(want * time.Minute)
	}
}

func TestTheLastCallOfAWindowIsGoodAndTheNextIsHeldBack(t *testing.T) {
	t.Parallel()
	var outcomes []string
	s := newStub(t, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(s.clock.now().Add(time.Hour).Unix()))
		pull(w, r)
	}
	in := s.app(t, func(c *github.Config) {
		c.Observe = func(call github.Call) {
			if call.Route == "pulls" {
				outcomes = append(outcomes, call.Outcome)
			}
		}
	}).Installation(installation)
	ctx := testContext(t)
	if _, err := in.Pull(ctx, shop, 3); err != nil {
		t.Fatal(err)
	}
	var l *github.Limited
	if _, err := in.Pull(ctx, shop, 3); !errors.As(err, &l) {
		t.Fatalf("got %v", err)
	}
	s.clock.move(time.Hour)
	if _, err := in.Pull(ctx, shop, 3); err != nil {
		t.Fatalf("after the window: %v", err)
	}
	if fmt.Sprint(outcomes) != "[ok held ok]" {
		t.Fatalf("observed %v", outcomes)
	}
}

func TestAResetIsReadByGitHubsClock(t *testing.T) {
	t.Parallel()
	s := newStub(t, nil)
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		github := s.clock.now().Add(40 * time.Minute) // this machine is late
		w.Header().Set("Date", github.Format(http.TimeFormat))
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(github.Add(10*time.Minute).Unix()))
		w.WriteHeader(http.StatusForbidden)
	}
	_, err := s.installation(t).Pull(testContext(t), shop, 3)
	var l *github.Limited
	if !errors.As(err, &l) || l.Until.Sub(s.clock.now()) != 10*time.Minute {
		t.Fatalf("got %v at %v", err, s.clock.now())
	}
}

func TestOneInstallationsLimitStopsNoOther(t *testing.T) {
	t.Parallel()
	s := newStub(t, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v3/repos/acme/shop/pulls/3" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		pull(w, r)
	}
	app, ctx := s.app(t), testContext(t)
	if _, err := app.Installation(1).Pull(ctx, shop, 3); err == nil {
		t.Fatal("no limit")
	}
	if _, err := app.Installation(2).Pull(ctx, shop, 4); err != nil {
		t.Fatal(err)
	}
}
