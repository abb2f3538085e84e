package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// journey is a short way through everything that is told to GitHub: a push goes to staging, a pull request's comment
// lets it into production.
func (h *house) journey() {
	h.t.Helper()
	first := h.push("main", "author", "first", withSites("one"))
	staged := h.deployed("staging", first)
	pull := must(h.gh.OpenPull(repo, "author", "talk", h.topic(first), "main"))(h.t)
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	if d := h.deployed("production", first); d.Digest != staged.Digest {
		h.t.Fatalf("production got %s, staging runs %s", d.Digest, staged.Digest)
	}
	h.serves("production", "one")
	h.comment(pull, "reader", "/rollback production")
	h.answered(pull, "may be rolled back by maintain")
	h.ends()
}

// topic is a branch for a pull request that is only there to be commented on: its plan starts nothing for it.
func (h *house) topic(string) string {
	h.t.Helper()
	files := plan("true")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "pull_request: {}", "", 1)
	h.push("talk", "author", "talk", files)
	return "talk"
}

func TestWhatWasDoneUnheardIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	const here = "/repos/{owner}/{repo}"
	for name, f := range map[string]github.Fault{
		"a check is created":            {Method: "POST", Route: here + "/check-runs", Cut: true, Times: 2},
		"a check is updated":            {Method: "PATCH", Route: here + "/check-runs/{check_run_id}", Cut: true, Times: 2},
		"a deployment is created":       {Method: "POST", Route: here + "/deployments", Cut: true, Times: 2},
		"a deployment's state is told":  {Method: "POST", Route: here + "/deployments/{deployment_id}/statuses", Cut: true, Times: 3},
		"the second state is told":      {Method: "POST", Route: here + "/deployments/{deployment_id}/statuses", Cut: true, Times: 1, Skip: 1},
		"a comment is written":          {Method: "POST", Route: here + "/issues/{issue_number}/comments", Cut: true, Times: 2},
		"a comment is edited":           {Method: "PATCH", Route: here + "/issues/comments/{comment_id}", Cut: true, Times: 2},
		"a reaction is given":           {Method: "POST", Route: here + "/issues/comments/{comment_id}/reactions", Cut: true, Times: 2},
		"a token is given":              {Method: "POST", Route: "/app/installations/{installation_id}/access_tokens", Cut: true, Times: 2},
		"every write is unheard once":   {Method: "POST", Route: here + "/*", Cut: true, Times: 6},
		"anything at all, now and then": {Cut: true, Probability: 0.2, Times: 25},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			h.gh.Inject(f)
			h.journey()
			h.onceEach()
		})
	}
}

// onceEach wants one answer and one reaction of a kind for each command, by our App.
func (h *house) onceEach() {
	h.t.Helper()
	h.gh.Look(func(v *github.View) {
		answers := map[string]int{}
		for _, c := range v.Comments(repo, 1) {
			if i := strings.Index(c.Body, "conveyor/answer/"); i >= 0 {
				answers[c.Body[i:strings.Index(c.Body, " -->")]]++
			}
			kinds := map[string]int{}
			for _, r := range c.Reactions {
				kinds[r.Author+" "+r.Content]++
			}
			for kind, n := range kinds {
				if n != 1 {
					h.t.Errorf("%q has %d times %s", c.Body, n, kind)
				}
			}
		}
		for id, n := range answers {
			if n != 1 {
				h.t.Errorf("%s was given %d times", id, n)
			}
		}
	})
}

func TestGitHubInTroubleIsAskedAgainUntilAllIsTold(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			h := open(t, func(h *house) { h.github.Seed = uint64(status) })
			h.gh.Inject(github.Fault{Status: status, Probability: 0.3, Times: 30})
			h.journey()
			h.onceEach()
		})
	}
}

// manyFailures is a plan whose step fails with a report of n tests.
func manyFailures(n int) map[string]string {
	files := plan("exit 1", "        reports: {junit: report.xml}")
	var b strings.Builder
	fmt.Fprintf(&b, "<testsuite tests=%q failures=%q>\n", fmt.Sprint(n), fmt.Sprint(n))
	for i := range n {
		fmt.Fprintf(&b, "<testcase name=\"case %d\" file=\"README.md\" line=\"1\"><failure message=\"number %d is wrong\">README.md:1: number %d</failure></testcase>\n", i, i, i)
	}
	files["report.xml"] = b.String() + "</testsuite>\n"
	return files
}

