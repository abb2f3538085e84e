package e2e

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// outOfTime wants a check that has ended because there was no time left, with the reason in words.
func (h *house) outOfTime(sha, why string) {
	h.t.Helper()
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "timed_out" || !strings.Contains(run.Title, why) {
		h.t.Errorf("the check ended as %s: %s, want %q", run.Conclusion, run.Title, why)
	}
}

func TestARunEndsWithItsTimeoutWhateverItsStepsMay(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Workers = 1 })
	files := plan(waiting, "      - name: lint\n        run: \"while true; do sleep 1; done\"\ntimeout: 1s")
	sha := h.push("main", "author", "slow", files)
	h.outOfTime(sha, "the whole run may take 1s")
	after := h.push("main", "author", "quick", plan("true"))
	if run := h.concluded(after, "conveyor / test"); run.Conclusion != "success" { // the worker is free again
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.ends()
}

// One run holds the only worker, the other one is parked. Then the server is gone for a day: nobody is there to act.
func TestARunThatNeverFindsAWorkerEndsAfterADay(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"in a file", "in Redis"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			var hours atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(hours.Load()) * time.Hour) }
			h := open(t, func(h *house) {
				h.config.Workers, h.config.Now, h.github.Now = 1, now, now
				if kept == "in Redis" {
					_, there := inRedis(t)
					there(h)
				}
			})
			first := h.push("main", "author", "first", waits("one"))
			h.runs("unit", "1")
			parked := h.push("talk", "author", "parked", plan("true"))
			must(h.gh.OpenPull(repo, "author", "talk", "talk", "main"))(t)
			h.shown(parked, "queued")
			h.stop()
			hours.Store(25)
			h.start()
			h.outOfTime(parked, "none of its steps could begin within 24h")
			h.outOfTime(first, "the whole run may take 6h")
			h.gh.Look(func(v *github.View) {
				if run, _ := v.CheckRun(repo, parked, "conveyor / test"); run.StartedAt.IsZero() {
					t.Error("GitHub is not told when it ended")
				}
			})
			h.quiet()
		})
	}
}
