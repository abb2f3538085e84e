package app

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conveyor-ci/conveyor/app/github"
)

// meter counts for /metrics. A run, a repository or a person is never a label: their number has no bound.
type meter struct {
	registry   *prometheus.Registry
	deliveries *prometheus.CounterVec
	calls      *prometheus.CounterVec
	recovered  prometheus.Counter
	held       *prometheus.CounterVec
}

func newMeter() *meter {
	m := &meter{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conveyor_webhook_deliveries_total", Help: "Webhook requests, by the answer's status code.",
		}, []string{"code"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conveyor_github_calls_total", Help: "Requests to GitHub, by what they were for and what came of them.",
		}, []string{"route", "outcome"}),
		held: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conveyor_github_held_total", Help: "Requests to GitHub that were put off, by how urgent they are.",
		}, []string{"class"}),
	}
	for _, c := range github.Classes() {
		m.held.WithLabelValues(c.String())
	}
	m.recovered = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "conveyor_webhook_recovered_total", Help: "Webhooks and heads that were found by looking for them, because no delivery had told of them.",
	})
	m.registry.MustRegister(m.deliveries, m.calls, m.held, m.recovered)
	return m
}

func (m *meter) call(c github.Call) {
	m.calls.WithLabelValues(c.Route, c.Outcome).Inc()
	if c.Outcome == "held" {
		m.held.WithLabelValues(c.Class.String()).Inc()
	}
}

// budget adds what is left of GitHub's limits, read when it is asked for.
func (m *meter) budget(read func() (github.Budget, int), now func() time.Time) {
	gauge := func(name, help string, of func(github.Budget, int) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return of(read()) }))
	}
	const least = ", of the installation that has least."
	gauge("conveyor_github_budget_points", "Points left of this minute's 900"+least, func(b github.Budget, _ int) float64 { return float64(b.Points) })
	gauge("conveyor_github_budget_creates", "Comments, reactions and deployments left of this minute's 80"+least, func(b github.Budget, _ int) float64 { return float64(b.Creates) })
	gauge("conveyor_github_budget_creates_hour", "The same, of this hour's 500"+least, func(b github.Budget, _ int) float64 { return float64(b.CreatesHour) })
	gauge("conveyor_github_budget_calls_hour", "Calls left of the hour, as GitHub says, -1 when it has not said"+least, func(b github.Budget, _ int) float64 { return float64(b.Calls) })
	gauge("conveyor_github_limited_installations", "Installations of which GitHub wants to hear nothing for now.", func(_ github.Budget, n int) float64 { return float64(n) })
	gauge("conveyor_github_limited_seconds", "How long the last of them is still limited.", func(b github.Budget, _ int) float64 {
		return max(0, b.LimitedUntil.Sub(now()).Seconds())
	})
}

func (m *meter) delivery(code int) { m.deliveries.WithLabelValues(strconv.Itoa(code)).Inc() }

// depth adds the queue's length and the age of what waits longest, read when they are asked for.
func (m *meter) depth(read func(context.Context) (int, time.Duration, error)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "conveyor_streams_waiting", Help: "Streams that have work."}, func() float64 {
			n, _, err := read(context.Background())
			if err != nil {
				return -1
			}
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "conveyor_oldest_work_seconds", Help: "Age of the work that waits longest."}, func() float64 {
			_, age, err := read(context.Background())
			if err != nil {
				return -1
			}
			return age.Seconds()
		}),
	)
}

// waiting adds how long the delivery waits that waits longest for its decision, read when it is asked for.
func (m *meter) waiting(oldest func() time.Duration) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "conveyor_oldest_unanswered_delivery_seconds", Help: "Age of the webhook that waits longest for its decision.",
	}, func() float64 { return oldest().Seconds() }))
}
