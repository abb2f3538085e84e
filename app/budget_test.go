package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/memory"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// strict is a GitHub that knows check runs only, and counts: what comes before its time, and what is too much.
type strict struct {
	mu       sync.Mutex
	checks   map[int64]string // the status of each
	byName   map[string]int64
	calls    []costly
	closed   time.Time // nothing may come before
	limitAt  []int     // which calls are answered with a limit
	statuses []int     // with which status, in turn
	retry    time.Duration
	writing  int
	faults   []string
}

type costly struct {
	at   time.Time
	cost int
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/access_tokens") {
		return answer(r, http.StatusCreated, nil, map[string]any{"token": "ghs_x", "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}), nil
	}
	var body map[string]any
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = json.Unmarshal(raw, &body) // a read has none
	}
	write := r.Method != http.MethodGet
	s.enter(write)
	select { // the way there and back
	case <-time.After(40 * time.Millisecond):
	case <-r.Context().Done():
	}
	return s.answer(r, write, body), nil
}

func (s *strict) enter(write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, cost := time.Now(), 1
	if write {
		cost = 5
		if s.writing++; s.writing > 1 {
			s.faults = append(s.faults, "two writes at once")
		}
	}
	if now.Before(s.closed) {
		s.faults = append(s.faults, fmt.Sprintf("a call came %s before its time", s.closed.Sub(now)))
	}
	s.calls = append(s.calls, costly{now, cost})
	sum := 0
	for i := len(s.calls) - 1; i >= 0 && now.Sub(s.calls[i].at) < time.Minute; i-- {
		sum += s.calls[i].cost
	}
	if sum > 900 {
		s.faults = append(s.faults, fmt.Sprintf("%d points within a minute", sum))
	}
}

func (s *strict) answer(r *http.Request, write bool, body map[string]any) *http.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if write {
		s.writing--
	}
	if len(s.limitAt) > 0 && len(s.calls) >= s.limitAt[0] {
		s.limitAt = s.limitAt[1:]
		s.statuses = append(s.statuses[1:], s.statuses[0])
		s.closed = time.Now().Add(s.retry)
		return answer(r, s.statuses[0], http.Header{"Retry-After": {fmt.Sprint(int(s.retry.Seconds()))}}, map[string]any{"message": "You have exceeded a secondary rate limit."})
	}
	header := http.Header{"X-Ratelimit-Limit": {"15000"}, "X-Ratelimit-Remaining": {"14000"}, "X-Ratelimit-Reset": {fmt.Sprint(time.Now().Add(time.Hour).Unix())}}
	status, _ := body["status"].(string)
	switch {
	case r.Method == http.MethodPost:
		id, name := int64(len(s.checks)+1), fmt.Sprint(body["external_id"])
		if s.byName[name] != 0 {
			s.faults = append(s.faults, name+" was made twice")
		}
		s.checks[id], s.byName[name] = status, id
		return answer(r, http.StatusCreated, header, map[string]any{"id": id})
	case r.Method == http.MethodPatch:
		var id int64
		_, err := fmt.Sscanf(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], "%d", &id)
		if err != nil || s.checks[id] == "" || s.checks[id] == "completed" {
			s.faults = append(s.faults, fmt.Sprintf("%s is told as %s, and it is %q", r.URL.Path, status, s.checks[id]))
		}
		s.checks[id] = status
		return answer(r, http.StatusOK, header, map[string]any{"id": id})
	}
	s.faults = append(s.faults, "nobody needs "+r.Method+" "+r.URL.Path)
	return answer(r, http.StatusNotFound, header, map[string]any{})
}

func answer(r *http.Request, status int, header http.Header, body map[string]any) *http.Response {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(text)), Request: r}
}

// told is how many check runs there are, and how many are completed.
func (s *strict) told() (all, completed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, status := range s.checks {
		if status == "completed" {
			completed++
		}
	}
	return len(s.checks), completed
}

var pemKey = sync.OnceValue(func() []byte {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
})

