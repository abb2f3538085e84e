package oci

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func TestTheLayoutsOfCgroupsAreTold(t *testing.T) {
	t.Parallel()
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	const v1 = "33 31 0:30 /docker/1 /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" +
		"40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
	const unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	const own = "8:pids:/user\n4:memory:/docker/1/sub\n3:cpu,cpuacct:/docker/1\n1:name=systemd:/\n0::/\n"
	for _, c := range []struct{ mounts, mode string }{{v2, "cgroup v2"}, {v1, "cgroup v1"}, {v1 + unified, "cgroup v1 hybrid"}} {
		got, err := parseCgroups(c.mounts, own)
		if err != nil || got.mode() != c.mode {
			t.Errorf("%v, %v, want %s", got, err, c.mode)
			continue
		}
		if got.version == 1 && (got.home["memory"] != "/sys/fs/cgroup/memory/sub" || got.home["cpu"] != "/sys/fs/cgroup/cpu,cpuacct" || got.home["pids"] != "/sys/fs/cgroup/pids/user") {
			t.Errorf("the server's own groups are taken to be %q", got.home)
		}
	}
	for _, mounts := range []string{"", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"} {
		if _, err := parseCgroups(mounts, own); err == nil {
			t.Errorf("limits would not be in force with %q", mounts)
		}
	}
}

// The files of version 2 are ordinary ones here: machines with version 1 cannot have both. What is proven is which files
// are written and read, not that a kernel takes them.
func TestVersion2IsWrittenAndRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	c := &cgroups{version: 2, mark: "x-", unified: root}
	dir := filepath.Join(root, base, "x-one")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memory.max", "memory.swap.max", "pids.max", "cpu.max"} {
		put(t, dir, name, "")
	}
	put(t, filepath.Dir(dir), "cpu.weight", "")
	if err := c.standBack(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(filepath.Dir(dir), "cpu.weight")); strings.TrimSpace(string(got)) != "50" {
		t.Errorf("all steps together weigh %q", got)
	}
	g := &group{c: c, name: "one", oom: -1}
	l := sandbox.Limits{Memory: 1 << 20, PIDs: 10, CPUs: 1.5}
	if err := os.Rename(dir, dir+"-kept"); err != nil { // the kernel makes the files with the folder; a plain folder has none
		t.Fatal(err)
	}
	if err := g.limitV2(l); err == nil {
		t.Error("a group without files for its limits was taken")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"-kept", dir); err != nil {
		t.Fatal(err)
	}
	if err := g.setV2(l); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.max": "1048576", "memory.swap.max": "0", "pids.max": "10", "cpu.max": "150000 100000"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if u := g.usageV2(l); u != (usage{}) {
		t.Errorf("%+v", u)
	}
	put(t, dir, "memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n")
	put(t, dir, "memory.peak", "1048576\n")
	put(t, dir, "pids.events", "max 3\n")
	if u := g.usageV2(l); u != (usage{peak: 1 << 20, oom: true, pids: true}) {
		t.Errorf("%+v", u)
	}
}

func TestAllStepsTogetherWeighLessThanTheServer(t *testing.T) {
	t.Parallel()
	c, err := findCgroups(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	trunk, file, want := filepath.Join(c.controllers["cpu"], base), "cpu.shares", int64(512)
	if c.version == 2 {
		trunk, file, want = filepath.Join(c.unified, base), "cpu.weight", 50
	}
	if got := number(trunk, file); got != want {
		t.Errorf("%s is %d, want %d", file, got, want)
	}
}

// Even machines with version 1 have a tree of version 2, though without the controllers of the limits.
func TestVersion2HoldsAndKillsWhatIsBornInIt(t *testing.T) {
	t.Parallel()
	own, err := findCgroups(t.TempDir())
	if err != nil || own.unified == "" {
		t.Fatalf("this test needs a mounted cgroup2 (mount -t cgroup2 none /sys/fs/cgroup/unified): %v", err)
	}
	c := &cgroups{version: 2, mark: own.mark, unified: own.unified}
	g := &group{c: c, name: "one", oom: -1}
	if err := os.MkdirAll(filepath.Join(g.v2(), "box"), 0o755); err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	for _, path := range []string{g.v2(), filepath.Join(g.v2(), "box")} {
		within := &group{c: c, name: strings.TrimPrefix(path, filepath.Join(c.unified, base, c.mark)), oom: -1}
		cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; setsid sleep 1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		leave, err := (&Sandbox{cgroups: c, engine: engine{joins: true}}).enterGroup(within, cmd.SysProcAttr)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(cmd.Start(), leave()); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	if living := processes(g.v2()); len(living) < 2 {
		t.Errorf("only %d processes were born in it", len(living))
	}
	if err := g.kill(); err != nil {
		t.Error(err)
	}
	for _, cmd := range all {
		if _ = cmd.Wait(); !signalled(cmd.ProcessState) {
			t.Errorf("it ended with %v", cmd.ProcessState)
		}
	}
	if err := g.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.v2()); err == nil {
		t.Error("the group is left")
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheServerItselfIsNeverKilled(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	g, err := s.cgroups.group("mine", sandbox.Limits{Memory: 64 << 20, PIDs: 100, CPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s.cgroups.version == 1 {
		err = onOwnThread(func() error {
			leave, err := g.enterV1()
			if err != nil {
				return err
			}
			err = g.kill() // with a thread of the server in it
			return firstOf(leave(), err)
		})
	}
	if err != nil {
		t.Error(err)
	}
	if err := g.remove(); err != nil {
		t.Error(err)
	}
}
