package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers"
	"github.com/conveyor-ci/conveyor/handlers/dashboard"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// shop is a repository octo/shop with its runs, as the pages see it: states that real events have made, and real logs.
type shop struct {
	t     testing.TB
	logs  *logs.Store
	pages *dashboard.Pages

	mu        sync.Mutex
	runs      map[pipeline.RunID]pipeline.State
	order     []pipeline.RunID
	repo      deploy.State
	now       time.Time
	followers map[string][]chan struct{}
	writes    int       // changes of anything, to see that reading makes none
	limited   time.Time // until when GitHub limits us
	broken    error     // what reading the journal gives, if not nil
}

func newShop(t testing.TB) *shop {
	t.Helper()
	store, err := logs.Open(t.TempDir())
	must(t, err)
	s := &shop{
		t: t, logs: store, runs: map[pipeline.RunID]pipeline.State{}, followers: map[string][]chan struct{}{},
		now: time.Date(2026, 11, 23, 14, 3, 5, 0, time.UTC), // of a Monday on which no clock is changed
	}
	t.Cleanup(func() { must(t, store.Close()) })
	s.pages = dashboard.New(s.options(true))
	return s
}

// shut makes pages without a list of runs.
func (s *shop) shut() { s.pages = dashboard.New(s.options(false)) }

func (s *shop) options(open bool) dashboard.Options {
	return dashboard.Options{
		Run: func(ctx context.Context, id pipeline.RunID) (pipeline.State, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.runs[id], errors.Join(s.broken, ctx.Err())
		},
		Repo: func(context.Context, int64) (deploy.State, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.repo, nil
		},
		Runs: func(_ context.Context, limit int) (all []pipeline.State, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for i := len(s.order) - 1; i >= 0 && len(all) < limit; i-- {
				all = append(all, s.runs[s.order[i]])
			}
			return all, s.broken
		},
		Held: func(pipeline.State) (time.Time, string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.limited, ""
		},
		Changed: func(_ context.Context, stream string) <-chan struct{} {
			s.mu.Lock()
			defer s.mu.Unlock()
			c := make(chan struct{}, 1)
			s.followers[stream] = append(s.followers[stream], c)
			return c
		},
		Logs: s.logs, LogName: logName, Key: key, GitHubURL: "https://github.example", Open: open,
		Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func logName(run pipeline.RunID, step string, attempt int) string {
	return fmt.Sprintf("%s/%s/%d", run, step, attempt)
}

func key(run pipeline.RunID) string { return fmt.Sprintf("%032x", len(run)*7919) }

func address(run pipeline.RunID) string {
	return "/runs/" + strings.TrimPrefix(string(run), "run/") + "/" + key(run)
}

// handler is the pages behind the real router, with its headers.
func (s *shop) handler() http.Handler {
	return handlers.Routes(handlers.Options{
		Webhook: func(c *gin.Context) { c.Status(http.StatusAccepted) }, Pages: s.pages,
		Ready: func(context.Context) []handlers.Condition { return nil }, Metrics: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	})
}

// serve gives the pages an address.
func (s *shop) serve() *httptest.Server {
	server := httptest.NewServer(s.handler())
	s.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// serveAt gives the pages a given address, as a server does that is started again.
func (s *shop) serveAt(addr string) *httptest.Server {
	s.t.Helper()
	listener, err := net.Listen("tcp", addr)
	must(s.t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s.handler(), ReadHeaderTimeout: time.Minute}}
	server.Start()
	return server
}

// later moves the clock.
func (s *shop) later(d time.Duration) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
	return s.now
}

// tell adds events to a run, as the engine does, and lets the pages know.
func (s *shop) tell(run pipeline.RunID, events ...pipeline.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.runs[run] = pipeline.Apply(s.runs[run], e)
		s.writes++
	}
	s.wake(string(run))
}

// note adds events to the repository.
func (s *shop) note(events ...deploy.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.repo = deploy.Apply(s.repo, e)
		s.writes++
	}
	s.wake("repo/7")
}

func (s *shop) wake(stream string) {
	for _, f := range s.followers[stream] {
		select {
		case f <- struct{}{}:
		default:
		}
	}
}

var (
	repo       = pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Installation: 1, Branch: "main"}
	author     = pipeline.Actor{ID: 11, Login: "author"}
	maintainer = pipeline.Actor{ID: 12, Login: "maintainer"}
)

const (
	headCommit  = pipeline.Commit("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d")
	mergeCommit = pipeline.Commit("5d6e7f8091a2b3c4d5e6f708192a3b4c1a2b3c4d")
	siteDigest  = pipeline.Digest("sha256:8f14e45fceea167a5a36dedd4bea2543c1f5b0a7d2c9e8f76543210fedcba987")
)

func shopPlan() pipeline.Plan {
	return pipeline.Plan{
		Version: 1,
		Stages: []pipeline.Stage{
			{Name: "test", Steps: []pipeline.Step{
				{Name: "unit", Run: "npm ci\nnpm test", Reports: pipeline.Reports{JUnit: "reports/*.xml"}},
				{Name: "lint", Run: "npm run lint"},
			}},
			{Name: "build", Steps: []pipeline.Step{
				{Name: "site", Run: "npm ci && npm run build", Artifact: &pipeline.ArtifactSpec{Name: "site", Paths: []string{"dist/**"}}},
			}},
		},
		Environments: []pipeline.Environment{
			{Name: "preview", On: pipeline.EnvOn{PullRequest: true}, Artifact: "site", URL: "https://pr-{{ pr }}.preview.shop.example"},
			{Name: "staging", On: pipeline.EnvOn{Branch: "main"}, Artifact: "site", URL: "https://staging.shop.example"},
			{Name: "production", After: "staging", Artifact: "site", URL: "https://shop.example",
				Approve: &pipeline.Approve{By: []string{"maintain"}, Count: 1, NotAuthor: true}},
		},
	}
}

