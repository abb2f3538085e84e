package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestAPushGoesAllTheWayWithTheSameBytes(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	if run := h.concluded(first, "conveyor / test"); run.Conclusion != "success" {
		t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	staged := h.deployed("staging", first)
	pull := h.pull("change", withSites("two"))
	h.concluded(pull.HeadSHA, "conveyor / test")
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.serves("preview/pr-1", "two")

	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	if d := h.deployed("production", first); d.Digest != staged.Digest {
		t.Fatalf("production got %s, staging ran %s", d.Digest, staged.Digest)
	}
	merged := must(h.gh.Merge(repo, pull.Number, "maintainer"))(t)
	staged = h.deployed("staging", merged)
	h.wait("the end of the preview", func(v *github.View) bool { return last(v, "preview/pr-1").State() == "inactive" })
	if _, err := os.Stat(h.site("preview/pr-1")); !os.IsNotExist(err) {
		t.Errorf("the preview is still there: %v", err)
	}

	h.comment(pull, "reader", "/approve production")
	h.answered(pull, "Refused. `production` may be approved by maintain")
	h.serves("production", "one")

	h.comment(pull, "author", "/approve production")
	h.answered(pull, "author has the role write")

	h.comment(pull, "maintainer", "/approve production")
	if d := h.deployed("production", merged); d.Digest != staged.Digest {
		t.Fatalf("production got %s, staging runs %s", d.Digest, staged.Digest)
	}
	h.serves("production", "two")
	h.comment(pull, "maintainer", "/rollback production")
	h.deployed("production", first)
	h.serves("production", "one")
	h.ends()
}

func TestAMistakeInThePlanIsShownOnTheFile(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	files := plan("true")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "steps:", "stesp:", 1)
	pull := h.pull("typo", files)
	run := h.concluded(pull.HeadSHA, "conveyor / plan")
	if run.Conclusion != "failure" || len(run.Annotations) == 0 {
		t.Fatalf("%s with %d annotations", run.Conclusion, len(run.Annotations))
	}
	a := run.Annotations[0]
	if a.Path != ".github/conveyor.yml" || a.StartLine != 5 || !strings.Contains(a.Message, `"steps"`) {
		t.Fatalf("the annotation is %+v", a)
	}
}

func TestCodeFromOutsideRunsNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	h.quiet()
	h.gh.AddUser("stranger")
	must(h.gh.Fork(repo, "stranger"))(t)
	sha := must(h.gh.Commit("stranger/shop", "main", "stranger", "hello", plan("touch /tmp/ran; false")))(t)
	must(h.gh.OpenPull(repo, "stranger", "hello", "stranger:main", "main"))(t)
	run := h.concluded(sha, "conveyor / test")
	if run.Conclusion != "action_required" {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
	h.quiet()
	if logs, _ := filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", "*", "*.log")); len(logs) != 1 {
		t.Fatalf("a step ran: %q", logs)
	}
}

func TestAFailingTestIsMarkedAtItsLine(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := plan("printf -- '--- FAIL: TestPrice (0.00s)\\n    price_test.go:3: got 2, want 3\\nFAIL\\nFAIL\\tshop/price\\t0.001s\\n' | tee test.log; exit 1",
		"        reports: {go: test.log}")
	files["go.mod"] = "module shop\n\ngo 1.24\n"
	files["price/price_test.go"] = "package price\n\n// line 3\n"
	sha := h.push("main", "author", "first", files)
	run := h.concluded(sha, "conveyor / test")
	if run.Conclusion != "failure" || len(run.Annotations) != 1 {
		t.Fatalf("%s: %+v\n%s", run.Conclusion, run.Annotations, run.Summary)
	}
	if a := run.Annotations[0]; a.Path != "price/price_test.go" || a.StartLine != 3 || !strings.Contains(a.Message, "got 2, want 3") {
		t.Fatalf("the annotation is %+v", a)
	}
	if !strings.Contains(run.Summary, "price_test.go:3: got 2, want 3") {
		t.Fatalf("the summary does not show the log's end:\n%s", run.Summary)
	}
}

func TestOnlyANewCommentsOwnLinesCommand(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.pull("change", withSites("two"))
	h.deployed("preview/pr-1", pull.HeadSHA)
	said := must(h.gh.Comment(repo, int(pull.Number), "maintainer", "Look:\n\n```\n/approve production@"+first+"\n```\n\n> /approve production@"+first+"\n\n    /approve production@"+first+"\n"))(t)
	if err := h.gh.EditComment(repo, said.ID, "maintainer", "/approve production@"+first); err != nil {
		t.Fatal(err)
	}
	h.quiet()
	h.gh.Look(func(v *github.View) {
		if n := len(v.Deployments(repo, "production")); n != 0 {
			t.Errorf("a quotation, code or an edit deployed to production")
		}
	})
	h.comment(pull, "maintainer", "/aprove production")
	h.answered(pull, "Did you mean `/approve production`?")
}

func TestRetestRunsTheHeadAgainAndCancelEndsIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	pull := h.pull("change", plan("if [ -e /workspace/slow ]; then while :; do :; done; fi"))
	h.concluded(pull.HeadSHA, "conveyor / test")
	h.comment(pull, "maintainer", "/retest")
	h.answered(pull, "run again")
	h.wait("the second check", func(v *github.View) bool {
		n := 0
		for _, run := range v.CheckRuns(repo, pull.HeadSHA) {
			if run.Status == "completed" {
				n++
			}
		}
		return n == 2
	})
	files := plan("if [ -e /workspace/slow ]; then while :; do :; done; fi")
	files["slow"] = "yes\n"
	slow := h.push("change", "author", "slow", files)
	h.wait("the slow run", func(v *github.View) bool {
		run, ok := v.CheckRun(repo, slow, "conveyor / test")
		return ok && run.Status == "in_progress"
	})
	h.comment(pull, "maintainer", "/cancel")
	if run := h.concluded(slow, "conveyor / test"); run.Conclusion != "cancelled" || !strings.Contains(run.Title, "maintainer") {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
}

func TestANewerPushSupersedesTheRunOfTheOldHead(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	pull := h.pull("change", plan("while :; do :; done"))
	h.wait("the run", func(v *github.View) bool {
		run, ok := v.CheckRun(repo, pull.HeadSHA, "conveyor / test")
		return ok && run.Status == "in_progress"
	})
	next := h.push("change", "author", "better", plan("true"))
	if run := h.concluded(next, "conveyor / test"); run.Conclusion != "success" {
		t.Fatal(run.Conclusion)
	}
	if run := h.concluded(pull.HeadSHA, "conveyor / test"); run.Conclusion != "cancelled" || !strings.Contains(run.Title, next[:7]) {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
}
