package github_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestWebhooksGoWrongAsAsked(t *testing.T) {
	w, _, _ := ready(t)
	w.quiet()
	from := len(w.inbox.names())
	after := func() string {
		w.quiet()
		names := w.inbox.names()[from:]
		from += len(names)
		return strings.Join(names, " ")
	}
	fault := func(f github.HookFault) { w.InjectHook(f) }

	fault(github.HookFault{Event: "push", Duplicates: 2, Times: 1})
	w.commit("main", "ada", map[string]string{"n": "1"})
	if got := after(); got != "push push push check_suite.requested" {
		t.Errorf("duplicated: %s", got)
	}
	fault(github.HookFault{Event: "push", Drop: true, Times: 1})
	w.commit("main", "ada", map[string]string{"n": "2"})
	if got := after(); got != "check_suite.requested" {
		t.Errorf("dropped: %s", got)
	}
	dropped := github.Delivery{}
	for _, d := range w.Deliveries() {
		if d.StatusCode == http.StatusBadGateway {
			dropped = d
		}
	}
	w.ok(w.Redeliver(dropped.ID))
	if got := after(); got != "push" {
		t.Errorf("the dropped one again: %s", got)
	}
	logged := len(w.Deliveries())
	fault(github.HookFault{Event: "push", Lose: true, Times: 1})
	w.commit("main", "ada", map[string]string{"n": "3"})
	if got := after(); got != "check_suite.requested" || len(w.Deliveries()) != logged+1 {
		t.Errorf("lost: %s", got)
	}
	fault(github.HookFault{Event: "push", Behind: 1, Times: 1})
	w.commit("main", "ada", map[string]string{"n": "4"})
	if got := after(); got != "check_suite.requested push" {
		t.Errorf("behind: %s", got)
	}
	fault(github.HookFault{Event: "push", Delay: time.Millisecond, Times: 1})
	w.commit("main", "ada", map[string]string{"n": "5"})
	if got := after(); got != "check_suite.requested push" && got != "push check_suite.requested" {
		t.Errorf("delayed: %s", got)
	}
	w.HoldHooks(w.app.Slug)
	w.commit("main", "ada", map[string]string{"n": "6"})
	if got := w.inbox.names(); len(got) != from {
		t.Errorf("held back, but heard %v", got[from:])
	}
	w.ReleaseHooks(w.app.Slug, false)
	if got := after(); got != "push check_suite.requested" {
		t.Errorf("released: %s", got)
	}
}

func TestRESTCallsGoWrongAsAsked(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	const runs = "/repos/{owner}/{repo}/check-runs"
	create := func() (*gogithub.Response, error) {
		_, res, err := w.installation(w.installationID(), nil).Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: sha})
		return res, err
	}
	count := func() int {
		var n int
		w.Look(func(v *github.View) { n = len(v.CheckRuns("acme/shop", sha)) })
		return n
	}
	w.Inject(github.Fault{Method: "POST", Route: runs, Status: 502, Times: 2})
	for range 2 {
		if res, err := create(); err == nil || res.StatusCode != 502 || count() != 0 {
			t.Errorf("a 502: %v, %d runs", err, count())
		}
	}
	if _, err := create(); err != nil || count() != 1 {
		t.Errorf("after it: %v", err)
	}
	w.Inject(github.Fault{Method: "POST", Route: runs, Cut: true, Times: 1})
	if _, err := create(); err == nil || count() != 2 {
		t.Errorf("cut after it was done: %v, %d runs", err, count())
	}
	w.Inject(github.Fault{Method: "POST", Route: runs, Lost: true, Times: 1})
	if _, err := create(); err == nil || count() != 2 {
		t.Errorf("cut before it was done: %v, %d runs", err, count())
	}
	w.Inject(github.Fault{Route: "/repos/{owner}/{repo}/*", Limit: github.SecondaryLimit, RetryAfter: 7 * time.Second, Times: 1})
	_, err := create()
	if abuse, is := err.(*gogithub.AbuseRateLimitError); !is || abuse.GetRetryAfter() != 7*time.Second {
		t.Errorf("a secondary limit: %v", err)
	}
	w.Inject(github.Fault{Route: runs, Limit: github.SecondaryLimit, Status: 429, Times: 1})
	if res, err := create(); err == nil || res.StatusCode != 429 || res.Header.Get("Retry-After") != "" {
		t.Errorf("a bare 429: %v", err)
	}
	w.Inject(github.Fault{Route: runs, Limit: github.PrimaryLimit, RetryAfter: time.Minute, Times: 1})
	if _, err := create(); err == nil {
		t.Error("a primary limit let the call through")
	} else if limited, is := err.(*gogithub.RateLimitError); !is || !limited.Rate.Reset.Time.Equal(w.clock.now().Add(time.Minute)) {
		t.Errorf("a primary limit: %v", err)
	}
	remove := w.Inject(github.Fault{Status: 503})
	if _, res, _ := gh.Repositories.Get(ctx, "acme", "shop"); res.StatusCode != 503 {
		t.Errorf("all down: %s", res.Status)
	}
	remove()
	if _, _, err := gh.Repositories.Get(ctx, "acme", "shop"); err != nil {
		t.Errorf("up again: %v", err)
	}
	struck := 0
	remove = w.Inject(github.Fault{Status: 500, Probability: 0.3})
	for range 50 {
		if _, _, err := gh.Repositories.Get(ctx, "acme", "shop"); err != nil {
			struck++
		}
	}
	remove()
	if struck < 5 || struck > 30 {
		t.Errorf("a fault of 30 %% struck %d times of 50", struck)
	}
}

func TestReadsAreStaleWhenAsked(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	first := w.commit("topic", "ada", map[string]string{"a": "1"})
	w.must(w.OpenPull("acme/shop", "ada", "A", "topic", "main"))
	second := w.commit("topic", "ada", map[string]string{"a": "2"})
	head := func() string {
		p, _, err := gh.PullRequests.Get(ctx, "acme", "shop", 1)
		w.ok(err)
		return p.GetHead().GetSHA()
	}
	remove := w.Inject(github.Fault{Method: "GET", Stale: true})
	if got := head(); got != first {
		t.Errorf("stale, the head is %s", got)
	}
	if k, _, err := gh.Repositories.GetCommitSHA1(ctx, "acme", "shop", "topic", ""); err != nil || k != first {
		t.Errorf("stale, the branch is at %s: %v", k, err)
	}
	remove()
	if got := head(); got != second {
		t.Errorf("fresh, the head is %s", got)
	}
	w.Inject(github.Fault{Method: "GET", Route: "/repos/{owner}/{repo}/pulls/{pull_number}", Undecided: true, Times: 1})
	p, _, err := gh.PullRequests.Get(ctx, "acme", "shop", 1)
	w.ok(err)
	if p.Mergeable != nil || p.GetMergeableState() != "unknown" {
		t.Errorf("undecided, mergeable is %v", p.GetMergeable())
	}
}
