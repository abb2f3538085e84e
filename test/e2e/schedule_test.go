package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// It waits for the machine's own clock to reach the next minute.
func TestAScheduleRunsTheDefaultBranchByItself(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := planned(`stages:
  - name: nightly
    if: event == "schedule"
    steps: [{name: unit, run: 'test "$CONVEYOR_EVENT $CONVEYOR_BRANCH" = "schedule main"'}]
`)
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "{push: {branches: [main]}, pull_request: {}}", `{push: {branches: [main]}, schedule: [{cron: "* * * * *", timezone: Asia/Seoul}]}`, 1)
	files[".github/conveyor/night.yml"] = `version: 1
on: {schedule: [{cron: "* * * * *"}]}
stages: [{name: go, steps: [{name: see, run: 'test "$CONVEYOR_EVENT" = schedule'}]}]
`
	sha := h.push("main", "author", "begin", files)
	if run := h.concluded(sha, "conveyor / nightly"); run.Conclusion != "skipped" {
		t.Errorf("after the push it ended as %s: %s", run.Conclusion, run.Summary)
	}
	var nightly github.CheckRun
	h.wait("the schedule", func(v *github.View) bool {
		for _, run := range v.CheckRuns(repo, sha) {
			if run.Name == "conveyor / nightly" && run.Conclusion == "success" {
				nightly = run
				return true
			}
		}
		return false
	})
	if !strings.HasPrefix(nightly.Summary, "Started by the schedule of `main`, at ") {
		t.Errorf("it says:\n%s", nightly.Summary)
	}
	if run := h.concluded(sha, "night / go"); run.Conclusion != "success" || !strings.HasPrefix(run.Summary, "Started by the schedule of `main`, at ") {
		t.Errorf("another pipeline's schedule ended as %s:\n%s", run.Conclusion, run.Summary)
	}
}
