package sandboxtest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// limits is what isolated adapters bound.
func limits(t *testing.T, c Case) {
	bounded := func(name string, test func(*testing.T)) {
		if !c.Unlimited || !unbounded[name] {
			t.Run(name, test)
		}
	}
	bounded("WhatUsesUpItsMemoryIsToldSo", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "tail /dev/zero\n") // which keeps the one line that it has read so far
		s.spec.Limits.Memory = 32 << 20
		v := s.run(t)
		if v.Outcome != sandbox.Resource || v.ExitCode != 137 || !strings.Contains(v.Reason, "memory") || v.Memory < 16<<20 || v.Memory > 33<<20 {
			t.Errorf("%+v; output: %.300q", v, s.output.String())
		}
	})
	bounded("WhatCopesWithItsMemoryLimitPasses", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "tail /dev/zero || echo coped\n")
		s.spec.Limits.Memory = 32 << 20
		if c.OwnKernel { // all of it is one process of this machine
			if v := s.run(t); v.Outcome != sandbox.Resource {
				t.Errorf("%+v", v)
			}
			return
		}
		if got := s.passes(t); !strings.HasSuffix(got, "coped\n") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("FilesInMemoryAreBoundToo", func(t *testing.T) {
		t.Parallel()
		for _, place := range []string{"/tmp", "$HOME", "/dev/shm"} {
			s := c.step(t, "head -c 64M /dev/zero >\""+place+"/x\"\n")
			s.spec.Limits.Tmp = 16 << 20
			if s.exits(t, 1); !strings.Contains(s.output.String(), "No space left") {
				t.Errorf("%s: %q", place, s.output.String())
			}
		}
	})
	bounded("FilesInMemoryCountAsMemory", func(t *testing.T) {
		t.Parallel()
		for _, place := range []string{"/tmp", "$HOME", "/dev/shm"} {
			s := c.step(t, "head -c 256M /dev/zero >\""+place+"/x\"\n")
			s.spec.Limits.Memory = 32 << 20
			if v := s.run(t); v.Outcome != sandbox.Resource {
				t.Errorf("%s: %+v", place, v)
			}
		}
	})
	t.Run("WhatFillsTheDiskIsEndedAndToldSo", func(t *testing.T) {
		t.Parallel()
		for script, want := range map[string]string{
			"i=0; while :; do head -c 1M /dev/zero >f$i; i=$((i+1)); done\n": "16 MiB",          // many files
			"i=0; while mkdir $i $i/a $i/b $i/c $i/d; do i=$((i+1)); done\n": "2000 files",      // that hold nothing
			"head -c 64M /dev/zero >f\n":                                     "limit is 16 MiB", // one
		} {
			s := c.step(t, script)
			s.spec.Limits.Disk, s.spec.Limits.Files = 16<<20, 2000
			if v := s.run(t); v.Outcome != sandbox.Resource || !strings.Contains(v.Reason, want) {
				t.Errorf("%q: %+v; output: %.300q", script, v, s.output.String())
			}
		}
	})
	t.Run("WhatStaysBelowItsDiskLimitPasses", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "i=0; while [ $i -lt 40 ]; do head -c 1M /dev/zero >f; rm f; i=$((i+1)); done; sleep 0.5\n")
		s.spec.Limits.Disk, s.spec.Limits.Files = 16<<20, 100
		s.passes(t)
	})
	t.Run("ProcessesAreCountedAndTheLimitIsMentioned", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, probeCommand("processes"))
		c.layProbe(t, s)
		s.spec.Limits.PIDs = 40
		if c.OwnKernel { // its own threads count there, and it dies when it is refused one: memory bounds it
			s.passes(t)
			return
		}
		v := s.exits(t, 1)
		if !c.Unlimited && !strings.Contains(v.Reason, "limit of 40 processes") || !strings.Contains(s.output.String(), "refused") {
			t.Errorf("%+v; output: %q", v, s.output.String())
		}
	})
	t.Run("AForkBombStaysInItsBox", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "bomb() { bomb | bomb & }; bomb; sleep 1000\n")
		s.spec.Limits.PIDs, s.spec.Limits.Wall = 64, 700e6
		if v := s.run(t); v.Passed() || v.Outcome == sandbox.Cancelled {
			t.Errorf("%+v", v)
		}
	})
	t.Run("OpenFilesAreBounded", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "ulimit -n\n"+probeCommand("files"))
		c.layProbe(t, s)
		s.exits(t, 1)
		got := strings.Fields(s.output.String())
		most, _ := strconv.Atoi(got[0])
		had, _ := strconv.Atoi(got[len(got)-1])
		if !strings.Contains(s.output.String(), "too many open files") || most == 0 || had > most || had < most-20 {
			t.Errorf("its limit is %d: %q", most, s.output.String())
		}
	})
	t.Run("OrphansThatHaveEndedCountNoMore", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "i=0; while [ $i -lt 150 ]; do setsid -f true; i=$((i+1)); done; echo done\n")
		s.spec.Limits.PIDs = 60
		if got := s.passes(t); got != "done\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("WhatNobodyWaitedForIsGone", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, probeCommand("zombies"))
		c.layProbe(t, s)
		if s.exits(t, 3); s.output.String() != "30 zombies\n" {
			t.Errorf("got %q", s.output.String())
		}
		if left := zombiesOf(s.spec.ID); len(left) > 0 {
			t.Errorf("zombies are left: %q", left)
		}
	})
	t.Run("CoreFilesAreOffAndFilesAreNoMoreThanTheServersOwn", func(t *testing.T) {
		t.Parallel()
		got := strings.Fields(c.step(t, "ulimit -c; ulimit -Hc; ulimit -n; ulimit -Hn\n").passes(t))
		if len(got) != 4 || got[0] != "0" || got[1] != "0" || got[2] != got[3] || got[3] == "unlimited" {
			t.Errorf("got %q", got)
		}
	})
	bounded("ItSeesItsOwnMemoryLimit", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes\n")
		s.spec.Limits.Memory = 64 << 20
		if got := s.passes(t); got != "67108864\n" {
			t.Errorf("got %q", got)
		}
	})
	bounded("ItSeesItsOwnShareOfTheProcessors", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us\n")
		s.spec.Limits.CPUs = 0.5
		if got := s.passes(t); got != "50000\n" && got != "50000 100000\n" {
			t.Errorf("got %q", got)
		}
	})
}
