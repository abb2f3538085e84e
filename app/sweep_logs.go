package app

import (
	"context"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// forgetLogs removes the logs of finished runs that are too old, or too many, at once and then every hour.
func (a *App) forgetLogs(ctx context.Context) {
	if a.config.KeepLogs <= 0 && a.config.KeepLogsBytes <= 0 || a.config.Rehearsal {
		return
	}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		a.sweepLogs(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *App) sweepLogs(ctx context.Context) {
	keep := logs.Keep{Bytes: a.config.KeepLogsBytes}
	if a.config.KeepLogs > 0 {
		keep.Since = a.now().Add(-a.config.KeepLogs)
	}
	swept, err := a.logs.Sweep(ctx, keep, func(name string) bool { return a.finished(ctx, name) })
	switch {
	case err != nil && ctx.Err() == nil:
		a.log.Warn("old logs could not all be removed", "err", err)
	case swept.Logs > 0:
		a.log.Info("old logs removed", "count", swept.Logs, "bytes", swept.Bytes)
	}
}

// finished reports whether the run that a log belongs to is over. One that nobody knows any more is.
func (a *App) finished(ctx context.Context, name string) bool {
	parts := strings.SplitN(name, "/", 4)
	if len(parts) < 4 {
		return false
	}
	s, _, err := a.runs().Load(ctx, a.journal, strings.Join(parts[:3], "/"))
	if err != nil {
		a.log.Warn("a run could not be read, so its logs stay", "stream", strings.Join(parts[:3], "/"), "err", err)
		return false
	}
	return s.Run == "" || s.Over() && s.Reported
}
