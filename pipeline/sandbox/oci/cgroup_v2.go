package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// https://docs.kernel.org/admin-guide/cgroup-v2.html

func (g *group) v2() string { return filepath.Join(g.c.unified, base, g.folder()) }

func (g *group) limitV2(l sandbox.Limits) error {
	err := os.Mkdir(g.v2(), 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err = g.c.delegateV2(); err == nil {
			err = os.Mkdir(g.v2(), 0o755)
		}
	}
	if err != nil {
		return err
	}
	return g.setV2(l)
}

func (g *group) setV2(l sandbox.Limits) error {
	for _, set := range [][2]string{
		{"memory.max", strconv.FormatInt(l.Memory, 10)},
		{"pids.max", strconv.FormatInt(l.PIDs, 10)},
		{"cpu.max", fmt.Sprintf("%d %d", max(1000, int64(l.CPUs*cpuPeriod)), cpuPeriod)},
	} {
		if err := write(g.v2(), set[0], set[1]); err != nil {
			return err
		}
	}
	if err := write(g.v2(), "memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // without accounting of swap there is no such file
	}
	return nil
}

// delegateV2 makes the base of all groups and hands the controllers down to it.
func (c *cgroups) delegateV2() error {
	trunk := filepath.Join(c.unified, base)
	if err := os.MkdirAll(trunk, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{c.unified, trunk} {
		for _, name := range needed {
			if err := write(dir, "cgroup.subtree_control", "+"+name); err != nil {
				return fmt.Errorf("hand down the controller %s (inside a container, run the server with the host's cgroups and move all processes out of their root): %w", name, err)
			}
		}
	}
	return nil
}

func (g *group) usageV2(l sandbox.Limits) usage {
	return usage{
		peak: number(g.v2(), "memory.peak"), // since 5.19
		oom:  field(g.v2(), "memory.events", "oom_kill") > 0,
		pids: field(g.v2(), "pids.events", "max") > 0 || number(g.v2(), "pids.peak") >= l.PIDs,
	}
}
