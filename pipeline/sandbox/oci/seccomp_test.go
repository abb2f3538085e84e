package oci

import (
	"bytes"
	"io"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

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
