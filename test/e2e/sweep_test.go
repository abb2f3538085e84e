package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// sweeping looks for what was missed all the time.
func sweeping(h *house) {
	h.config.SweepEvery, h.config.SweepHeads = 100*time.Millisecond, 100*time.Millisecond
}

// shifted gives GitHub a clock that can be moved.
func shifted(by *atomic.Int64) func(*house) {
	return func(h *house) {
		h.github.Now = func() time.Time { return time.Now().Add(time.Duration(by.Load())) }
	}
}

func TestAWebhookThatGitHubCouldNotDeliverIsTakenFromItsLog(t *testing.T) {
	t.Parallel()
	h := open(t, sweeping)
	h.gh.InjectHook(github.HookFault{Event: "push", Drop: true})
	sha := h.push("main", "author", "first", plan("true"))
	h.concluded(sha, "conveyor / test")
	if code := h.byHand(h.dropped("push")); code != http.StatusAccepted {
		t.Errorf("the original, which arrives after all, was answered with %d", code)
	}
	h.quiet()
	h.onceEach()
	h.stop()
	if n := h.runsOf(); n != 1 {
		t.Errorf("%d runs came of one push", n)
	}
}

func TestWhatHappenedTwoDaysAgoWhileTheServerWasDownIsWorkedOff(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	h := found(t, sweeping, shifted(&clock))
	t.Cleanup(func() { h.stop() })
	clock.Store(int64(-49 * time.Hour))
	first := h.push("main", "author", "first", withSites("one"))
	h.push("change", "author", "second", map[string]string{"page.html": "two"})
	pull := must(h.gh.OpenPull(repo, "author", "two", "change", "main"))(t)
	h.comment(pull, "maintainer", "/help")
	h.wait("the failed deliveries", func(v *github.View) bool {
		failed := map[string]bool{}
		for _, d := range v.Deliveries() {
			if d.StatusCode == http.StatusBadGateway {
				failed[d.Event] = true
			}
		}
		return failed["push"] && failed["pull_request"] && failed["issue_comment"]
	})
	clock.Store(0)
	h.start()
	h.concluded(first, "conveyor / test")
	h.concluded(pull.HeadSHA, "conveyor / test")
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.answered(pull, "/rollback")
	h.quiet()
	h.onceEach()
}

func TestAPullRequestOfWhichNoLogTellsGetsItsCheck(t *testing.T) {
	t.Parallel()
	h := open(t, sweeping)
	h.concluded(h.push("main", "author", "first", plan("true")), "conveyor / test")
	h.gh.InjectHook(github.HookFault{Event: "push", Lose: true})
	h.gh.InjectHook(github.HookFault{Event: "pull_request.opened", Lose: true})
	head := h.push("change", "author", "second", map[string]string{"more": "2"})
	must(h.gh.OpenPull(repo, "author", "two", "change", "main"))(t)
	h.concluded(head, "conveyor / test")
	h.quiet()
	h.onceEach()
}

func TestABranchThatMovesUnheardGetsItsCheckAndWhatWasThereBeforeDoesNot(t *testing.T) {
	t.Parallel()
	h := open(t)
	everywhere := plan("true")
	everywhere[".github/conveyor.yml"] = strings.Replace(everywhere[".github/conveyor.yml"], "[main]", `["**"]`, 1)
	h.concluded(h.push("main", "author", "first", everywhere), "conveyor / test")
	h.quiet()
	h.stop()
	h.gh.InjectHook(github.HookFault{Event: "push", Lose: true})
	before := h.push("old", "author", "before anyone looked", map[string]string{"old": "1"})
	sweeping(h)
	h.start()
	h.wait("a look at the branches", func(v *github.View) bool { return v.CallsTo(http.MethodGet, "/repos/{owner}/{repo}/branches") > 0 })
	h.quiet()
	second := h.push("main", "author", "second", map[string]string{"more": "2"})
	h.concluded(second, "conveyor / test")
	h.quiet()
	h.onceEach()
	h.gh.Look(func(v *github.View) {
		if runs := v.CheckRuns(repo, before); len(runs) > 0 {
			t.Errorf("a branch that was there before got the checks %v", runs)
		}
	})
}

func TestALateWebhookOfAPullRequestThatIsClosedStartsNothing(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	h := open(t, shifted(&clock))
	h.concluded(h.push("main", "author", "first", plan("true")), "conveyor / test")
	h.quiet()
	h.gh.InjectHook(github.HookFault{Event: "pull_request.closed", Lose: true})
	h.gh.HoldHooks("conveyor")
	h.push("change", "author", "second", map[string]string{"more": "2"})
	pull := must(h.gh.OpenPull(repo, "author", "two", "change", "main"))(t)
	clock.Store(int64(2 * time.Second))
	if err := h.gh.ClosePull(repo, pull.Number, "author"); err != nil {
		t.Fatal(err)
	}
	h.gh.ReleaseHooks("conveyor", false)
	h.quiet()
	h.gh.Look(func(v *github.View) {
		if runs := v.CheckRuns(repo, pull.HeadSHA); len(runs) > 0 {
			t.Errorf("a closed pull request got the checks %v", runs)
		}
	})
	h.stop()
	var guid string
	for _, d := range h.gh.Deliveries() {
		if d.Event == "pull_request" && d.Action == "opened" {
			guid = d.GUID
		}
	}
	if what, why := h.decision(guid); what != "ignored" || !strings.Contains(why, "closed") {
		t.Errorf("the late webhook was decided as %s: %s", what, why)
	}
}
