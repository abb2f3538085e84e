package e2e

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/test/github"
)

// row is what the panel of a pull request shows of an environment.
func (h *house) row(p github.Pull, words string) {
	h.t.Helper()
	h.wait("the panel's row: "+words, func(v *github.View) bool {
		for _, c := range v.Comments(repo, p.Number) {
			if strings.HasPrefix(c.Body, "<!-- conveyor:conveyor/panel -->") && strings.Contains(strings.ReplaceAll(c.Body, "\u200b", ""), words) {
				return true
			}
		}
		return false
	})
}

// answers counts the answers that hold words.
func (h *house) answers(p github.Pull, words string) (n int) {
	h.gh.Look(func(v *github.View) {
		for _, c := range v.Comments(repo, p.Number) {
			if strings.Contains(strings.ReplaceAll(c.Body, "\u200b", ""), words) {
				n++
			}
		}
	})
	return n
}

// completed waits until a commit has so many ended checks of a name, and returns the newest.
func (h *house) completed(sha, name string, count int) (run github.CheckRun) {
	h.t.Helper()
	h.wait("another "+name, func(v *github.View) bool {
		n := 0
		for _, r := range v.CheckRuns(repo, sha) {
			if r.Name == name && r.Status == "completed" {
				n++
				if r.ID > run.ID {
					run = r
				}
			}
		}
		return n >= count
	})
	return run
}

func TestALockAndAFreezeHoldWhatWaitsUntilTheyEnd(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	holder := h.pull("holder", withSites("mine"))
	h.deployed("preview/pr-1", holder.HeadSHA)
	h.comment(holder, "author", "/lock staging the `migration` of @everyone for 2h")
	h.answered(holder, "`staging` is locked for #1 by @author until")
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.concluded(second, "conveyor / test")
	h.quiet()
	if got := h.commits("staging"); len(got) != 1 {
		t.Fatalf("staging got %v while it is locked", got)
	}
	h.comment(holder, "author", "/deploy staging")
	h.deployed("staging", holder.HeadSHA)
	third := h.push("main", "author", "third", map[string]string{"page.html": "three"})
	h.concluded(third, "conveyor / test")
	h.comment(holder, "reader", "/why staging")
	h.answered(holder, third[:7]+" (")
	h.answered(holder, "`staging` is locked for #1 by @author until")
	h.comment(holder, "maintainer", "/freeze the `fair`")
	h.answered(holder, "All environments are frozen by @maintainer until")
	h.comment(holder, "author", "/unlock staging")
	h.answered(holder, "`staging` is not locked any more.")
	h.quiet()
	if got := h.commits("staging"); len(got) != 2 {
		t.Fatalf("staging got %v while everything is frozen", got)
	}
	h.comment(holder, "author", "/unfreeze")
	h.answered(holder, "`/unfreeze` needs the role maintain")
	h.comment(holder, "maintainer", "/unfreeze")
	h.deployed("staging", third)
	h.serves("staging", "three")
	h.ends()
}

func TestALockAndAFreezeWhoseTimePassedWhileTheServerWasAwayEnd(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.quiet()
	h.stop()
	h.saidLongAgo(pull, deploy.Command{ID: "past.0", Verb: deploy.TakeLock, Environment: "staging", Line: "/lock staging for 1h"})
	h.saidLongAgo(pull, deploy.Command{ID: "past.1", Verb: deploy.TakeFreeze, Line: "/freeze for 1h"})
	h.start()
	h.answered(pull, "`staging` is locked for #1 by @maintainer until")
	h.answered(pull, "All environments are frozen by @maintainer until")
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	h.ends() // and with it: neither is there any more
}

// saidLongAgo writes into the journal of a stopped server what a maintainer said two hours ago, for one hour.
func (h *house) saidLongAgo(p github.Pull, c deploy.Command) {
	h.t.Helper()
	past := time.Now().Add(-2 * time.Hour).UTC()
	c.Pull, c.Actor, c.For, c.At = int(p.Number), pipeline.Actor{ID: 7, Login: "maintainer"}, deploy.Span(time.Hour), past
	c.Comment = h.said(p, "maintainer", "I said it").ID
	j := h.journal()
	for stream, records := range h.records(j, "repo/") {
		var s deploy.State
		for _, r := range records {
			if e := must(deploy.Decode(r.Kind, r.Data))(h.t); e != nil {
				s = deploy.Apply(s, e)
			}
		}
		events := must(engine.Records[deploy.Event](past, deploy.Commanded{Command: c, Repo: s.Repo}, deploy.RoleKnown{Command: c.ID, Role: pipeline.Maintain, At: past}))(h.t)
		must(j.Append(h.t.Context(), journal.Batch{Stream: stream, Expect: journal.Any, Records: events}))(h.t)
	}
	if err := j.Close(); err != nil {
		h.t.Fatal(err)
	}
}

