package e2e

import (
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// A run for which there is no worker rests in the journal. GitHub shows it, and what outdates it reaches it there.
func TestARunThatWaitsForAWorkerIsShownAndCanBeCancelledMeanwhile(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"in a file", "in Redis"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			h := open(t, func(h *house) {
				h.config.Workers = 1
				if kept == "in Redis" {
					_, there := inRedis(t)
					there(h)
				}
			})
			first := h.push("main", "author", "first", waits("one"))
			workspace := h.runs("unit", "1")
			old := h.push("talk", "author", "old", plan("true"))
			must(h.gh.OpenPull(repo, "author", "talk", "talk", "main"))(t)
			h.shown(old, "queued")
			newer := h.push("talk", "author", "newer", plan("true", ""))
			if run := h.concluded(old, "conveyor / test"); run.Conclusion != "cancelled" {
				t.Errorf("what was outdated while it waited ended as %s: %s", run.Conclusion, run.Title)
			}
			h.shown(newer, "queued")
			h.shown(first, "in_progress") // the worker was taken all the while
			h.letGo(workspace)
			for _, sha := range []string{first, newer} {
				if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
					t.Errorf("%s: %s", run.Conclusion, run.Title)
				}
			}
			h.deployed("staging", first)
			h.quiet()
		})
	}
}

// shown waits until GitHub shows the commit's check in a status.
func (h *house) shown(sha, status string) {
	h.t.Helper()
	h.wait("the check to be "+status, func(v *github.View) bool {
		run, ok := v.CheckRun(repo, sha, "conveyor / test")
		return ok && run.Status == status
	})
}
