package oci

import (
	"fmt"
	"os"
	"path/filepath"
)

// compiledFilter is the annotation by which crun takes a filter that is compiled already.
// https://github.com/containers/crun/blob/main/crun.1.md
const compiledFilter = "run.oci.seccomp_bpf_data"

// readFilter takes over what crun has compiled from the profile for a box that stands: the file of which it then loads
// the filter, in the folder of its state. No step has run in the box yet, and none can reach that folder.
func (s *Sandbox) readFilter(pid int, id string) ([]byte, error) {
	const instruction = 8 // bytes
	program, err := os.ReadFile(filepath.Join(fmt.Sprintf("/proc/%d/root", pid), s.host.stage+stateDir, id, "seccomp.bpf"))
	if err != nil {
		return nil, err
	}
	if len(program) == 0 || len(program)%instruction != 0 {
		return nil, fmt.Errorf("%d bytes are no filter", len(program))
	}
	return program, nil
}
