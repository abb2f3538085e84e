package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// runPage is the address of the run that a check shows.
func (h *house) runPage(sha string) string {
	h.t.Helper()
	var url string
	h.wait("the run's address", func(v *github.View) bool {
		run, ok := v.CheckRun(repo, sha, "conveyor / test")
		url = run.DetailsURL
		return ok && url != ""
	})
	return url
}

func TestALogIsPrintedFromTheServerAndFromItsFolder(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", plan(`printf '\033[31mred\033[0m\n'; i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; printf 'no end'`,
		"      - {name: other, run: echo from the other}"))
	h.concluded(sha, "conveyor / test")
	h.quiet()
	address := h.runPage(sha)
	want := "red\n"
	for i := range 3000 {
		want += fmt.Sprintf("line %d\n", i)
	}
	want += "no end"
	parts := strings.Split(strings.TrimPrefix(address, h.config.PublicURL+"/runs/"), "/")
	name := "run/" + parts[0] + "/" + parts[1]
	folder := []string{"--data-dir", h.config.DataDir}
	for _, args := range [][]string{{address, "unit"}, {"-f", address, "unit"}, {address, "unit/1"}, {name, "unit"}, {"-f", name, "unit"}} {
		code, said := say(t, nil, "conveyor", append(append([]string{"logs"}, args...), folder...)...)
		if code != 0 || said != want {
			t.Errorf("%v: %d, %d bytes, want %d: %.100q", args, code, len(said), len(want), said)
		}
	}
	for _, args := range [][]string{{address}, {"-f", address}, {name}, {"-f", name}} {
		code, said := say(t, nil, "conveyor", append(append([]string{"logs"}, args...), folder...)...)
		if code != 0 || !strings.Contains(said, want) || !strings.Contains(said, "==> other/1 <==\nfrom the other\n") || !strings.Contains(said, "==> unit/1 <==\n") {
			t.Errorf("%v: %d, %.200q", args, code, said)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{address, "unti"}, "there are: "}, {[]string{address + "x", "unit"}, "no such run"},
		{[]string{"run/1/none"}, "no log of a run"}, {[]string{"../../etc", "unit"}, "no log of a run"}, {[]string{"https://127.0.0.1:1/runs/x", "unit"}, "does not answer"},
	} {
		code, said := say(t, nil, "conveyor", append(append([]string{"logs"}, c.args...), folder...)...)
		if code != 1 || !strings.Contains(said, c.want) {
			t.Errorf("%v: %d %q", c.args, code, said)
		}
		if key := parts[len(parts)-1]; strings.Contains(said, key) {
			t.Errorf("%v: the error holds the run's key: %q", c.args, said)
		}
	}
}

func TestARunningLogIsFollowedWhileItIsWritten(t *testing.T) {
	t.Parallel()
	h := open(t)
	gate := filepath.Join(t.TempDir(), "go on")
	h.config.Sandbox = "none"
	h.stop()
	h.start()
	sha := h.push("main", "author", "first", plan(fmt.Sprintf(`echo begun; while [ ! -e '%s' ]; do sleep 0.02; done; echo ended`, gate)))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t, "conveyor"), "logs", "-f", h.runPage(sha), "unit")
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "begun" {
		t.Fatalf("saw %q", lines.Text())
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "ended" || lines.Scan() {
		t.Errorf("saw %q", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	h.concluded(sha, "conveyor / test")
}

func TestTheLogsOfAnOldRunAreRemovedAndThePageSaysSo(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", plan("echo printed"))
	h.concluded(sha, "conveyor / test")
	h.quiet()
	address := h.runPage(sha)
	h.stop()
	past := time.Now().Add(-100 * time.Hour)
	logs := must(filepath.Glob(filepath.Join(h.config.DataDir, "logs/run/*/*/unit/1.log")))(t)
	for _, log := range logs {
		if err := os.Chtimes(log, past, past); err != nil {
			t.Fatal(err)
		}
	}
	h.config.KeepLogs = 99 * time.Hour
	h.start()
	h.until("the log is removed", func() bool { _, err := os.Stat(logs[0]); return len(logs) == 1 && os.IsNotExist(err) })
	for _, args := range [][]string{{address, "unit"}, {"-f", address, "unit"}} {
		h.until("the removal is told", func() bool {
			code, said := say(t, nil, "conveyor", append([]string{"logs"}, args...)...)
			return code == 1 && strings.Contains(said, "not kept any more")
		})
	}
}
