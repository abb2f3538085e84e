package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers"
	"github.com/conveyor-ci/conveyor/handlers/dashboard"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// handler wires what is heard to what knows.
func (a *App) handler() (http.Handler, error) {
	secrets := make([]string, 0, len(a.config.WebhookSecrets))
	for _, s := range a.config.WebhookSecrets {
		secrets = append(secrets, s.Reveal())
	}
	hook, err := webhook.Handler(webhook.Options{Secrets: secrets, Accept: a.accept, Log: a.log, Metrics: a.meter.delivery})
	if err != nil {
		return nil, err
	}
	a.meter.depth(a.journal.Depth)
	a.meter.waiting(func() time.Duration {
		age, _ := a.unanswered.oldest(a.now())
		return age
	})
	a.meter.budget(a.github.Budget, a.now)
	return handlers.Routes(handlers.Options{
		Webhook: hook,
		Setup:   a.setup,
		Pages: dashboard.New(dashboard.Options{
			Run: func(ctx context.Context, id pipeline.RunID) (pipeline.State, error) {
				s, _, err := a.runs().Load(ctx, a.journal, string(id))
				return s, err
			},
			Repo: func(ctx context.Context, id int64) (deploy.State, error) {
				s, _, err := a.repos().Load(ctx, a.journal, repoStream(id))
				return s, err
			},
			Runs: a.newestRuns,
			Held: func(s pipeline.State) (time.Time, string) {
				return a.held.next(string(s.Run), repoStream(s.Trigger.Repo.ID))
			},
			Changed: a.changes.follow,
			Manifest: func(ctx context.Context, made pipeline.Artifact) ([]byte, error) {
				m, err := a.artifacts.Manifest(ctx, made.Digest)
				return m.Encode(), err
			},
			Signed: func(ctx context.Context, made pipeline.Artifact) ([]byte, error) {
				return a.bundle(ctx, made.Provenance)
			},
			Logs: a.logs, LogName: LogName, Key: a.RunKey, GitHubURL: a.config.GitHubURL, Open: a.config.OpenPages, Log: a.log,
		}),
		Ready:   a.ready,
		Metrics: promhttp.HandlerFor(a.meter.registry, promhttp.HandlerOpts{}),
		Log:     a.log,
	}), nil
}

// newestRuns lists runs, the newest first.
func (a *App) newestRuns(ctx context.Context, limit int) ([]pipeline.State, error) {
	names, err := a.journal.Streams(ctx, "run/", limit)
	if err != nil {
		return nil, err
	}
	states := make([]pipeline.State, 0, len(names))
	for _, name := range names {
		s, _, err := a.runs().Load(ctx, a.journal, name)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	return states, nil
}

// ready says what must be well for this server to be of use.
func (a *App) ready(ctx context.Context) []handlers.Condition {
	in := a.sandbox.Isolation()
	detail := in.Level + ", " + in.Runtime
	if a.outside != nil {
		in = a.outside.Isolation()
		detail += "; for code from outside " + in.Level + ", " + in.Runtime
	}
	conditions := []handlers.Condition{
		{Name: "journal", Err: a.durable.ask(ctx, a.journal.Ready), Detail: "durable"},
		{Name: "sandbox", Detail: detail},
		{Name: "github", Detail: limitWords(a.github.Budget())},
	}
	age, undecided := a.unanswered.oldest(a.now())
	waiting, oldest, err := a.journal.Depth(ctx)
	return append(conditions, handlers.Condition{
		Name: "deliveries", Detail: fmt.Sprintf("%d wait for a decision, the oldest for %s", undecided, age.Round(time.Millisecond)),
	}, handlers.Condition{
		Name: "queue", Err: err, Detail: fmt.Sprintf("%d streams have work, the oldest for %s", waiting, oldest.Round(time.Millisecond)),
	})
}

// limitWords say whether people must wait for news, and until when. A limit is no reason to send nothing here.
func limitWords(b github.Budget, limited int) string {
	if limited == 0 {
		return "not limited"
	}
	words := fmt.Sprintf("GitHub limits us (%d installations), next update %s", limited, b.LimitedUntil.UTC().Format("15:04:05 MST"))
	if b.Why != "" {
		words += ": " + b.Why
	}
	return words
}

// fresh is how long an answer of the journal counts: asking it costs a durable write, and /readyz is open to all.
const fresh = time.Second

// remembered is the last answer to a question that costs something.
type remembered struct {
	mu    sync.Mutex
	asked time.Time
	err   error
}

// ask asks again when the last answer is not fresh any more. Those who come at the same time share one answer.
func (r *remembered) ask(ctx context.Context, question func(context.Context) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) > fresh {
		r.err = question(ctx)
		r.asked = time.Now()
	}
	return r.err
}