func TestAnnotationsAreNeverDoubled(t *testing.T) {
	t.Parallel()
	const update = "/repos/{owner}/{repo}/check-runs/{check_run_id}"
	for name, f := range map[string]github.Fault{
		"nothing goes wrong":            {Status: 500, Skip: 1000},
		"every batch is unheard":        {Method: "PATCH", Route: update, Cut: true, Times: 3},
		"the second batch is unheard":   {Method: "PATCH", Route: update, Cut: true, Skip: 1, Times: 1},
		"the last batch is unheard":     {Method: "PATCH", Route: update, Cut: true, Skip: 2, Times: 1},
		"the second batch is refused":   {Method: "PATCH", Route: update, Status: 502, Skip: 1, Times: 2},
		"half of everything is unheard": {Route: "/repos/*", Cut: true, Probability: 0.5, Times: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			h.gh.Inject(f)
			sha := h.push("main", "author", "first", manyFailures(120))
			run := h.concluded(sha, "conveyor / test")
			h.wait("all annotations", func(v *github.View) bool {
				run, _ = v.CheckRun(repo, sha, "conveyor / test")
				return len(run.Annotations) >= 120
			})
			h.ends()
			seen := map[string]bool{}
			for _, a := range run.Annotations {
				if seen[a.Message] {
					t.Errorf("%q is there twice", a.Message)
				}
				seen[a.Message] = true
			}
			if len(seen) != 120 {
				t.Errorf("%d different annotations", len(seen))
			}
		})
	}
}

func TestAPanelThatAPersonDeletedComesBackOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	pull := h.pull("change", plan("true"))
	panel := func(v *github.View) (found []github.Comment) {
		for _, c := range v.Comments(repo, pull.Number) {
			if strings.Contains(c.Body, "conveyor/panel") {
				found = append(found, c)
			}
		}
		return found
	}
	var old github.Comment
	h.wait("the panel", func(v *github.View) bool {
		for _, c := range panel(v) {
			old = c
		}
		return old.ID != 0
	})
	h.quiet()
	if err := h.gh.DeleteComment(repo, old.ID, "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.gh.Inject(github.Fault{Method: "POST", Route: "/repos/{owner}/{repo}/issues/{issue_number}/comments", Cut: true, Times: 2})
	h.push("change", "author", "more", map[string]string{"more": "more"})
	h.wait("the panel to come back", func(v *github.View) bool { return len(panel(v)) > 0 })
	h.ends()
}

func TestWorkGoesOnWhileGitHubIsDownAndIsToldAfterwards(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]github.Fault{"it does not answer": {Lost: true}, "it answers 503": {Status: 503}, "it answers 500": {Status: 500}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			files := withSites("one")
			files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "mkdir dist", strings.TrimSpace(waiting)+"; mkdir dist", 1)
			sha := h.push("main", "author", "first", files)
			workspace := h.runs("unit", "1")
			h.wait("the check", func(v *github.View) bool {
				run, ok := v.CheckRun(repo, sha, "conveyor / test")
				return ok && run.Status == "in_progress"
			})
			up := h.gh.Inject(f)
			h.letGo(workspace)
			h.until("staging to serve it", func() bool {
				_, err := os.Stat(filepath.Join(h.site("staging"), "index.html"))
				return err == nil
			})
			h.gh.Look(func(v *github.View) {
				if run, _ := v.CheckRun(repo, sha, "conveyor / test"); run.Status != "in_progress" || len(v.Deployments(repo, "")) > 0 {
					t.Errorf("GitHub is down, and shows %s and %d deployments", run.Status, len(v.Deployments(repo, "")))
				}
			})
			up()
			if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
				t.Errorf("it ended with %s", run.Conclusion)
			}
			h.deployed("staging", sha)
			h.ends()
		})
	}
}

