package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheLastValueOfAVariableCounts(t *testing.T) {
	t.Parallel()
	got := Spec{Env: []string{"A=1", "HOME=/x", "A=2"}, Paths: []string{"P=web/out"}}.Environ("/bin", "/home/build", "/tmp", "/run/secrets", "/workspace")
	if want := []string{"PATH=/bin", "HOME=/x", "TMPDIR=/tmp", "LANG=C.UTF-8", "CI=true", "A=2", "P=/workspace/web/out"}; !slices.Equal(got, want) {
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

func TestNothingIsMoreThanTheMost(t *testing.T) {
	t.Parallel()
	most := Limits{Memory: 10, PIDs: 20, CPUs: 2}
	if got := (Limits{Wall: 1, Memory: 11, PIDs: 21, CPUs: 2.5, Tmp: 1}).Within(most); got != (Limits{Wall: 1, Memory: 10, PIDs: 20, CPUs: 2, Tmp: 1}) {
		t.Errorf("%+v", got)
	}
	if got := (Limits{Memory: 1, PIDs: 2, CPUs: 0.5}).Within(most); got != (Limits{Memory: 1, PIDs: 2, CPUs: 0.5}) {
		t.Errorf("%+v", got)
	}
}

func TestASpecThatLeavesTheWorkspaceIsNotRun(t *testing.T) {
	t.Parallel()
	for _, s := range []Spec{{Dir: ".."}, {Dir: "/etc"}, {Dir: "a/../../b"}, {Dir: "a\x00"}, {Paths: []string{"A=../x"}}, {Paths: []string{"A"}}, {Paths: []string{"PATH=x"}}, {Shell: []string{""}}, {Shell: []string{"a\x00"}}} {
		s.ID, s.Workspace, s.Output = "id", "/w", &strings.Builder{}
		if s.Check() == nil {
			t.Errorf("%+v is let pass", s)
		}
	}
	if err := (Spec{ID: "id", Workspace: "/w", Output: &strings.Builder{}, Dir: "a/b", Paths: []string{"A=x/y"}, Shell: []string{"sh"}}).Check(); err != nil {
		t.Error(err)
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
