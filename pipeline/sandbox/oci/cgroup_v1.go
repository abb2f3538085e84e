package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// https://docs.kernel.org/admin-guide/cgroup-v1/memory.html, …/pids.html, https://docs.kernel.org/scheduler/sched-bwc.html

const cpuPeriod = 100000 // microseconds, the kernel's own

func (g *group) v1(controller string) string {
	return filepath.Join(g.c.controllers[controller], base, g.folder())
}

func (g *group) limitV1(l sandbox.Limits) error {
	for _, name := range needed {
		if err := os.MkdirAll(filepath.Dir(g.v1(name)), 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(g.v1(name), 0o755); err != nil {
			return err
		}
	}
	memory := g.v1("memory")
	_ = write(memory, "memory.use_hierarchy", "1") // kernels since 5.11 know nothing else
	bytes := strconv.FormatInt(l.Memory, 10)
	if err := write(memory, "memory.limit_in_bytes", bytes); err != nil {
		return err
	}
	// Without accounting of swap there is no such file; then the least that can be done is not to use it.
	if err := write(memory, "memory.memsw.limit_in_bytes", bytes); errors.Is(err, fs.ErrNotExist) {
		_ = write(memory, "memory.swappiness", "0")
	} else if err != nil {
		return err
	}
	if err := write(g.v1("pids"), "pids.max", strconv.FormatInt(l.PIDs, 10)); err != nil {
		return err
	}
	if err := write(g.v1("cpu"), "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)); err != nil {
		return err
	}
	if err := write(g.v1("cpu"), "cpu.cfs_quota_us", strconv.FormatInt(max(1000, int64(l.CPUs*cpuPeriod)), 10)); err != nil {
		return err
	}
	return g.watchMemory()
}

// watchMemory asks to be told when memory is used up, here or in a group that a runtime makes below: that one is gone,
// with all that it counted, before it could be read.
func (g *group) watchMemory() error {
	control, err := os.Open(filepath.Join(g.v1("memory"), "memory.oom_control"))
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	if g.oom, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	return write(g.v1("memory"), "cgroup.event_control", fmt.Sprintf("%d %d", g.oom, control.Fd()))
}

// enterV1 moves the calling thread into the group, so that what it starts is born there; the returned function moves it back.
func (g *group) enterV1() (leave func() error, err error) {
	leave = func() error {
		for _, name := range needed {
			if err := write(g.c.home[name], "tasks", "0"); err != nil {
				return fmt.Errorf("leave the cgroup: %w", err)
			}
		}
		return nil
	}
	for _, name := range needed {
		// "0" is the thread that writes. The kernel has a short way for it, and none for a number.
		if err := write(g.v1(name), "tasks", "0"); err != nil {
			return nil, fmt.Errorf("enter the cgroup: %w", errors.Join(err, leave()))
		}
	}
	return leave, nil
}

func (g *group) usageV1(l sandbox.Limits) usage {
	memory, pids := g.v1("memory"), g.v1("pids")
	u := usage{
		peak: number(memory, "memory.max_usage_in_bytes"),
		oom:  field(memory, "memory.oom_control", "oom_kill") > 0,
		pids: field(pids, "pids.events", "max") > 0 || number(pids, "pids.peak") >= l.PIDs,
	}
	count := make([]byte, 8)
	if n, err := unix.Read(g.oom, count); err == nil && n == len(count) {
		u.oom = true
	}
	return u
}
