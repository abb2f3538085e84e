package e2e

import (
	"os"
	"path/filepath"
)

// waiting is a script that goes on once the test lets it. The file is looked for in the step's own workspace.
const waiting = "while [ ! -e let-go ]; do sleep 0.02; done\n"

// runs waits until an attempt of a step runs, and returns its workspace.
func (h *house) runs(step, attempt string) string {
	h.t.Helper()
	var dir string
	h.until("step "+step+" to run", func() bool {
		logs, _ := filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", step, attempt+".log"))
		found, _ := filepath.Glob(filepath.Join(h.config.DataDir, "source", "work", "*-"+step+"-"+attempt, "merged"))
		if len(logs) == 0 || len(found) == 0 {
			return false
		}
		dir = found[0]
		return true
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
