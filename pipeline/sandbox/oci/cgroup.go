package oci

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// cgroups is how this machine limits processes: version 1 has one tree for each controller, version 2 has one tree.
// Every step has a group of its own below base, which this package makes, reads and removes; runtimes only use it. The
// base itself stays: making and removing it would race with other servers.
type cgroups struct {
	version     int               // 0 when there are none that this server may use
	mark        string            // what the names of all groups of this Dir begin with, so that servers do not meet: "0123456789ab-"
	controllers map[string]string // version 1: where memory, pids and cpu are mounted
	trees       []string          // version 1: where every tree is mounted, for a runtime may make groups in all of them
	home        map[string]string // version 1: the groups of this server, by controller
	mixed       bool              // both versions are mounted
	unified     string            // where cgroup2 is mounted; beside version 1 (hybrid) it is of no use for limits
}

const base = "conveyor"

var needed = []string{"memory", "pids", "cpu"}

func findCgroups(dir string) (*cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("sandbox/oci: read the mounts: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("sandbox/oci: read the server's cgroups: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("sandbox/oci: %w", err)
	}
	c, err := parseCgroups(string(mounts), string(own))
	if err != nil {
		return nil, err
	}
	c.mark = markOf(dir)
	if c.version == 2 {
		if err := c.delegateV2(); err != nil {
			return nil, fmt.Errorf("sandbox/oci: limit steps with cgroup v2: %w", err)
		}
	}
	if err := c.standBack(); err != nil {
		return nil, fmt.Errorf("sandbox/oci: let the server go before its steps: %w", err)
	}
	return c, nil
}

func markOf(dir string) string { return fmt.Sprintf("%.6x-", sha256.Sum256([]byte(dir))) }

// standBack gives all steps together half of the weight that others have by themselves. So when there is not enough for all, those
// who wait for the server do not wait for the steps. While nobody else wants it, steps have the whole processor.
func (c *cgroups) standBack() error {
	if c.version == 2 {
		return write(filepath.Join(c.unified, base), "cpu.weight", "50") // of 100
	}
	trunk := filepath.Join(c.controllers["cpu"], base)
	if err := os.MkdirAll(trunk, 0o755); err != nil {
		return err
	}
	return write(trunk, "cpu.shares", "512") // of 1024
}

// parseCgroups reads /proc/self/mountinfo and /proc/self/cgroup. See cgroups(7) and proc_pid_mountinfo(5).
func parseCgroups(mounts, own string) (*cgroups, error) {
	c := &cgroups{controllers: map[string]string{}, home: map[string]string{}}
	roots := map[string]string{} // by controller: what of its tree is mounted
	for line := range strings.Lines(mounts) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		switch r[0] {
		case "cgroup2":
			c.unified = l[4]
		case "cgroup":
			c.trees = append(c.trees, l[4])
			for option := range strings.SplitSeq(r[2], ",") {
				for _, name := range needed {
					if option == name {
						c.controllers[name], roots[name] = l[4], l[3]
					}
				}
			}
		}
	}
	c.version = 1
	if len(c.controllers) == 0 {
		if c.version = 2; c.unified == "" {
			return nil, errors.New("sandbox/oci: no cgroups are mounted, so no step could be limited: mount cgroup2 on /sys/fs/cgroup")
		}
		return c, nil
	}
	c.mixed = c.unified != ""
	for _, name := range needed {
		if c.controllers[name] == "" {
			return nil, fmt.Errorf("sandbox/oci: the cgroup controller %s is not mounted, so no step could be limited by it: mount it below /sys/fs/cgroup", name)
		}
	}
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for name := range strings.SplitSeq(f[1], ",") {
			if mount, ok := c.controllers[name]; ok {
				c.home[name] = filepath.Join(mount, strings.TrimPrefix(f[2], strings.TrimSuffix(roots[name], "/")))
			}
		}
	}
	return c, nil
}

func (c *cgroups) hybrid() bool { return c.mixed }

func (c *cgroups) mode() string {
	if c.version == 0 {
		return "without limits of memory and processors"
	}
	if c.hybrid() {
		return "cgroup v1 hybrid"
	}
	return "cgroup v" + strconv.Itoa(c.version)
}

