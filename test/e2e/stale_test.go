package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// onOneSecond makes GitHub's times as coarse as they really are, and worse: what happens one after the other bears the
// same time.
func onOneSecond(h *house) {
	h.github.Now = func() time.Time { return time.Now().Truncate(20 * time.Second) }
}

func TestAStaleAnswerAboutAPullRequestTurnsNothingBack(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", withSites("one"))
	pull := h.pull("change", withSites("two"))
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.quiet()
	h.gh.Inject(github.Fault{Method: "GET", Route: "/repos/{owner}/{repo}/pulls/{pull_number}", Stale: true, Times: 2})
	next := h.push("change", "author", "next", map[string]string{"page.html": "three"})
	h.deployed("preview/pr-1", next)
	h.serves("preview/pr-1", "three")
	h.ends()
	if got := h.commits("preview/pr-1"); len(got) != 2 {
		t.Errorf("the preview got %v", got)
	}
}

func TestTheLastOfTwoPushesCountsEvenWhenItIsHeardFirst(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*house){"in different seconds": func(*house) {}, "in the same second": onOneSecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, change)
			h.push("main", "author", "first", withSites("one"))
			pull := h.pull("change", withSites("two"))
			h.deployed("preview/pr-1", pull.HeadSHA)
			h.quiet()
			h.gh.HoldHooks(h.at.AppSlug)
			h.gh.InjectHook(github.HookFault{Event: "pull_request.synchronize", Behind: 3, Times: 1})
			h.push("change", "author", "next", map[string]string{"page.html": "three"})
			last := h.push("change", "author", "last", map[string]string{"page.html": "four"})
			h.gh.ReleaseHooks(h.at.AppSlug, false)
			if run := h.concluded(last, "conveyor / test"); run.Conclusion != "success" {
				t.Errorf("%s: %s", run.Conclusion, run.Title)
			}
			h.deployed("preview/pr-1", last)
			h.ends()
			h.serves("preview/pr-1", "four")
		})
	}
}

