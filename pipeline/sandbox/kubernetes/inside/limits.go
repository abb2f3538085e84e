package inside

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// wayOut stands for the way out where only matters that there is one.
func wayOut(context.Context, net.Listener) error { return nil }

// seeLimits reads what the container's control group has counted, as long as the processes are there.
func (f *fate) seeLimits(l sandbox.Limits) {
	most := number("/sys/fs/cgroup/pids.peak", "/sys/fs/cgroup/pids/pids.peak", "/sys/fs/cgroup/pids.current", "/sys/fs/cgroup/pids/pids.current")
	f.PIDs = l.PIDs > 0 && most >= l.PIDs
}

func (f *fate) seeMemory() {
	f.Memory = number("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
	for _, file := range []string{"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"} {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if w := strings.Fields(line); len(w) == 2 && w[0] == "oom_kill" && w[1] != "0" {
				f.OOM = true
			}
		}
	}
}

// number is what the first file says that is there.
func number(files ...string) int64 {
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			return n
		}
	}
	return 0
}