// define makes the environments known, and the pull request that the runs are about.
func (s *shop) define() {
	s.note(
		deploy.Defined{Repo: repo, Commit: mergeCommit, Pushed: true, Environments: shopPlan().Environments, Plan: "p"},
		deploy.PullSeen{Number: 12, Open: true, Head: headCommit, Branch: "free-shipping", Base: "main", Author: author, Updated: s.later(0)},
	)
}

// request begins a run.
func (s *shop) request(change func(*pipeline.Requested)) pipeline.RunID {
	delivery := fmt.Sprintf("3f2a9c1e-7b4d-11f0-8a6e-%012d", len(s.order)+1)
	e := pipeline.Requested{
		Run: pipeline.NewRunID(7, delivery), Trust: pipeline.Writer, Plan: shopPlan(), PlanFrom: headCommit, At: s.later(0),
		Trigger: pipeline.Trigger{
			Kind: pipeline.PullRequest, Delivery: delivery, Repo: repo, Commit: headCommit, Ref: "refs/pull/12/head", Branch: "free-shipping",
			Pull: 12, Base: "main", Actor: author, At: s.later(0), Title: "Free shipping from 50 euros",
		},
	}
	if change != nil {
		change(&e)
	}
	s.mu.Lock()
	s.order = append(s.order, e.Run)
	s.mu.Unlock()
	s.tell(e.Run, e)
	s.note(deploy.RunBegan{Run: e.Run, Trigger: e.Trigger, Trust: e.Trust, At: e.At})
	return e.Run
}

// push begins a run of a push to main.
func push(e *pipeline.Requested) {
	e.Trigger.Kind, e.Trigger.Pull, e.Trigger.Base = pipeline.Push, 0, ""
	e.Trigger.Ref, e.Trigger.Branch = "refs/heads/main", "main"
	e.Trigger.Commit, e.PlanFrom = mergeCommit, mergeCommit
	e.Trigger.Title = "Free shipping from 50 euros (#12)"
}

func (s *shop) start(run pipeline.RunID, step string, attempt int) {
	s.tell(run, pipeline.StepStarted{Step: step, Attempt: attempt, Token: 1, At: s.later(300 * time.Millisecond)})
}

func (s *shop) finish(run pipeline.RunID, step string, attempt int, after time.Duration, r pipeline.Result) {
	s.tell(run, pipeline.StepFinished{Step: step, Attempt: attempt, Result: r, At: s.later(after)})
}

// print writes a whole log.
func (s *shop) print(run pipeline.RunID, step string, attempt int, text string) {
	s.t.Helper()
	w := s.writer(run, step, attempt)
	_, err := w.Write([]byte(text))
	must(s.t, err)
	must(s.t, w.Close())
}

func (s *shop) writer(run pipeline.RunID, step string, attempt int) *logs.Writer {
	s.t.Helper()
	w, err := s.logs.Writer(logName(run, step, attempt), nil, 0)
	must(s.t, err)
	return w
}

var (
	unitLog = "\x1b[1m$ npm ci && npm test\x1b[0m\n\n" + packages + "\n> shop@2.4.0 test\n> vitest run\n\n" + suites +
		"\n Test Files  \x1b[1;32m9 passed\x1b[0m (9)\n      Tests  \x1b[1;32m128 passed\x1b[0m (128)\n   Duration  4.21s\n"
	packages = "added 412 packages, and audited 413 packages in 6s\n\n58 packages are looking for funding\n  run `npm fund` for details\n\nfound \x1b[32m0\x1b[0m vulnerabilities\n"
	suites   = func() (text string) {
		for i, name := range []string{"cart", "checkout", "prices", "shipping", "stock", "search", "account", "mail", "invoice"} {
			text += fmt.Sprintf(" \x1b[32m✓\x1b[0m src/%s.test.ts \x1b[2m(%d tests)\x1b[22m %dms\n", name, 8+i*3%11, 31+i*57%213)
		}
		return text
	}()
	siteLog = "\x1b[1m$ npm ci && npm run build\x1b[0m\n\n" + packages + "\n> shop@2.4.0 build\n> vite build\n\n" +
		"\x1b[36mvite v7.1.4\x1b[0m building for production...\ntransforming (12)\rtransforming (204)\r\x1b[32m✓\x1b[0m 214 modules transformed.\n" +
		"dist/index.html                   \x1b[2m1.42 kB │ gzip:  0.61 kB\x1b[22m\ndist/assets/\x1b[35mindex-9f3c1b2a.css\x1b[39m   \x1b[2m18.30 kB │ gzip:  4.12 kB\x1b[22m\n" +
		"dist/assets/\x1b[36mindex-4be1d077.js\x1b[39m   \x1b[2m241.88 kB │ gzip: 77.03 kB\x1b[22m\n\x1b[32m✓ built in 5.37s\x1b[0m\n\nartifact site: 38 files, 1.2 MB\n"
)

var (
	passed = pipeline.Result{Outcome: pipeline.Passed}
	tested = pipeline.Result{Outcome: pipeline.Passed, Tests: 128}
	built  = pipeline.Result{Outcome: pipeline.Passed, Artifact: &pipeline.Artifact{Name: "site", Digest: siteDigest, Files: 38, Size: 1_234_567}}
)
