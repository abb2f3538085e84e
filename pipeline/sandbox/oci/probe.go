package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// try runs a step in the full configuration and looks at what was really in force for it.
func (s *Sandbox) try(ctx context.Context) error {
	unlock, err := lock(s.options.Dir, unix.LOCK_SH) // no other server takes the workspace for a leftover
	if err != nil {
		return err
	}
	defer unlock()
	ws, err := os.MkdirTemp(s.options.Dir, "probe-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(ws) }()
	if err := os.Chown(ws, s.options.FirstID+userID, s.options.FirstID+userID); err != nil {
		return err
	}
	var filter []byte
	look := func(pid int) { filter, _ = s.readFilter(pid, filepath.Base(ws)) } // without it each step compiles its own
	if s.engine.name != "crun" {
		look = nil
	}
	if err := s.tryOnce(ctx, ws, look); err != nil || filter == nil {
		return err
	}
	// The compiled filter is used when it is as much in force as the profile was.
	s.filter = filter
	if err := s.tryOnce(ctx, ws, nil); err != nil {
		s.options.Log.Warn("crun does not take a compiled filter: it compiles it for each step", "err", err)
		s.filter = nil
	}
	return nil
}

func (s *Sandbox) tryOnce(ctx context.Context, ws string, look func(pid int)) error {
	var out strings.Builder
	v, err := s.run(ctx, sandbox.Spec{
		ID:        filepath.Base(ws),
		Script:    "true\nwhile read -r line; do printf '%s\\n' \"$line\"; done </proc/self/status\n",
		Workspace: ws,
		Output:    &out,
		Limits:    sandbox.Limits{Wall: time.Minute},
	}, look)
	switch {
	case err != nil:
		return err
	case !v.Passed():
		return fmt.Errorf("`true` did not pass in it: %s: %.300s", v.Reason, out.String())
	case s.engine.name == "runsc":
		return nil // the status below is written by gVisor's kernel, and says nothing of this machine's
	case v.Memory == 0 && s.cgroups.version == 1:
		return errors.New("its processes were not held by their memory limit")
	}
	return inForce(out.String())
}

// inForce reads /proc/self/status as a step saw it.
func inForce(status string) error {
	for _, want := range [][2]string{
		{"Uid:", fmt.Sprint(userID)}, {"CapInh:", "0000000000000000"}, {"CapPrm:", "0000000000000000"}, {"CapEff:", "0000000000000000"},
		{"CapBnd:", "0000000000000000"}, {"CapAmb:", "0000000000000000"}, {"NoNewPrivs:", "1"}, {"Seccomp:", "2"},
	} {
		found := false
		for line := range strings.Lines(status) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == want[0] {
				found = f[1] == want[1]
			}
		}
		if !found {
			return fmt.Errorf("a step in it did not have %s %s", want[0], want[1])
		}
	}
	return nil
}
