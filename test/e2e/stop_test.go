package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// waits is a plan whose step waits for the test, and then makes a site.
func waits(page string) map[string]string {
	files := withSites(page)
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "mkdir dist", "echo it waits; "+strings.TrimSpace(waiting)+"; echo it goes on; mkdir dist", 1)
	return files
}

// attempts are the logs of a step's attempts, the first one first.
func (h *house) attempts(step string) (logs []string) {
	h.t.Helper()
	for _, name := range must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", step, "*.log")))(h.t) {
		logs = append(logs, string(must(os.ReadFile(name))(h.t)))
	}
	return logs
}

func TestAStepThatWasLostWithItsServerRunsAgainByItself(t *testing.T) {
	t.Parallel()
	h := found(t)
	server := h.serve()
	sha := h.push("main", "author", "first", waits("one"))
	h.runs("unit", "1")
	server.kill()
	h.until("the step to die with its server", func() bool { return len(h.stepProcesses()) == 0 })
	h.serve()
	h.letGo(h.runs("unit", "2"))
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("staging", sha)
	h.ends()
	logs := h.attempts("unit")
	if len(logs) != 2 || !strings.Contains(logs[0], "This attempt was lost") || strings.Contains(logs[0], "it goes on") || !strings.Contains(logs[1], "it goes on") {
		t.Errorf("the attempts' logs are %q", logs)
	}
}

func TestAStepThatIsLostAgainAndAgainIsGivenUpWithAReason(t *testing.T) {
	t.Parallel()
	h := found(t)
	server := h.serve()
	sha := h.push("main", "author", "first", waits("one"))
	for attempt := range 3 {
		h.runs("unit", fmt.Sprint(attempt+1))
		server.kill()
		server = h.serve()
	}
	run := h.concluded(sha, "conveyor / test")
	if run.Conclusion == "success" || !strings.Contains(run.Title, "given up after 3 attempts") {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.ends()
}

// stepProcesses are the processes of this house's steps: those in whose mounts its workspaces are.
func (h *house) stepProcesses() (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		if p == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		env, _ := os.ReadFile(p + "/environ")
		mounts, _ := os.ReadFile(p + "/mountinfo")
		if strings.Contains(string(env), "CONVEYOR_RUN=run/") && strings.Contains(string(mounts), h.config.DataDir+"/source/work/") {
			found = append(found, p)
		}
	}
	return found
}

func TestAStoppingServerFinishesWhatRunsAndBeginsNothing(t *testing.T) {
	t.Parallel()
	h := found(t, func(h *house) { h.config.Grace = 25 * time.Second })
	server := h.serve()
	first := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	h.wait("the check", func(v *github.View) bool {
		run, ok := v.CheckRun(repo, first, "conveyor / test")
		return ok && run.Status == "in_progress"
	})
	server.terminate()
	h.stopping()
	// It still hears, and keeps what it hears for the next one.
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.taken(second)
	h.letGo(workspace)
	if code := server.exited(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
	h.gh.Look(func(v *github.View) {
		if runs := v.CheckRuns(repo, second); len(runs) > 0 {
			t.Errorf("the stopping server began %s", runs[0].Name)
		}
	})
	if logs := h.attempts("unit"); len(logs) != 1 || !strings.Contains(logs[0], "it goes on") {
		t.Errorf("what ran was not finished: %q", logs)
	}
	h.nothingRuns()

	h.serve()
	h.concluded(first, "conveyor / test")
	h.letGo(h.runs("unit", "1"))
	if run := h.concluded(second, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("staging", second)
	h.ends()
	if logs := h.attempts("unit"); len(logs) != 2 {
		t.Errorf("what had finished ran again: %q", logs)
	}
}

// stopping waits until the server has heard that it is to stop.
func (h *house) stopping() {
	h.t.Helper()
	h.until("the server to hear the signal", func() bool { return strings.Contains(h.log.String(), "stopping: nothing new is begun") })
}

// taken waits until the push of a commit was answered with 202.
func (h *house) taken(sha string) {
	h.t.Helper()
	h.wait("the webhook to be taken", func(v *github.View) bool {
		for _, d := range v.Deliveries() {
			if d.Event == "push" && strings.Contains(string(d.Payload), sha) {
				if d.StatusCode/100 != 2 {
					h.t.Errorf("the stopping server answered %d", d.StatusCode)
				}
				return true
			}
		}
		return false
	})
}

// nothingRuns wants no step and no workspace while no server is there.
func (h *house) nothingRuns() {
	h.t.Helper()
	if left := h.stepProcesses(); len(left) > 0 {
		h.t.Errorf("steps run on: %q", left)
	}
	j := h.journal()
	defer func() { _ = j.Close() }() // it was only read
	h.nothingIsLeft(j)
}

func TestAStoppingServerHandsBackWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	h := found(t, func(h *house) { h.config.Grace = 300 * time.Millisecond })
	server := h.serve()
	sha := h.push("main", "author", "first", waits("one"))
	h.runs("unit", "1")
	server.stop()
	h.nothingRuns()
	h.gh.Look(func(v *github.View) {
		if run, ok := v.CheckRun(repo, sha, "conveyor / test"); ok && run.Status == "completed" {
			t.Errorf("a step that was cut off is shown as %s", run.Conclusion)
		}
	})
	h.serve()
	h.letGo(h.runs("unit", "2"))
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	h.deployed("staging", sha)
	h.ends()
	if logs := h.attempts("unit"); len(logs) != 2 || !strings.Contains(logs[0], "This attempt ended early: the server was stopped while it ran") {
		t.Errorf("the attempts' logs are %q", logs)
	}
}

func TestASecondSignalEndsTheServerAtOnce(t *testing.T) {
	t.Parallel()
	h := found(t, func(h *house) { h.config.Grace = time.Hour })
	server := h.serve()
	h.push("main", "author", "first", waits("one"))
	h.runs("unit", "1")
	server.terminate()
	h.stopping()
	h.until("its end", func() bool { // the very moment from which a second signal counts is not told
		server.terminate()
		select {
		case <-server.ended:
			return true
		default:
			return false
		}
	})
	if server.cmd.ProcessState.Success() {
		t.Error("it was cut off, and says that all is well")
	}
	h.until("the step to end with it", func() bool { return len(h.stepProcesses()) == 0 })
	h.serve()
	h.letGo(h.runs("unit", "2"))
	h.ends()
}
