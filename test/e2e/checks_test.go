package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// on replaces what starts runs in a plan.
func on(files map[string]string, events string) map[string]string {
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "on: {push: {branches: [main]}, pull_request: {}}", "on: "+events, 1)
	return files
}

// checks are the check runs of a commit with a name, the oldest first.
func (h *house) checks(sha, name string) (runs []github.CheckRun) {
	h.gh.Look(func(v *github.View) {
		for _, r := range v.CheckRuns(repo, sha) {
			if r.Name == name {
				runs = append(runs, r)
			}
		}
	})
	slices.SortFunc(runs, func(a, b github.CheckRun) int { return int(a.ID - b.ID) })
	return runs
}

// offers waits until a commit's newest check of a name has a button.
func (h *house) offers(sha, name, button string) (run github.CheckRun) {
	h.t.Helper()
	h.wait("the button "+button, func(v *github.View) bool {
		run = github.CheckRun{}
		for _, r := range v.CheckRuns(repo, sha) {
			if r.Name == name && r.ID > run.ID {
				run = r
			}
		}
		return slices.ContainsFunc(run.Actions, func(a github.Action) bool { return a.Identifier == button })
	})
	return run
}

func (h *house) press(run github.CheckRun, button, who string) {
	h.t.Helper()
	if err := h.gh.RequestAction(repo, run.ID, button, who); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) rerun(run github.CheckRun, who string) {
	h.t.Helper()
	if err := h.gh.RerequestCheck(repo, run.ID, who); err != nil {
		h.t.Fatal(err)
	}
}

// noted waits until a check says something.
func (h *house) noted(run github.CheckRun, words string) {
	h.t.Helper()
	h.wait("the note: "+words, func(v *github.View) bool {
		for _, r := range v.CheckRuns(repo, run.HeadSHA) {
			if r.ID == run.ID && strings.Contains(strings.ReplaceAll(r.Summary, "\u200b", ""), words) {
				return true
			}
		}
		return false
	})
}

// endsAgain is ends, of a story in which checks of one name run more than once.
func (h *house) endsAgain() {
	h.t.Helper()
	h.quiet()
	h.stop()
	h.holds()
}

func TestAPullRequestThatAFilterLeavesOutHasSkippedChecksUntilItIsMoved(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := on(plan("true"), "{push: {branches: [main]}, pull_request: {branches: [main]}}")
	h.push("main", "author", "first", files)
	h.push("next", "author", "next", map[string]string{"next": "1"})
	sha := h.push("change", "author", "change", map[string]string{"change": "1"})
	pull := must(h.gh.OpenPull(repo, "author", "change", "change", "next"))(t)
	run := h.concluded(sha, "conveyor / test")
	if run.Conclusion != "skipped" || !strings.Contains(run.Title, `on.pull_request.branches does not name "next"`) {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
	h.quiet()
	h.rerun(run, "author")
	h.noted(run, `It is not run, because on.pull_request.branches does not name`)
	if err := h.gh.EditPull(repo, pull.Number, "author", "change", "", "main"); err != nil {
		t.Fatal(err)
	}
	if run := h.completed(sha, "conveyor / test", 2); run.Conclusion != "success" {
		t.Fatalf("into main it is %s: %s", run.Conclusion, run.Title)
	}
	if err := h.gh.EditPull(repo, pull.Number, "author", "change", "", "next"); err != nil {
		t.Fatal(err)
	}
	h.endsAgain()
	if all := h.checks(sha, "conveyor / test"); len(all) != 2 {
		t.Errorf("what has run was skipped afterwards: %d checks", len(all))
	}
}

func TestAPullRequestWhosePushesRunIsNeverSkipped(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", on(plan("true"), "{push: {}, pull_request: {branches: [main]}}"))
	h.push("next", "author", "next", map[string]string{"next": "1"})
	sha := h.push("change", "author", "change", on(plan("false"), "{push: {}, pull_request: {branches: [main]}}"))
	must(h.gh.OpenPull(repo, "author", "change", "change", "next"))(t)
	h.concluded(sha, "conveyor / test")
	h.ends()
	if all := h.checks(sha, "conveyor / test"); len(all) != 1 || all[0].Conclusion != "failure" {
		t.Errorf("the checks are %+v", all)
	}
}

// twoStages is a plan of two stages.
func twoStages(first, second string) map[string]string {
	files := plan(first)
	files[".github/conveyor.yml"] += fmt.Sprintf("\n  - name: build\n    steps:\n      - name: site\n        run: %s\n", second)
	return files
}

func TestReRunOfOneCheckRunsItsStageAndWhatHasNotPassed(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", twoStages("true", "\"false\""))
	h.concluded(sha, "conveyor / test")
	failed := h.concluded(sha, "conveyor / build")
	h.quiet()
	h.rerun(failed, "author")
	again := h.completed(sha, "conveyor / build", 2)
	if again.ID == failed.ID || !strings.HasSuffix(again.ExternalID, " #2") || strings.Contains(failed.ExternalID, "#") {
		t.Errorf("the second attempt is %q, after %q", again.ExternalID, failed.ExternalID)
	}
	h.quiet()
	if n := len(h.checks(sha, "conveyor / test")); n != 1 {
		t.Errorf("the other stage has %d checks", n)
	}
	if err := h.gh.RerequestSuite(repo, sha, h.at.AppSlug, "author"); err != nil {
		t.Fatal(err)
	}
	h.completed(sha, "conveyor / test", 2)
	if third := h.completed(sha, "conveyor / build", 3); !strings.HasSuffix(third.ExternalID, " #3") {
		t.Errorf("the third attempt is %q", third.ExternalID)
	}
	h.quiet()
	h.rerun(again, "reader")
	h.noted(again, "reader has the role read")
	h.endsAgain()
}

