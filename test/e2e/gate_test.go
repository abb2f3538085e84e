package e2e

import (
	"os"
	"path/filepath"
	"strings"
)

// waiting is a script that goes on once the test lets it. The file is looked for in the step's own workspace.
const waiting = "while [ ! -e let-go ]; do sleep 0.02; done\n"

// runs waits until an attempt of a step runs, and returns its workspace.
func (h *house) runs(step, attempt string) string {
	h.t.Helper()
	var dir string
	logs := filepath.Join(h.config.DataDir, "logs")
	h.until("step "+step+" to run", func() bool {
		all, _ := filepath.Glob(filepath.Join(logs, "run", "*", "*", step, attempt+".log"))
		for _, log := range all {
			// Another run's log says nothing of this one's workspace, and a folder is one when it holds the commit.
			name := strings.TrimSuffix(strings.TrimPrefix(log, logs+"/"), ".log")
			dir = filepath.Join(h.config.DataDir, "source", "work", strings.ReplaceAll(name, "/", "-"), "merged")
			if _, err := os.Stat(filepath.Join(dir, ".github")); err == nil {
				return true
			}
		}
		return false
	})
	return dir
}

// letGo ends the waiting of a step that runs.
func (h *house) letGo(workspace string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(workspace, "let-go"), nil, 0o644); err != nil {
		h.t.Fatal(err)
	}
}
