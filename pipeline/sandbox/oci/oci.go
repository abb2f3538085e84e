// Package oci runs steps in namespaces of this machine with an OCI runtime: crun, runc or gVisor's runsc.
//
// A step sees the host's tools read-only, its workspace, and nothing else: no network but a way out that it may be given
// (network.go), no capability, no secret of the host, no other step. It never runs a step that it could not shut in; when Probe finds no way, there is no Sandbox.
//
// What it is made of, in the order of a run: a cgroup with the limits (cgroup.go), a throw-away mount namespace in which
// the bundle is laid out in memory (thread.go, root.go, etc.go, bundle.go, seccomp.go), a runtime in a process namespace
// that dies with the server (keeper.go, runtime.go), and the end of it all (run.go). Start reading at Run in run.go.
//
// All of that wants root. A server that is not root has a deputy, which is root of a user namespace (deputy.go, errand.go).
package oci

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Options say where and how steps run.
type Options struct {
	Runtime string         // "crun", "runc" or "runsc"; empty takes crun or else runc, the first that works
	Dir     string         // where running steps are noted, private to the server; empty folders only, no data
	Tools   []string       // further folders or files of the host that steps may read, at the same path: "/opt/go"
	FirstID int            // as root: first of the 65536 user and group ids of this machine that stand for those in the box; 100000 when 0
	Limits  sandbox.Limits // for specs that leave a limit open; sensible ones when zero
	Log     *slog.Logger
}

// Sandbox runs steps with one runtime. Close it when no step runs any more.
type Sandbox struct {
	options   Options
	engine    engine
	cgroups   *cgroups
	keeper    *keeper
	host      *host
	isolation sandbox.Isolation
	alone     bool   // the server is not root: this one runs in its deputy, as root of a user namespace that has one id
	why       string // why there are no cgroups
	filter    []byte // the system call filter as crun has compiled it from the profile; nil where the runtime compiles it for each step
}

// Ids inside the box.
const (
	idCount = 65536
	userID  = 1000 // the step's; nothing in the box runs as root
)

// Probe tries the runtimes and returns a Sandbox with the first that runs a step in the full configuration, after ending
// what a server that was killed has left in Dir. Its error is for the operator: what was tried, why it failed, what to install.
func Probe(ctx context.Context, o Options) (*Sandbox, error) {
	o = o.filled()
	if o.FirstID < idCount || o.FirstID > 1<<32-1-2*idCount {
		return nil, fmt.Errorf("sandbox/oci: %d cannot be the first id of steps: choose one that no user of this machine has, from %d on", o.FirstID, idCount)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("sandbox/oci: the server is not root: its steps are shut in by a deputy")
	}
	return open(ctx, o, false)
}

// filled has what was left out.
func (o Options) filled() Options {
	if o.FirstID == 0 {
		o.FirstID = 100000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.Or(sandbox.Limits{
		Wall: time.Hour, Memory: 4 << 30, PIDs: 4096, CPUs: float64(runtime.NumCPU()), Tmp: 1 << 30,
		Disk: 20 << 30, Files: 2_000_000,
	})
	return o
}

// open is Probe as root: of this machine, or alone, of a user namespace.
func open(ctx context.Context, o Options, alone bool) (*Sandbox, error) {
	o = o.filled()
	candidates, err := findEngines(o.Runtime)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, "runs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("sandbox/oci: make the folder of running steps: %w", err)
		}
	}
	var groups *cgroups
	why := ""
	if alone {
		groups, why, err = findDelegated(o.Dir)
	} else {
		groups, err = findCgroups(o.Dir)
	}
	if err != nil {
		return nil, err
	}
	if err := endLeftovers(ctx, o.Dir, groups, o.Log); err != nil {
		return nil, err
	}
	host, err := readHost(o)
	if err != nil {
		return nil, err
	}
	keeper := &keeper{}
	var failures []string
	for i, e := range candidates {
		s := &Sandbox{options: o, engine: e, cgroups: groups, keeper: keeper, host: host, alone: alone, why: why}
		err := s.try(ctx)
		if err == nil {
			s.isolation = s.describe()
			for _, other := range candidates[i+1:] {
				other.close()
			}
			return s, nil
		}
		e.close()
		failures = append(failures, fmt.Sprintf("%s failed: %v", e.name, err))
	}
	keeper.close()
	return nil, fmt.Errorf("sandbox/oci: no runtime can run a step here: %s", strings.Join(failures, "; "))
}

// Isolation says what keeps steps apart from this machine.
func (s *Sandbox) Isolation() sandbox.Isolation { return s.isolation }

// Limits are the most that a step may use, and what it may use when it asks for nothing.
func (s *Sandbox) Limits() sandbox.Limits { return s.options.Limits }

// Owner is the user and group of this machine that a workspace has to belong to, so that a step can write it.
func (s *Sandbox) Owner() (uid, gid int) {
	if s.alone {
		return 0, 0 // of the namespace: the server's own user
	}
	return s.options.FirstID + userID, s.options.FirstID + userID
}

// FirstID is the user and group of this machine that stand for root in the box: the layers of an image belong to it.
func (s *Sandbox) FirstID() int { return s.options.FirstID }

// Close ends the one process that a Sandbox keeps. Steps that still run are killed, and their runs are errors.
func (s *Sandbox) Close() error {
	s.keeper.close()
	s.engine.close()
	return nil
}

func (s *Sandbox) describe() sandbox.Isolation {
	level, what := "ns", "user, mount, process, network, ipc, host name and cgroup namespaces, a system call filter, no capability, read-only tools of the host, no network but the way out that they are given"
	if s.engine.name == "runsc" {
		level, what = "gvisor", "a kernel of their own in user space, in namespaces without network, with read-only tools of the host"
	}
	mode := s.cgroups.mode()
	if s.engine.joins && s.cgroups.hybrid() {
		mode += ", private mount namespace"
	}
	share := "they share this machine's processor, memory bandwidth and disk"
	if s.alone {
		what += "; as the server's own user"
	}
	if s.cgroups.version == 0 {
		share += ", without limits of memory and processors, because " + s.why
	}
	return sandbox.Isolation{
		Limited: s.cgroups.version > 0,
		Level:   level,
		Runtime: fmt.Sprintf("%s %s, %s", s.engine.name, s.engine.version, mode),
		Detail:  fmt.Sprintf("Steps run with %s; %s%s.", what, share, map[bool]string{true: ", and its kernel", false: ""}[level == "ns"]),
	}
}
