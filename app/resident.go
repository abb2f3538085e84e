package app

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// giveBack returns to the kernel what only the start has needed: garbage, and the pages of the program itself. Opening
// everything touches most of the program once (tables, parsers, templates), and a mapping remembers that for ever. The pages
// stay in the kernel's cache of the file; what is needed again is mapped again.
func giveBack() {
	debug.FreeOSMemory()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	table, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range cleanMappings(string(table), self) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m[0], m[1]-m[0], syscall.MADV_DONTNEED) // best effort
	}
}

// cleanMappings are the beginnings and ends of the mappings of a file that hold nothing but what the file holds: those
// that cannot be written and have no page of their own. See proc_pid_smaps(5).
func cleanMappings(smaps, file string) (all [][2]uintptr) {
	var now [2]uintptr
	ours := false
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 6 && !strings.HasSuffix(f[0], ":"):
			from, to, _ := strings.Cut(f[0], "-")
			begin, err1 := strconv.ParseUint(from, 16, 64)
			end, err2 := strconv.ParseUint(to, 16, 64)
			now = [2]uintptr{uintptr(begin), uintptr(end)}
			ours = err1 == nil && err2 == nil && f[5] == file && len(f) == 6 && (f[1] == "r-xp" || f[1] == "r--p")
		case ours && f[0] == "Anonymous:" && len(f) == 3 && f[1] == "0":
			all = append(all, now)
		}
	}
	return all
}
