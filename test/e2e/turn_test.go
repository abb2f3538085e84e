package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// takingTurns is a plan whose first stage waits for the test.
func takingTurns(mode, page string) map[string]string {
	files := planned("concurrency: " + mode + `
stages:
  - name: test
    steps: [{name: unit, run: "while [ ! -e let-go ]; do sleep 0.02; done"}]
  - name: build
    steps: [{name: site, run: "true"}]
`)
	files["page"] = page
	return files
}

// inLine waits until a commit's run waits for its turn.
func (h *house) inLine(sha string) {
	h.t.Helper()
	h.wait("the turn of "+sha[:7], func(v *github.View) bool {
		run, ok := v.CheckRun(repo, sha, "conveyor / test")
		return ok && run.Status == "queued" && strings.HasPrefix(run.Title, "Waiting for its turn")
	})
}

// letGoUntil lets every step go on that waits, until a check of a commit is completed.
func (h *house) letGoUntil(sha, check string) (run github.CheckRun) {
	h.t.Helper()
	h.until(check+" of "+sha[:7], func() bool {
		found, _ := filepath.Glob(filepath.Join(h.config.DataDir, "source", "work", "*", "merged"))
		for _, dir := range found {
			_ = os.WriteFile(filepath.Join(dir, "let-go"), nil, 0o644) // it may be over already
		}
		ok := false
		h.gh.Look(func(v *github.View) { run, ok = v.CheckRun(repo, sha, check) })
		return ok && run.Status == "completed"
	})
	return run
}

func TestOfRunsThatWaitTheNewestTakesTheOthersPlace(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Workers = 4 })
	first := h.push("main", "author", "first", takingTurns("supersede", "1"))
	workspace := h.runs("unit", "1")
	second := h.push("main", "author", "second", takingTurns("supersede", "2"))
	h.inLine(second)
	third := h.push("main", "author", "third", takingTurns("supersede", "3"))
	if run := h.concluded(second, "conveyor / test"); run.Conclusion != "cancelled" || !strings.Contains(run.Title, "superseded by "+third[:7]) {
		t.Errorf("the second ended as %s: %s", run.Conclusion, run.Title)
	}
	h.inLine(third)
	h.letGo(workspace)
	if run := h.concluded(first, "conveyor / build"); run.Conclusion != "success" {
		t.Errorf("what was in a stage ended as %s: %s", run.Conclusion, run.Title)
	}
	h.wait("the third to run", func(v *github.View) bool {
		run, ok := v.CheckRun(repo, third, "conveyor / test")
		return ok && run.Status == "in_progress"
	})
	if run := h.letGoUntil(third, "conveyor / build"); run.Conclusion != "success" {
		t.Errorf("the third ended as %s: %s", run.Conclusion, run.Title)
	}
	h.quiet()
}

func TestAQueueLetsEveryRunInAfterTheOther(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Workers, h.config.Grace = 4, 100*time.Millisecond })
	first := h.push("main", "author", "first", takingTurns("queue", "1"))
	h.runs("unit", "1")
	second := h.push("main", "author", "second", takingTurns("queue", "2"))
	h.inLine(second)
	third := h.push("main", "author", "third", takingTurns("queue", "3"))
	h.inLine(third)
	h.stop() // what waits for its turn is remembered
	h.start()
	for _, sha := range []string{first, second, third} {
		if run := h.letGoUntil(sha, "conveyor / build"); run.Conclusion != "success" {
			t.Errorf("%s ended as %s: %s", sha[:7], run.Conclusion, run.Title)
		}
	}
	h.quiet()
}