func TestAPullRequestThatWasAskedForIsStillHeardOfAfterwards(t *testing.T) {
	t.Parallel()
	h := open(t, onOneSecond)
	h.push("main", "author", "first", withSites("one"))
	h.gh.InjectHook(github.HookFault{Event: "pull_request.opened", Lose: true})
	pull := h.pull("change", withSites("two"))
	h.comment(pull, "maintainer", "/help")
	h.answered(pull, "this list")
	next := h.push("change", "author", "next", map[string]string{"page.html": "three"})
	if run := h.concluded(next, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("preview/pr-1", next)
	if err := h.gh.ClosePull(repo, pull.Number, "author"); err != nil {
		t.Fatal(err)
	}
	h.wait("the end of the preview", func(v *github.View) bool { return last(v, "preview/pr-1").State() == "inactive" })
	h.ends()
}

func TestAWebhookThatComesHoursLateTurnsNothingBack(t *testing.T) {
	t.Parallel()
	h := open(t)
	lost := h.gh.InjectHook(github.HookFault{Event: "push", Drop: true})
	first := h.push("main", "author", "first", withSites("one"))
	d := h.dropped("push")
	lost()
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	h.quiet()
	if err := h.gh.Redeliver(d.ID); err != nil {
		t.Fatal(err)
	}
	h.concluded(first, "conveyor / test")
	h.ends()
	h.serves("staging", "two")
	if got := h.commits("staging"); len(got) != 1 {
		t.Errorf("staging got %v", got)
	}
}

func TestARepositoryThatIsRenamedInTheMiddleGoesOn(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	if err := h.gh.Rename(repo, "store", "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.letGo(workspace)
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("staging", sha)
	next := must(h.gh.Commit("octo/store", "main", "author", "next", withSites("two")))(t)
	h.deployed("staging", next)
	h.ends()
	h.serves("staging", "two")
}

func TestARepositoryThatIsTransferredInTheMiddleGoesOn(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddOrg("acme", "maintainer")
	must(h.gh.InstallApp(h.at.AppSlug, "acme"))(t)
	sha := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	h.until("the check", func() bool { return len(h.checks(sha, "conveyor / test")) == 1 })
	if err := h.gh.Transfer(repo, "acme", "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.until("the transfer to be heard", func() bool { return strings.Contains(h.log.String(), "the repository was transferred to acme") })
	h.letGo(workspace)
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("staging", sha)
	next := must(h.gh.Commit("acme/shop", "main", "author", "next", withSites("two")))(t)
	h.deployed("staging", next)
	h.ends()
	h.serves("staging", "two")
}

func TestTokensThatEndInTheMiddleOfARunAreReplaced(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	h.until("the check", func() bool { return len(h.checks(sha, "conveyor / test")) == 1 })
	h.until("all that was to be told", func() bool { return h.gh.Quiet(t.Context()) == nil })
	if n := h.gh.EndTokens(h.at.ID); n == 0 {
		t.Fatal("there is no token to end")
	}
	h.letGo(workspace)
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("staging", sha)
	h.ends()
	refused := 0
	for _, c := range h.asked() {
		if c.Status == http.StatusUnauthorized {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no call was made with a token whose hour was over, so that nothing was tried")
	}
}

func TestWhatIsGoneAtGitHubEndsInRest(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(*house) error{
		"the App was uninstalled":                    func(h *house) error { return h.gh.Uninstall(h.at.ID) },
		"the repository was deleted":                 func(h *house) error { return h.gh.DeleteRepo(repo, "maintainer") },
		"the repository was taken away from the App": func(h *house) error { return h.gh.ChangeRepos(h.at.ID, nil, []string{"shop"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			h.push("main", "author", "first", waits("one"))
			h.runs("unit", "1")
			if err := vanish(h); err != nil {
				t.Fatal(err)
			}
			h.until("the step to be ended", func() bool { return len(h.stepProcesses()) == 0 })
			h.quiet()
			h.stop()
			if exists(h.site("staging")) {
				t.Error("it was deployed all the same")
			}
			j := h.journal()
			defer func() { _ = j.Close() }() // it was only read
			h.eachDeliveryIsDecidedOnce(j)
			h.nothingIsLeft(j)
			for stream, records := range h.records(j, "run/") {
				s := foldRun(t, records)
				given := false
				for _, r := range records {
					given = given || r.Kind == "check_told" && strings.Contains(string(r.Data), "given_up")
				}
				if s.Conclusion() != "cancelled" || s.Cancel != name || !given {
					t.Errorf("%s ended with %s, because %q; given up is %v", stream, s.Conclusion(), s.Cancel, given)
				}
			}
		})
	}
}

// TestWhatIsGoneWithoutAWordEndsInRest loses the webhooks that would have told of it.
func TestWhatIsGoneWithoutAWordEndsInRest(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	h.gh.InjectHook(github.HookFault{Event: "repository", Drop: true})
	if err := h.gh.DeleteRepo(repo, "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.letGo(workspace)
	h.until("staging to serve it", func() bool { return exists(h.site("staging")) })
	h.quiet()
	h.stop()
	if !strings.Contains(h.log.String(), "GitHub will not show") {
		t.Error("the log does not say that GitHub shows nothing of it")
	}
}

func TestASuspendedAppIsToldOfNothingAndThenOfAll(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	h.wait("the check", func(v *github.View) bool { return len(v.CheckRuns(repo, sha)) > 0 })
	if err := h.gh.Suspend(h.at.ID); err != nil {
		t.Fatal(err)
	}
	h.until("the suspension to be heard", func() bool { return strings.Contains(h.log.String(), "the App was suspended") })
	h.letGo(workspace)
	h.until("news that are held back", func() bool {
		return strings.Contains(h.page("/readyz?verbose"), "the installation is suspended")
	})
	if exists(h.site("staging")) {
		t.Error("it was deployed while the App was suspended")
	}
	if err := h.gh.Unsuspend(h.at.ID); err != nil {
		t.Fatal(err)
	}
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("it ended with %s", run.Conclusion)
	}
	h.deployed("staging", sha)
	h.ends()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
