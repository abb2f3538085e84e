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
	uid, gid := s.Owner()
	if err := os.Chown(ws, uid, gid); err != nil {
		return err
	}
	if s.engine.name != "crun" {
		return s.tryOnce(ctx, ws, status, nil)
	}
	var filter []byte
	script, look, done, err := s.held(ws, func(pid int) { filter, _ = s.readFilter(pid, filepath.Base(ws)) })
	if err != nil {
		return err
	}
	defer done()
	if err := s.tryOnce(ctx, ws, script+status, look); err != nil || filter == nil { // without it each step compiles its own
		return err
	}
	// The compiled filter is used when it is as much in force as the profile was.
	s.filter = filter
	if err := s.tryOnce(ctx, ws, status, nil); err != nil {
		s.options.Log.Warn("crun does not take a compiled filter: it compiles it for each step", "err", err)
		s.filter = nil
	}
	return nil
}

// status is a script that prints what is in force for it.
const status = "true\nwhile read -r line; do printf '%s\\n' \"$line\"; done </proc/self/status\n"

func (s *Sandbox) tryOnce(ctx context.Context, ws, script string, look func(pid int)) error {
	var out strings.Builder
	v, err := s.run(ctx, sandbox.Spec{
		ID:        filepath.Base(ws),
		Script:    script,
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

// held is the beginning of a script that goes on when look has looked at the runtime's process: it reads a line from a
// named pipe in its workspace, so that the box stands meanwhile.
func (s *Sandbox) held(ws string, look func(pid int)) (script string, _ func(pid int), done func(), err error) {
	const name = "gate"
	path := filepath.Join(ws, name)
	uid, gid := s.Owner()
	if err := errors.Join(unix.Mkfifo(path, 0o600), os.Chown(path, uid, gid)); err != nil {
		return "", nil, nil, err
	}
	gate, err := os.OpenFile(path, os.O_RDWR, 0) // for both directions: then neither side waits for the other to open it
	if err != nil {
		return "", nil, nil, err
	}
	open := func(pid int) {
		look(pid)
		_, _ = gate.WriteString("go\n")
	}
	return "read -r go <" + name + "\n", open, func() { _ = gate.Close() }, nil
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
