package app_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/history"
)

func TestNamesFromReportsAreNothingButTextInASummary(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"@mona", "a | b", "<img src=x>", "[click](https://evil.example)", "`code`\n# title", "**bold**", "octo/shop#1"} {
		st := pipeline.StepState{Name: "unit", Phase: pipeline.Done, Result: pipeline.Result{Tests: 3, TestsFailed: 1, Tested: &pipeline.Tested{
			Slowest: []pipeline.SlowTest{{Name: name, Took: time.Second}}, Failures: []pipeline.TestFail{{Name: name, New: true}}, Compared: name,
			Flaky: []pipeline.Flaky{{Name: name + "?", Branch: name, Failed: 1, Runs: 2}}, Unread: []string{name}, Alerts: &pipeline.Alerts{Failures: 1},
			Coverage: &pipeline.Coverage{Lines: 2, Covered: 1, Was: &pipeline.Ratio{Lines: 2, Covered: 2}, Unknown: "x"},
		}}}
		got := app.ReportSummary([]pipeline.StepState{st})
		for _, bad := range []string{"@mona", "a | b", "<img", "[click](", "\n# title", "**bold**", "shop#1", "`code`"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q is in the summary:\n%s", bad, got)
			}
		}
		for line := range strings.Lines(got) {
			if strings.HasPrefix(line, "|") && !strings.HasSuffix(line, "|\n") {
				t.Errorf("a row of the table is torn: %q", line)
			}
		}
	}
	if got := app.ReportSummary([]pipeline.StepState{{Name: "unit", Phase: pipeline.Done}, {Name: "other", Phase: pipeline.Running}}); got != "" {
		t.Errorf("a step without reports says %q", got)
	}
}

func TestAFailureIsNewWhenTheLastRunDidNotHaveIt(t *testing.T) {
	t.Parallel()
	ended := map[string]history.Outcome{"broken": history.Failed, "fresh": history.Failed, "added": history.Failed, "was off": history.Failed, "mended": history.Passed}
	before := history.Branch{Names: []string{"1", "2"}, Tests: map[string]string{"broken": "pf", "fresh": "fp", "was off": "fs", "mended": "ff"}}
	failed, fresh := app.Failures(ended, before)
	want := []pipeline.TestFail{{Name: "added", New: true}, {Name: "fresh", New: true}, {Name: "was off", New: true}, {Name: "broken"}}
	if fresh != 3 || !reflect.DeepEqual(failed, want) {
		t.Errorf("%d new, %+v", fresh, failed)
	}
	if failed, fresh := app.Failures(ended, history.Branch{}); fresh != 0 || len(failed) != 4 || failed[0].New {
		t.Errorf("nothing to compare with, and %d are new: %+v", fresh, failed)
	}
	many := map[string]history.Outcome{}
	for i := range 100 {
		many[fmt.Sprint(i)] = history.Failed
	}
	if failed, fresh := app.Failures(many, before); len(failed) != 20 || fresh != 100 {
		t.Errorf("%d are named of %d", len(failed), fresh)
	}
}

func TestATestIsFlakyWhenItChangesAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := history.Branch{Names: []string{"1", "2", "3", "4", "5"}, Tests: map[string]string{"flaky": "pfpfp", "broken": "pppff", "mended": "pfffp", "off": "spsfs", "gone": "pfpfp", "now": "fpfpf"}}
	ended := map[string]history.Outcome{"flaky": history.Passed, "broken": history.Failed, "mended": history.Passed, "off": history.Passed, "now": history.Failed}
	want := []pipeline.Flaky{{Name: "now", Branch: "main", Failed: 3, Runs: 5}, {Name: "flaky", Branch: "main", Failed: 2, Runs: 5}}
	if got := app.FlakyTests(ended, "main", b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
