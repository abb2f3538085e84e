package oci

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// engine is an OCI runtime of this machine.
type engine struct {
	name, path, version string

	// joins says that the runtime is started inside the step's cgroup and leaves cgroups alone. That is exact (the
	// kernel counts in the group that we read) and saves crun a third of its time. runc cannot: it makes a group of
	// its own below ours.
	joins bool

	// copy is the program, sealed; nil where the file itself is run.
	copy *os.File

	// says is the file on which the first process says that the box stands. It is its input, where a runtime hands
	// that down as it is; runc puts a pipe of its own between.
	says int
}

func findEngines(wanted string) ([]engine, error) {
	names := []string{wanted}
	switch wanted {
	case "":
		names = []string{"crun", "runc"}
	case "crun", "runc", "runsc":
	default:
		return nil, fmt.Errorf("sandbox/oci: %q is no runtime that is known: choose crun, runc or runsc", wanted)
	}
	var found []engine
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.Command(path, "--version").Output()
		if err != nil {
			continue
		}
		e := engine{name: name, path: path, version: versionIn(string(out)), joins: true}
		switch name {
		case "crun":
			e.copy, _ = sealed(path) // without one, crun makes its own at each start
		case "runc":
			e.joins, e.says = false, 3
		}
		found = append(found, e)
	}
	if found == nil && wanted == "" {
		return nil, errors.New("sandbox/oci: neither crun nor runc is installed: install crun (Debian, Ubuntu: apt-get install crun)")
	}
	if found == nil {
		return nil, fmt.Errorf("sandbox/oci: %s is not installed, or does not run", wanted)
	}
	return found, nil
}

// versionIn takes "1.8.1" from "crun version 1.8.1\ncommit: …".
func versionIn(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	if f := strings.Fields(first); len(f) > 2 {
		return f[2]
	}
	return strings.TrimSpace(first)
}

// Paths in the throw-away mount namespace of a run, below the folder that the bundle is moved to.
const (
	configFile = "/config.json"
	stateDir   = "/state"
	rootDir    = "/rootfs"
)

// program is the path of what is executed.
func (e engine) program() string {
	if e.copy == nil {
		return e.path
	}
	return fmt.Sprintf("/proc/self/fd/%d", e.copy.Fd())
}

// close gives the sealed copy up.
func (e engine) close() {
	if e.copy != nil {
		_ = e.copy.Close()
	}
}

// args is the command line. Nothing in it comes from a plan: an id has been checked, and the rest is ours.
func (e engine) args(bundle, id string) []string {
	args := []string{e.path, "--root", bundle + stateDir}
	switch e.name {
	case "crun":
		args = append(args, "--cgroup-manager", "disabled")
	case "runsc":
		args = append(args, "--ignore-cgroups", "--network", "none", "--platform", "systrap")
	}
	args = append(args, "run", "--bundle", bundle)
	if e.says > 2 {
		args = append(args, "--preserve-fds", "1")
	}
	if e.name == "runsc" {
		id = "step" // it names a socket, whose path may not be long; no two runs share a folder
	}
	return append(args, id)
}