func TestNothingIsAskedBeforeALimitsTime(t *testing.T) {
	t.Parallel()
	const named = 2 * time.Second
	for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
		for _, kind := range []github.Limit{github.PrimaryLimit, github.SecondaryLimit} {
			t.Run(fmt.Sprintf("%d %s", status, kind), func(t *testing.T) {
				t.Parallel()
				h := open(t)
				h.gh.Inject(github.Fault{Method: "POST", Route: "/repos/{owner}/{repo}/check-runs", Limit: kind, Status: status, RetryAfter: named, Times: 1})
				sha := h.push("main", "author", "first", plan("true"))
				h.concluded(sha, "conveyor / test")
				h.ends()
				calls := h.asked()
				limited := slices.IndexFunc(calls, func(c github.Call) bool { return c.Status == status })
				if limited < 0 || limited == len(calls)-1 {
					t.Fatalf("the limit was not met, or nothing came after it: %v", calls)
				}
				if after := calls[limited+1].At.Sub(calls[limited].At); after < named {
					t.Errorf("the next call came %s after the limit", after)
				}
			})
		}
	}
}

// What GitHub is not told is on the run's page, and there is when GitHub is told next.
func TestAPageSaysUntilWhenGitHubLimitsUs(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	h.shown(sha, "in_progress")
	var page string
	h.gh.Look(func(v *github.View) {
		run, _ := v.CheckRun(repo, sha, "conveyor / test")
		page = strings.TrimPrefix(run.DetailsURL, h.config.PublicURL)
	})
	if text := h.page(page); strings.Contains(text, "GitHub limits us") {
		t.Errorf("nothing limits us, and the page says\n%s", text)
	}
	before := time.Now().UTC()
	h.gh.Inject(github.Fault{Route: "/repos/{owner}/{repo}/check-runs/{check_run_id}", Limit: github.SecondaryLimit, Status: http.StatusTooManyRequests, RetryAfter: 30 * time.Minute, Times: 1})
	h.letGo(workspace)
	h.until("the page to say it", func() bool { return strings.Contains(h.page(page), "GitHub limits us, next update ") })
	_, rest, _ := strings.Cut(h.page(page), "GitHub limits us, next update ")
	words, _, _ := strings.Cut(rest, ".")
	at, err := time.Parse("15:04 MST", words)
	if err != nil {
		t.Fatal(err)
	}
	if after := (at.Sub(at.Truncate(24*time.Hour)) - before.Sub(before.Truncate(24*time.Hour)) + 24*time.Hour) % (24 * time.Hour); after < 30*time.Minute || after > 30*time.Minute+patience {
		t.Errorf("the next update is said to be %s from now", after)
	}
	h.until("readyz to say it", func() bool { return strings.Contains(h.page("/readyz?verbose"), "GitHub limits us") })
	h.stop()
}

// asked are the calls of our installation.
func (h *house) asked() []github.Call {
	return slices.DeleteFunc(h.gh.Calls(), func(c github.Call) bool { return c.Caller != fmt.Sprintf("installation %d", h.at.ID) && c.Status < 400 })
}

func TestALimitWithoutATimeIsHeldAndTheWorkGoesOn(t *testing.T) {
	t.Parallel()
	for _, f := range []github.Fault{
		{Limit: github.SecondaryLimit, Status: http.StatusForbidden},
		{Limit: github.SecondaryLimit, Status: http.StatusTooManyRequests},
		{Limit: github.PrimaryLimit, Status: http.StatusForbidden},
		{Limit: github.PrimaryLimit, Status: http.StatusTooManyRequests},
	} {
		t.Run(fmt.Sprintf("%d %s", f.Status, f.Limit), func(t *testing.T) {
			t.Parallel()
			h := open(t)
			f.Method, f.Route, f.Times = "POST", "/repos/{owner}/{repo}/check-runs", 1
			h.gh.Inject(f)
			h.push("main", "author", "first", withSites("one"))
			h.until("staging to serve it", func() bool {
				_, err := os.Stat(filepath.Join(h.site("staging"), "index.html"))
				return err == nil
			})
			h.until("calls that are held back", func() bool {
				page := h.page("/metrics")
				return strings.Contains(page, `outcome="held",route="checks"`) || strings.Contains(page, `outcome="held",route="deployments"`)
			})
			h.stop()
			calls := h.asked()
			if last := calls[len(calls)-1]; last.Status != f.Status {
				t.Errorf("after the limit came %s %s", last.Method, last.Path)
			}
		})
	}
}

// page reads one of the server's pages.
func (h *house) page(path string) string {
	h.t.Helper()
	res, err := http.Get(h.config.PublicURL + path)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	return string(must(io.ReadAll(res.Body))(h.t))
}
