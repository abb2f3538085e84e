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
	}
	m.recovered = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "conveyor_webhook_recovered_total", Help: "Webhooks and heads that were found by looking for them, because no delivery had told of them.",
	})
	m.registry.MustRegister(m.deliveries, m.calls, m.recovered)
	return m
}

func (m *meter) call(c github.Call) { m.calls.WithLabelValues(c.Route, c.Outcome).Inc() }

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