// talking is the part of the App that works on runs and tells of them. Steps take their time, and do nothing.
func talking(t *testing.T, s *strict, workers int, takes time.Duration) (*App, *engine.Engine) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := logs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // nothing was written
	gh, err := github.New(github.Config{APIURL: "https://api.github.com", WebURL: "https://github.com", AppID: 1, PrivateKey: pemKey(), Transport: s, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	a := &App{
		config: Config{PublicURL: "https://ci.example"}, log: quiet, clock: time.Now, linkKey: make([]byte, 32), logs: store,
		journal: memory.New(time.Now), github: gh, meter: newMeter(), changes: newChanges(),
	}
	a.held = newHeld(a.now, a.changes.tell)
	m := a.runs()
	really := m.Do
	m.Do = func(ctx context.Context, w *runWork, effect pipeline.Effect) error {
		e, ok := effect.(pipeline.Exec)
		if !ok {
			return really(ctx, w, effect)
		}
		if _, err := w.Append(ctx, pipeline.StepStarted{Step: e.Step, Attempt: e.Attempt, Token: w.Token, At: time.Now()}); err != nil {
			return err
		}
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return ctx.Err()
		}
		_, err := w.Append(ctx, pipeline.StepFinished{Step: e.Step, Attempt: e.Attempt, Result: pipeline.Result{Outcome: pipeline.Passed}, At: time.Now()})
		return err
	}
	return a, engine.New(engine.Options{Journal: a.journal, Log: quiet, Now: time.Now, Workers: workers}, m)
}

// request queues a run of one step.
func (a *App) requestRun(t *testing.T, n int) {
	t.Helper()
	repo := pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Installation: 3, Branch: "main"}
	run := pipeline.NewRunID(repo.ID, fmt.Sprint("delivery-", n))
	records, err := engine.Records(time.Now().UTC(), pipeline.Event(pipeline.Requested{
		Run: run, Trust: pipeline.Writer, At: time.Now().UTC(),
		Trigger: pipeline.Trigger{Kind: pipeline.Push, Repo: repo, Commit: pipeline.Commit(fmt.Sprintf("%040x", n+1)), Branch: "main"},
		Plan:    pipeline.Plan{Stages: []pipeline.Stage{{Name: "test", Steps: []pipeline.Step{{Name: "unit", Run: "true"}}}}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.journal.Append(t.Context(), journal.Batch{Stream: string(run), Expect: journal.None, Records: records}); err != nil {
		t.Fatal(err)
	}
}

// play works until every run is told as completed, and returns how long that took.
func play(t *testing.T, work *engine.Engine, s *strict, runs int) time.Duration {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- work.Run(ctx) }()
	began := time.Now()
	for look := time.NewTicker(time.Second); ; <-look.C {
		if all, completed := s.told(); all == runs && completed == runs {
			look.Stop()
			break
		}
		if time.Since(began) > 24*time.Hour {
			all, completed := s.told()
			t.Fatalf("after a day GitHub shows %d of %d checks, %d completed", all, runs, completed)
		}
	}
	took := time.Since(began)
	<-time.After(3 * time.Minute) // what is still owed would be told now
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, f := range s.faults {
		t.Error(f)
	}
	return took
}

func newStrict(limits []int, retry time.Duration) *strict {
	return &strict{checks: map[int64]string{}, byName: map[string]int64{}, limitAt: limits, statuses: []int{403, 429}, retry: retry}
}

func TestAThousandQueuedRunsAreToldWithoutACallBeforeItsTime(t *testing.T) {
	t.Parallel()
	const runs = 1000
	pemKey() // outside of the bubble, as others wait for it
	synctest.Test(t, func(t *testing.T) {
		s := newStrict([]int{1, 40, 200, 500, 900}, 90*time.Second)
		a, work := talking(t, s, 8, 5*time.Second)
		for n := range runs {
			a.requestRun(t, n)
		}
		took := play(t, work, s, runs)
		t.Logf("%d runs were told by %d calls within %s", runs, len(s.calls), took)
		if len(s.limitAt) > 0 || len(s.calls) > 2*runs+10 {
			t.Errorf("%d limits were not met, %d calls were made", len(s.limitAt), len(s.calls))
		}
	})
}

func TestWhatChangesWhileGitHubLimitsUsCostsOneCall(t *testing.T) {
	t.Parallel()
	pemKey()
	synctest.Test(t, func(t *testing.T) {
		s := newStrict([]int{1}, 10*time.Minute)
		a, work := talking(t, s, 8, time.Minute)
		a.requestRun(t, 0)
		play(t, work, s, 1)
		if len(s.calls) != 2 { // the one that met the limit, and the one that told how it ended
			t.Errorf("%d calls were made", len(s.calls))
		}
	})
}