// trunks are the folders in which groups may be.
func (c *cgroups) trunks() []string {
	if c.version == 0 {
		return nil
	}
	all := make([]string, 0, len(c.trees)+1)
	for _, tree := range c.trees {
		all = append(all, filepath.Join(tree, base))
	}
	if c.unified != "" {
		all = append(all, filepath.Join(c.unified, base))
	}
	return all
}

// left are the names of all groups of this Dir that are there.
func (c *cgroups) left() []string {
	var names []string
	for _, trunk := range c.trunks() {
		entries, _ := os.ReadDir(trunk) // most trees have none
		for _, e := range entries {
			if name, ours := strings.CutPrefix(e.Name(), c.mark); ours && e.IsDir() {
				names = append(names, name)
			}
		}
	}
	return names
}

// group is the cgroup of one step.
type group struct {
	c    *cgroups
	name string
	kept *kept // version 0: the namespace that its processes are in
	oom  int   // version 1: an eventfd that counts how often memory was used up; -1 when there is none
}

// usage is what the kernel counted in a group.
type usage struct {
	peak      int64 // bytes; 0 when it is not known
	oom, pids bool  // the limit of memory made the kernel kill; the limit of processes was reached
}

func (c *cgroups) group(name string, l sandbox.Limits) (*group, error) {
	g := &group{c: c, name: name, oom: -1}
	if c.version == 0 {
		return g, nil
	}
	limit := g.limitV1
	if c.version == 2 {
		limit = g.limitV2
	}
	if err := limit(l); err != nil {
		return nil, fmt.Errorf("make the cgroup: %w", errors.Join(err, g.remove()))
	}
	return g, nil
}

// runtimePath is for runtimes that make their own group below ours.
func (g *group) runtimePath() string { return "/" + filepath.Join(base, g.folder(), "box") }

// folder is the name of the group's folder in every tree.
func (g *group) folder() string { return g.c.mark + g.name }

func (g *group) usage(l sandbox.Limits) usage {
	switch g.c.version {
	case 0:
		return usage{}
	case 2:
		return g.usageV2(l)
	}
	return g.usageV1(l)
}

// kill ends every process of the group and of those below it, again until there is none: others may be born meanwhile,
// though never more than the limit allows.
func (g *group) kill() error {
	if g.c.version == 0 {
		if g.kept != nil {
			g.kept.end()
			g.kept = nil
		}
		return nil
	}
	if g.c.version == 2 {
		_ = write(g.v2(), "cgroup.kill", "1") // kernels before 5.14 do without
	}
	wait := time.Millisecond
	for range 200 {
		living := 0
		for _, trunk := range g.c.trunks() {
			for _, pid := range processes(filepath.Join(trunk, g.folder())) {
				if pid != os.Getpid() {
					living++
					_ = unix.Kill(pid, unix.SIGKILL) // gone already, or going
				}
			}
		}
		if living == 0 {
			return nil
		}
		<-time.After(wait)
		wait = min(2*wait, 50*time.Millisecond)
	}
	return fmt.Errorf("processes of the cgroup %s do not end although they were killed", g.name)
}

// processes are those in a group and all groups below it, as this server numbers them.
func processes(dir string) []int {
	var pids []int
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil // a group that has just gone has no processes
		}
		text, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for f := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// remove takes the group away everywhere. A group stays busy for a moment after its last process has ended.
func (g *group) remove() error {
	if g.oom >= 0 {
		_ = unix.Close(g.oom)
		g.oom = -1
	}
	for _, trunk := range g.c.trunks() {
		if err := removeTree(filepath.Join(trunk, g.folder())); err != nil {
			return fmt.Errorf("remove the cgroup: %w", err)
		}
	}
	return nil
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	wait := time.Millisecond
	for range 100 {
		if err = unix.Rmdir(dir); err == nil || err == unix.ENOENT {
			return nil
		} else if err != unix.EBUSY {
			break
		}
		<-time.After(wait)
		wait = min(2*wait, 50*time.Millisecond)
	}
	return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// number reads a file that holds one number; what cannot be read is 0.
func number(dir, file string) int64 {
	text, _ := os.ReadFile(filepath.Join(dir, file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// field reads one number of a file of "name number" lines; what cannot be read is 0.
func field(dir, file, name string) int64 {
	text, _ := os.ReadFile(filepath.Join(dir, file))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
