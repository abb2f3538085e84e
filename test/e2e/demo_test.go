package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// demoLedger is what `demo -once` writes down.
type demoLedger struct {
	github.Ledger
	Targets map[string]struct{ Digest, Serves string } `json:"targets"`
	Story   []struct {
		Step string `json:"step"`
		OK   bool   `json:"ok"`
	} `json:"story"`
}

// demo plays the demo as `make demo` does, from the repository's root, and reads its ledger.
func demo(t *testing.T, more ...string) (l demoLedger) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ledger.json")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	root := must(filepath.Abs("../.."))(t)
	cmd := exec.CommandContext(ctx, must(filepath.Abs(binary(t, "demo")))(t), append([]string{
		"-once", "-conveyor", must(filepath.Abs(binary(t, "conveyor")))(t), "-shop", "cmd/demo/shop", "-manifest", "manifest.yml", "-ledger", file,
	}, more...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := json.Unmarshal(must(os.ReadFile(file))(t), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// told is the ledger without what differs from one playing to the next: names of commits, digests and deliveries.
func (l demoLedger) told() string {
	commits, digests := map[string]string{}, map[string]string{}
	name := func(kind string, names map[string]string, of string) string {
		if names[of] == "" {
			names[of] = fmt.Sprintf("%s %d", kind, len(names)+1)
		}
		return names[of]
	}
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, s := range l.Story {
		say("%s: %v", s.Step, s.OK)
	}
	for _, d := range l.Deployments {
		if states := d.States; len(states) > 0 && states[0] != "in_progress" {
			d.States = append([]string{"in_progress"}, states...) // it was over before it could be told of
		}
		say("%s got %s of %s: %v", d.Environment, name("digest", digests, d.Digest), name("commit", commits, d.SHA), d.States)
	}
	var checks []string
	for _, k := range l.CheckRuns {
		checks = append(checks, fmt.Sprintf("%s of %s: %s %s", k.Name, name("commit", commits, k.HeadSHA), k.Status, k.Conclusion))
	}
	sort.Strings(checks)
	lines = append(lines, checks...)
	for _, env := range []string{"staging", "production"} {
		say("%s serves %s", env, name("digest", digests, l.Targets[env].Digest))
	}
	say("%d comments", len(l.Comments))
	return strings.Join(lines, "\n")
}

func TestTheDemoTellsTheSameStoryWithAndWithoutACrash(t *testing.T) {
	t.Parallel()
	ledgers := map[string]demoLedger{}
	whole, crashed := make(chan demoLedger, 1), make(chan demoLedger, 1)
	t.Run("playing", func(t *testing.T) {
		t.Run("without", func(t *testing.T) {
			t.Parallel()
			whole <- demo(t)
		})
		t.Run("with", func(t *testing.T) {
			t.Parallel()
			crashed <- demo(t, "-kill")
		})
	})
	if t.Failed() {
		return
	}
	ledgers["without"], ledgers["with"] = <-whole, <-crashed
	for name, l := range ledgers {
		if len(l.Story) < 8 {
			t.Errorf("%s a crash the story has %d steps only", name, len(l.Story))
		}
		for _, s := range l.Story {
			if !s.OK {
				t.Errorf("%s a crash, this did not come true: %s", name, s.Step)
			}
		}
		seen := map[string]bool{}
		for _, k := range l.CheckRuns {
			if seen[k.Name+k.HeadSHA] || k.Status != "completed" {
				t.Errorf("%s a crash, %s of %s is there twice, or is left %s", name, k.Name, k.HeadSHA, k.Status)
			}
			seen[k.Name+k.HeadSHA] = true
		}
	}
	if a, b := ledgers["without"].told(), ledgers["with"].told(); a != b {
		t.Errorf("without a crash:\n%s\n\nwith one:\n%s", a, b)
	}
}