func TestWhatIsRejectedWaitsAgainOnlyWhenSomeoneAsks(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.comment(pull, "author", "/reject production@"+first[:7]+" no")
	h.answered(pull, "What waits for `production` may be rejected by maintain")
	h.comment(pull, "maintainer", "/reject production@"+first[:7]+" it is slow")
	h.answered(pull, "does not enter `production`: `it is slow`")
	h.comment(pull, "maintainer", "/approve production@"+first[:7])
	h.answered(pull, "Nothing waits for `production`")
	h.comment(pull, "reader", "/plan promote production")
	h.answered(pull, "- `/promote production` would want this in `production`")
	h.comment(pull, "author", "/promote production")
	h.answered(pull, "is wanted in `production`. Still missing: 0 of 1 approvals")
	h.comment(pull, "maintainer", "/approve production@"+first[:7])
	h.deployed("production", first)
	h.serves("production", "one")
	h.comment(pull, "reader", "/can")
	h.answered(pull, "@reader, who has the role read, may type here now:")
	h.comment(pull, "stranger", "/why production")
	h.answered(pull, "`/why` needs the role read")
	h.ends()
}

func TestAnApprovalThatIsEditedOrDeletedIsTakenBackAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	first := h.push("main", "author", "first", gated("one", "{by: [maintain], count: 2}"))
	h.deployed("staging", first)
	pull := h.talk()
	said := h.said(pull, "maintainer", "/approve production@"+first[:10])
	h.answered(pull, "1 of 2 approvals")
	for _, text := range []string{"/approve production@" + first[:10] + "\nthanks", "never mind"} {
		if err := h.gh.EditComment(repo, said.ID, "author", text); err != nil {
			t.Fatal(err)
		}
	}
	h.answered(pull, "was edited by @author, so the word of @maintainer counts no more")
	h.comment(pull, "other", "/approve production@"+first[:10])
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v on one word and a half", got)
	}
	if n := h.answers(pull, "counts no more. Who still means it"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	again := h.said(pull, "maintainer", "/approve production@"+first[:10])
	h.deployed("production", first)
	h.quiet()
	if err := h.gh.DeleteComment(repo, again.ID, "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.ends()
	if n := h.answers(pull, "counts no more. Who still means it"); n != 1 {
		t.Errorf("of an approval that was used it is said, too: %d", n)
	}
}

func TestAStoppedPreviewComesBackWithTheNextPush(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.pull("change", withSites("two"))
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.comment(pull, "author", "/preview keep 3d")
	h.answered(pull, "`preview/pr-1` does not expire")
	h.comment(pull, "author", "/preview stop")
	h.wait("the end of the preview", func(v *github.View) bool { return last(v, "preview/pr-1").State() == "inactive" })
	h.row(pull, "stopped; `/deploy preview` brings it back")
	next := h.push("change", "author", "next", map[string]string{"page.html": "three"})
	h.deployed("preview/pr-1", next)
	h.serves("preview/pr-1", "three")
	h.ends()
}

// stages is a plan of two stages: the second makes the site, once the branch holds a file named good.
func stages(more map[string]string) map[string]string {
	files := map[string]string{".github/conveyor.yml": `version: 1
on: {push: {branches: [main]}, pull_request: {}}
stages:
  - name: test
    steps:
      - name: unit
        run: echo this ran once
      - name: lint
        run: test ! -e bad || test -e /proc/self/nothing
  - name: build
    steps:
      - name: site
        run: mkdir dist && date +%N > dist/index.html
        artifact: {name: site, paths: [dist/**]}
environments:
  preview: {on: pull_request, artifact: site, target: {static: preview}}
`}
	for name, text := range more {
		files[name] = text
	}
	return files
}

func TestARunAgainOfWhatFailedKeepsWhatPassed(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", stages(nil))
	pull := h.pull("change", stages(map[string]string{"bad": "yes"}))
	if run := h.concluded(pull.HeadSHA, "conveyor / build"); run.Conclusion != "cancelled" {
		t.Fatal(run.Conclusion)
	}
	h.comment(pull, "reader", "/why site")
	h.answered(pull, "- `site` did not run\n  - the stage `test` ended as failure\n    - `lint` ended as failed")
	h.comment(pull, "reader", "/why nothing-of-that-name")
	h.answered(pull, "know `nothing-of-that-name`")
	h.comment(pull, "author", "/retest failed")
	h.answered(pull, "The steps that have not passed of "+pull.HeadSHA[:7]+" [run again]")
	again := h.completed(pull.HeadSHA, "conveyor / test", 2)
	if again.Conclusion != "failure" || !strings.Contains(again.Summary, "passed in an earlier run of this commit") {
		t.Fatalf("%s\n%s", again.Conclusion, again.Summary)
	}
	if log := h.page(strings.TrimPrefix(again.DetailsURL, h.config.PublicURL) + "/log/unit/1"); !strings.Contains(log, "this ran once") {
		t.Errorf("the log of a step that was carried is %q", log)
	}
	h.comment(pull, "author", "/test build")
	h.answered(pull, "The checks up to `build` of "+pull.HeadSHA[:7]+" [run again]")
	if run := h.completed(pull.HeadSHA, "conveyor / build", 3); run.Conclusion != "cancelled" {
		t.Errorf("a stage was run that stands on a red one: %s", run.Conclusion)
	}
	h.quiet()
	h.stop()
	h.holds()
}

func TestARunUpToAStageDeploysNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", stages(nil))
	pull := h.pull("change", stages(map[string]string{"page": "two"}))
	before := h.deployed("preview/pr-1", pull.HeadSHA)
	h.comment(pull, "author", "/test build")
	if run := h.completed(pull.HeadSHA, "conveyor / build", 2); run.Conclusion != "success" {
		t.Fatal(run.Conclusion)
	}
	h.comment(pull, "author", "/test nothing")
	h.answered(pull, "The plan has no stage `nothing`. It has `test`, `build`.")
	h.comment(pull, "author", "/retest failed")
	h.answered(pull, "Nothing of the last run failed.")
	h.quiet()
	if d := h.deployed("preview/pr-1", pull.HeadSHA); d.ID != before.ID {
		t.Errorf("the preview was deployed anew: %+v", d)
	}
	h.comment(pull, "author", "/test")
	h.wait("the whole run's own site", func(v *github.View) bool { return len(v.Deployments(repo, "preview/pr-1")) == 2 })
	h.quiet()
	h.stop()
	h.holds()
}

