package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// findDelegated is findCgroups for a server that is not root. It may use groups only where an administrator has handed it
// the one that it runs in, with all that is below: systemd does so for Delegate=. Whether that is so is found by trying.
// When it is not, there are no limits, and why says so; an error is none of that.
func findDelegated(dir string) (c *cgroups, why string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, "", fmt.Errorf("sandbox/oci: read the mounts: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, "", fmt.Errorf("sandbox/oci: read the server's cgroups: %w", err)
	}
	c, err = parseCgroups(string(mounts), string(own))
	if err != nil {
		return &cgroups{}, "this machine has no cgroups for it", nil
	}
	c.mark = markOf(dir)
	if err := c.takeOver(string(own)); err != nil {
		c.version = 0
		return c, "no cgroup is handed over to the server's user (" + box.OneLine(err.Error()) + ")", nil
	}
	return c, "", nil
}

// takeOver makes the server's own group, in each tree, the one below which all others are.
func (c *cgroups) takeOver(own string) error {
	if c.version == 2 {
		for line := range strings.Lines(own) {
			if path, is := strings.CutPrefix(strings.TrimSpace(line), "0::"); is {
				c.unified = filepath.Join(c.unified, path)
			}
		}
		return errors.Join(c.makeRoom(), c.delegateV2(), c.standBack())
	}
	c.trees = nil
	for _, name := range needed {
		if c.home[name] == "" {
			return fmt.Errorf("the server is in no group of %s", name)
		}
		c.controllers[name] = c.home[name]
		c.trees = append(c.trees, c.home[name])
		if err := os.MkdirAll(filepath.Join(c.home[name], base), 0o755); err != nil {
			return err
		}
	}
	return c.standBack()
}

// makeRoom puts the server and its deputy into a group below theirs: one that hands controllers down has no processes.
func (c *cgroups) makeRoom() error {
	leaf := filepath.Join(c.unified, "server")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return err
	}
	for _, pid := range []int{os.Getppid(), os.Getpid()} {
		if err := write(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}
