package oci

import (
	"os"
	"path/filepath"
	"strings"
)

// left is what there is of a run, or of all runs when id is empty.
func (s *Sandbox) left(id string) []string {
	var found []string
	for _, name := range s.cgroups.left() {
		if isOf(name, id) {
			found = append(found, "cgroup "+name)
		}
	}
	entries, _ := os.ReadDir(filepath.Join(s.options.Dir, "runs"))
	for _, e := range entries {
		if isOf(e.Name(), id) {
			found = append(found, "folder "+e.Name())
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, filepath.Join(s.options.Dir, "runs", id)) {
			found = append(found, "mount "+line)
		}
	}
	return found
}

// isOf says whether a name is that of a run, or of a service of it.
func isOf(name, id string) bool { return id == "" || name == id || strings.HasPrefix(name, id+"_") }
