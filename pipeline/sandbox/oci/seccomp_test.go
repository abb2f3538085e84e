package oci

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
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
	for _, s := range systemCalls().Syscalls {
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

// crun keeps the filter that it loads in a file; what boxes with the compiled one load is what it makes of the profile.
// That the kernel refuses what the profile refuses is for the escapes of sandboxtest to prove: they run with this filter.
func TestTheCompiledFilterIsWhatTheProfileCompilesTo(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{Runtime: "crun"})
	if s.filter == nil {
		t.Fatal("crun compiles the filter anew for each step")
	}
	fromProfile := *s
	fromProfile.filter = nil
	loaded := func(s *Sandbox, id string) (filter []byte) {
		ws := workspace(t, s)
		script, look, done, err := s.held(ws, func(pid int) {
			var err error
			if filter, err = s.readFilter(pid, id); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		v, err := s.run(t.Context(), sandbox.Spec{ID: id, Script: script, Workspace: ws, Output: io.Discard}, look)
		if err != nil || !v.Passed() {
			t.Errorf("%+v, %v", v, err)
		}
		return filter
	}
	compiled, fresh := loaded(s, "compiled"), loaded(&fromProfile, "fresh")
	if !bytes.Equal(compiled, fresh) || !bytes.Equal(compiled, s.filter) {
		t.Errorf("%d bytes are kept, %d loaded, and the profile makes %d", len(s.filter), len(compiled), len(fresh))
	}
}
