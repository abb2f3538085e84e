package box

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheTwoTerminalRequestsAreTheOnlyOnesLeftOut(t *testing.T) {
	t.Parallel()
	rules := otherThan([2]uint64{unix.TIOCSTI, unix.TIOCLINUX})
	passes := func(request uint64) bool {
		for _, r := range rules {
			if request&r.Value == r.ValueTwo {
				return true
			}
		}
		return false
	}
	for _, request := range []uint64{unix.TIOCSTI, unix.TIOCLINUX} {
		for _, high := range []uint64{0, 1 << 32, 1 << 63, 0xffffffff << 32} {
			if passes(request | high) {
				t.Errorf("%#x passes", request|high)
			}
		}
	}
	for request := range uint64(1 << 17) {
		if want := request != unix.TIOCSTI && request != unix.TIOCLINUX; passes(request) != want {
			t.Errorf("%#x: %v", request, !want)
		}
	}
	for bit := range 32 {
		if request := uint64(unix.TIOCSTI ^ 1<<bit); request != unix.TIOCLINUX && !passes(request) {
			t.Errorf("%#x does not pass", request)
		}
	}
}

func TestNoCallIsOnTwoLists(t *testing.T) {
	t.Parallel()
	var all []string
	for _, s := range SystemCalls().Syscalls {
		if len(s.Args) == 0 {
			all = append(all, s.Names...)
		} else if slices.Contains(allowed, s.Names[0]) {
			t.Errorf("%s is allowed whatever its arguments are", s.Names[0])
		}
	}
	slices.Sort(all)
	if n := len(all); n != len(slices.Compact(all)) {
		t.Error("a call is named twice")
	}
}
