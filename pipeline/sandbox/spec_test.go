package sandbox

import (
	"slices"
	"testing"
	"time"
)

func TestTheLastValueOfAVariableCounts(t *testing.T) {
	t.Parallel()
	got := Spec{Env: []string{"A=1", "HOME=/x", "A=2"}}.Environ("/bin", "/home/build", "/tmp", "/run/secrets")
	if want := []string{"PATH=/bin", "HOME=/x", "TMPDIR=/tmp", "LANG=C.UTF-8", "CI=true", "A=2"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestNoLimitIsLeftOpen(t *testing.T) {
	t.Parallel()
	d := Limits{Wall: time.Hour, Memory: 1, PIDs: 2, CPUs: 3, Tmp: 4}
	if got := (Limits{}).Or(d); got != d {
		t.Errorf("%+v", got)
	}
	if got := (Limits{Wall: -1, Memory: -1, PIDs: 7, CPUs: -1, Tmp: -1}).Or(d); got != (Limits{Wall: time.Hour, Memory: 1, PIDs: 7, CPUs: 3, Tmp: 4}) {
		t.Errorf("%+v", got)
	}
}

func TestAVerdictTellsTheClassesApart(t *testing.T) {
	t.Parallel()
	l := Limits{Wall: time.Minute, Memory: 2 << 30, PIDs: 64}
	for _, c := range []struct {
		end     End
		outcome Outcome
		reason  string
	}{
		{End{}, Exited, ""},
		{End{OOM: true, PIDs: true}, Exited, ""},
		{End{ExitCode: 2}, Exited, "exit code 2"},
		{End{ExitCode: 139}, Exited, "exit code 139: ended by signal 11 (segmentation fault)"},
		{End{ExitCode: 255}, Exited, "exit code 255"},
		{End{ExitCode: 2, PIDs: true}, Exited, "exit code 2; it reached its limit of 64 processes"},
		{End{ExitCode: 137, OOM: true}, Resource, "ran out of memory: the limit is 2 GiB"},
		{End{ExitCode: 137, OOM: true, TimedOut: true}, TimedOut, "ran into its time limit of 1m0s"},
		{End{ExitCode: 137, TimedOut: true, Cancelled: true}, Cancelled, "it was cancelled"},
		{End{Cancelled: true}, Cancelled, "it was cancelled"},
	} {
		c.end.Limits = l
		if v := c.end.Verdict(); v.Outcome != c.outcome || v.Reason != c.reason || v.Passed() != (c.reason == "") {
			t.Errorf("%+v: %+v", c.end, v)
		}
	}
}
