package oci

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
)

// A server that is not root limits steps as one that is, when the group that it runs in is its own. Here root hands one over,
// as systemd does for Delegate=.
func TestTheDeputyKeepsTheContractOfLimitsInAGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	if !asPlainUser(t, handOver(t)) {
		return
	}
	d := probeAlone(t)
	if i := d.Isolation(); !i.Limited || !i.FitForStrangers() || i.Unfit() != "" {
		t.Fatalf("%+v", i)
	}
	sandboxtest.Run(t, sandboxtest.Case{
		Sandbox: d, Commands: true, Isolated: true, Workspace: func(t testing.TB) string { return t.TempDir() }, Hidden: []string{d.options.Dir},
	})
}

// handOver starts the command in a group that belongs to the plain user.
func handOver(t *testing.T) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		c, err := findCgroups(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		trees := []string{c.unified}
		if c.version == 1 {
			trees = nil
			for _, name := range needed {
				trees = append(trees, c.controllers[name])
			}
		}
		enter := ""
		for _, tree := range trees {
			dir := filepath.Join(tree, "conveyor-test-"+strconv.Itoa(os.Getpid()))
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := removeTree(dir); err != nil {
					t.Error(err)
				}
			})
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			owned := []error{os.Chown(dir, plain, plain)}
			for _, file := range files {
				switch filepath.Base(file) {
				case "cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control":
					owned = append(owned, os.Chown(file, plain, plain))
				}
			}
			if err := errors.Join(owned...); err != nil {
				t.Fatal(err)
			}
			enter += "echo $$ >" + filepath.Join(dir, "cgroup.procs") + "; "
		}
		// The shell enters the groups as root, and becomes the user with the program.
		cmd.Path = "/bin/sh"
		self, err := os.Open("/proc/self/exe") // the user may not pass through the folders that it lies in
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = self.Close() })
		cmd.ExtraFiles = []*os.File{self}
		cmd.Args = append([]string{"sh", "-ec", enter + `exec setpriv --reuid=54321 --regid=54321 --clear-groups "$@"`, "sh", "/proc/self/fd/3"}, cmd.Args[1:]...)
		cmd.SysProcAttr = nil
	}
}