func TestAnAppCommandsWhenItIsListedAndByItsRole(t *testing.T) {
	t.Parallel()
	h := found(t)
	ship := must(h.gh.RegisterApp("octo", github.Manifest{
		Name: "Ship", URL: "http://127.0.0.1", DefaultPermissions: map[string]string{"issues": "write", "metadata": "read", "pull_requests": "write"},
	}))(t)
	at := must(h.gh.InstallApp(ship.Slug, "octo", "shop"))(t)
	h.config.CommandApps = []int64{ship.ID}
	h.start()
	t.Cleanup(func() { h.stop() })
	other := must(appgithub.New(appgithub.Config{
		APIURL: h.config.GitHubAPIURL, WebURL: h.config.GitHubURL, AppID: ship.ID, PrivateKey: []byte(ship.PEM), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}))(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	where := pipeline.Repo{ID: 1, Owner: "octo", Name: "shop", Installation: at.ID}
	says := func(line string) {
		t.Helper()
		if _, err := other.Installation(at.ID).UpsertComment(t.Context(), where, int(pull.Number), appgithub.Comment{Marker: strings.Trim(strings.Fields(line)[0], "/"), Body: line + "\n"}); err != nil {
			t.Fatal(err)
		}
	}
	says("/lock staging for 2h")
	h.answered(pull, "`/lock` needs the role write in this repository; @"+ship.Slug+"[bot] has")
	h.grant(ship.Slug+"[bot]", "maintain")
	says("/approve production@" + first[:7])
	h.deployed("production", first)
	h.ends()
}
