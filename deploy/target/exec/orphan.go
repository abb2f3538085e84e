package exec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// process names a process so that it is never mistaken for a later one with the same number.
type process struct {
	Boot  string `json:"boot"` // the machine's boot id
	PID   int    `json:"pid"`
	Start string `json:"start"` // clock ticks since the boot
}

// started writes down which script runs. When this server is killed, the script goes on; the next turn finds it here.
func (own turn) started(pid int) {
	b, err := json.Marshal(identify(pid))
	if err == nil {
		_ = os.WriteFile(filepath.Join(own.dir, "script"), b, 0o600) // without it an orphan runs to its end, as it would have
	}
}

// killOrphan ends the script of a server that was killed. The caller holds the running lock, so that no living server
// waits for that script.
func (own turn) killOrphan() {
	path := filepath.Join(own.dir, "script")
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	var was process
	if json.Unmarshal(b, &was) == nil && was.PID > 1 && was.Start != "" && identify(was.PID) == was {
		_ = syscall.Kill(-was.PID, syscall.SIGKILL) // gone already is as good
	}
	_ = os.Remove(path)
}

// identify asks the kernel about a process. Its Start is empty when there is none.
func identify(pid int) process {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}
	}
	// The name in parentheses may hold anything; the start time is the 20th word after it (proc(5), field 22).
	words := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(words) < 20 {
		return process{}
	}
	return process{Boot: strings.TrimSpace(string(boot)), PID: pid, Start: string(words[19])}
}