func TestReRunOfAForksCheckFindsItsPullRequestAndRefusesToGuessAmongTwo(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	h.push("next", "author", "next", map[string]string{"next": "1"})
	must(h.gh.Fork(repo, "author"))(t)
	sha := must(h.gh.Commit("author/shop", "main", "author", "hello", plan("true")))(t)
	one := must(h.gh.OpenPull(repo, "author", "one", "author:main", "main"))(t)
	run := h.concluded(sha, "conveyor / test")
	h.quiet()
	h.rerun(run, "maintainer")
	again := h.completed(sha, "conveyor / test", 2)
	h.quiet()
	two := must(h.gh.OpenPull(repo, "author", "two", "author:main", "next"))(t)
	h.quiet()
	h.rerun(again, "maintainer")
	h.noted(again, fmt.Sprintf("The open pull requests #%d, #%d all have the head %s", one.Number, two.Number, sha[:7]))
	if err := h.gh.RerequestSuite(repo, sha, h.at.AppSlug, "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.endsAgain()
	if n := len(h.checks(sha, "conveyor / test")); n != 2 {
		t.Errorf("%d checks: one of two pull requests was guessed", n)
	}
}

func TestTheButtonsOfACheckMoveItsCommitAndNoOther(t *testing.T) {
	t.Parallel()
	h := open(t)
	const check = "conveyor / test"
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	run := h.offers(first, check, "approve/production")
	for _, a := range run.Actions {
		if len(a.Label) > 20 || len(a.Identifier) > 20 || !strings.Contains(a.Label, "production") {
			t.Errorf("the button is %+v", a)
		}
	}
	h.press(run, "approve/production", "reader")
	h.noted(run, "`production` may be approved by maintain; @reader has the role read")
	h.press(run, "approve/production", "author")
	h.noted(run, "@author has the role write")
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v", got)
	}
	h.press(run, "approve/production", "maintainer")
	h.deployed("production", first)

	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	run = h.offers(second, check, "approve/production")
	h.press(run, "approve/production", "maintainer")
	h.deployed("production", second)
	run = h.offers(second, check, "rollback/production")
	h.press(run, "rollback/production", "reader")
	h.noted(run, "`production` may be rolled back by maintain")
	h.press(run, "rollback/production", "maintainer")
	h.deployed("production", first)
	h.serves("production", "one")
	h.ends()
	if got := h.commits("production"); !slices.Equal(got, []string{first, second, first}) {
		t.Errorf("production got %v", got)
	}
}

func TestTheButtonPromoteBringsAPullRequestsCommitToAnEnvironment(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", withSites("one"))
	pull := h.pull("change", map[string]string{"page.html": "two"})
	run := h.offers(pull.HeadSHA, "conveyor / test", "deploy/staging")
	h.press(run, "deploy/staging", "reader")
	h.answered(pull, "Refused. `/deploy` needs the role write")
	h.press(run, "deploy/staging", "author")
	h.deployed("staging", pull.HeadSHA)
	h.ends()
}

func TestTheButtonCancelEndsTheRun(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", twoStages("while :; do :; done", "\"true\""))
	run := h.offers(sha, "conveyor / test", "cancel")
	h.press(run, "cancel", "reader")
	h.noted(run, "`/cancel` needs the role write")
	h.press(run, "cancel", "maintainer")
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "cancelled" || run.Title != "Cancelled: cancelled by maintainer" || len(run.Actions) != 0 {
		t.Errorf("%s: %s, with %d buttons", run.Conclusion, run.Title, len(run.Actions))
	}
	h.concluded(sha, "conveyor / build")
	h.ends()
}

func TestAMergeGroupRunsForRealAndIsNotDeployed(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", withSites("one"))
	pull := h.pull("change", map[string]string{"page.html": "two"})
	h.concluded(pull.HeadSHA, "conveyor / test")
	base := h.push("main", "author", "meanwhile", map[string]string{"other": "1"})
	h.deployed("staging", base)
	h.quiet()
	group := must(h.gh.Enqueue(repo, "maintainer", pull.Number))(t)
	run := h.concluded(group.HeadSHA, "conveyor / test")
	if run.Conclusion != "success" || !strings.Contains(run.Title, "1 of 1 steps passed") {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
	h.quiet()
	if got := h.commits("staging"); slices.Contains(got, group.HeadSHA) {
		t.Fatalf("the group was deployed: %v", got)
	}
	if err := h.gh.LeaveQueue(group, "maintainer", "merged"); err != nil {
		t.Fatal(err)
	}
	h.deployed("staging", group.HeadSHA) // by the push that it became, which made its own artifact
	h.endsAgain()
}

func TestAMergeGroupThatFailsOrIsDroppedSaysSo(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("if [ -e both ] && [ -e other ]; then exit 3; fi; if [ -e slow ]; then while :; do :; done; fi"))
	pull := h.pull("change", map[string]string{"both": "1"})
	h.concluded(pull.HeadSHA, "conveyor / test")
	main := h.push("main", "author", "other", map[string]string{"other": "1"})
	h.concluded(main, "conveyor / test")
	group := must(h.gh.Enqueue(repo, "maintainer", pull.Number))(t)
	if run := h.concluded(group.HeadSHA, "conveyor / test"); run.Conclusion != "failure" {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
	if err := h.gh.LeaveQueue(group, "maintainer", "invalidated"); err != nil {
		t.Fatal(err)
	}
	h.push("slow", "author", "slow", map[string]string{"slow": "1", "other": github.Delete})
	slow := must(h.gh.OpenPull(repo, "author", "slow", "slow", "main"))(t)
	group = must(h.gh.Enqueue(repo, "maintainer", slow.Number))(t)
	h.offers(group.HeadSHA, "conveyor / test", "cancel")
	if err := h.gh.LeaveQueue(group, "maintainer", "dequeued"); err != nil {
		t.Fatal(err)
	}
	if run := h.concluded(group.HeadSHA, "conveyor / test"); run.Conclusion != "cancelled" || !strings.Contains(run.Title, "the merge queue does not need it") {
		t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
	if err := h.gh.ClosePull(repo, slow.Number, "author"); err != nil {
		t.Fatal(err)
	}
	h.ends()
}

func TestAMergeGroupOfATestedTreeReusesTheEvidenceAndLinksIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", withSites("one"))
	pull := h.pull("change", map[string]string{"page.html": "two"})
	proof := h.concluded(pull.HeadSHA, "conveyor / test")
	h.quiet()
	group := must(h.gh.Enqueue(repo, "maintainer", pull.Number))(t)
	run := h.concluded(group.HeadSHA, "conveyor / test")
	if run.Conclusion != "success" || !strings.HasPrefix(run.Title, "Reused") || !strings.Contains(run.Summary, proof.DetailsURL) {
		t.Fatalf("%s: %s\n%s\nwants a link to %s", run.Conclusion, run.Title, run.Summary, proof.DetailsURL)
	}
	h.quiet()
	h.rerun(run, "maintainer")
	if run := h.completed(group.HeadSHA, "conveyor / test", 2); run.Conclusion != "success" || strings.HasPrefix(run.Title, "Reused") {
		t.Fatalf("run again it is %s: %s", run.Conclusion, run.Title)
	}
	h.endsAgain()
}
