// Package docker runs steps in containers of a Docker engine on this machine, or of Podman, which speaks the same language.
//
// A step sees its image, read-only, its workspace, and nothing else: the same filter of system calls as in the other
// sandboxes, no capability, no network but the way out that it may be given, no socket of the engine. It never takes an
// engine that is on another machine, and never a step without an image: an engine has no tools of its own.
//
// What a container is made of is said in create.go, what its first process does in first.go, and what it is given in
// memory in room.go. The engine keeps the images (image.go). Start reading at Run in run.go.
package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// Options say where the engine is, and how steps run.
type Options struct {
	Host    string         // "unix:///run/docker.sock"; empty is the usual place
	Dir     string         // where running steps are laid out, private to servers; it has to be seen by the engine
	FirstID int            // first of the 65536 user and group ids of this machine of which the box's user is one; 100000 when 0
	Limits  sandbox.Limits // for specs that leave a limit open; sensible ones when zero
	Log     *slog.Logger
}

// Sandbox runs steps in one engine. Close it when no step runs any more.
type Sandbox struct {
	options   Options
	engine    *client.Client
	about     about
	user      int // the step's, in the box
	owner     int // the same user, on this machine
	files     uint64
	filter    string // of system calls, as the engine wants to be told it
	instance  *box.Instance
	isolation sandbox.Isolation
	names     sync.Map // by image, what it has in /etc/passwd and /etc/group

	mu   sync.Mutex
	lost map[string]bool // containers that could not be removed
}

const (
	idCount = 65536
	userID  = 1000 // in a user namespace; without one there is no number that is surely nobody's below FirstID

	// How long the engine may take for what is not the step's own time.
	patience = 2 * time.Minute
)

// Probe speaks to the engine, ends what killed servers have left in it, and runs a step in the full configuration. Its error
// is for the operator: what is wrong, and what to do.
func Probe(ctx context.Context, o Options) (_ *Sandbox, err error) {
	if o.FirstID == 0 {
		o.FirstID = 100000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.Or(sandbox.Limits{
		Wall: time.Hour, Memory: 4 << 30, PIDs: 4096, CPUs: float64(runtime.NumCPU()), Tmp: 1 << 30, Disk: 20 << 30, Files: 2_000_000,
	})
	if os.Geteuid() != 0 {
		return nil, errors.New("sandbox/docker: run the server as root: it gives each step its files in memory, and its way out, from outside of the container")
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("sandbox/docker: %w", err)
	}
	engine, err := connect(o.Host)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{options: o, engine: engine, lost: map[string]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.about, err = ask(ctx, engine); err != nil {
		return nil, err
	}
	s.user, s.owner = o.FirstID+userID, o.FirstID+userID
	if s.about.firstID > 0 {
		s.user, s.owner = userID, s.about.firstID+userID
	}
	if s.about.name == "podman" {
		s.files = openFiles("") // it would raise the limit by itself, even where that is not allowed
	}
	if s.instance, err = box.Begin(o.Dir); err != nil {
		return nil, fmt.Errorf("sandbox/docker: %w", err)
	}
	if err := s.makeFilter(); err != nil {
		return nil, fmt.Errorf("sandbox/docker: write the filter of system calls: %w", err)
	}
	if err := s.endLeftovers(ctx); err != nil {
		return nil, err
	}
	if err := s.try(ctx); err != nil {
		return nil, fmt.Errorf("sandbox/docker: no step can be shut in by %s: %w", s.about, err)
	}
	s.isolation = s.describe()
	return s, nil
}

// Isolation says what keeps steps apart from this machine.
func (s *Sandbox) Isolation() sandbox.Isolation { return s.isolation }

// Limits are the most that a step may use, and what it may use when it asks for nothing.
func (s *Sandbox) Limits() sandbox.Limits { return s.options.Limits }

// Owner is the user and group of this machine that a workspace has to belong to, so that a step can write it.
func (s *Sandbox) Owner() (uid, gid int) { return s.owner, s.owner }

// Close gives the engine up. Containers of steps that still run end by themselves, for nobody holds them any more.
func (s *Sandbox) Close() error {
	err := s.engine.Close()
	if s.instance != nil {
		err = errors.Join(err, s.instance.End())
	}
	return err
}

func (s *Sandbox) describe() sandbox.Isolation {
	users := "no user namespace: its user is one that this machine does not know"
	if s.about.firstID > 0 {
		users = "a user namespace"
	}
	return sandbox.Isolation{
		Level: "ns", Limited: true, Runtime: s.about.String(),
		Detail: fmt.Sprintf("Steps run in containers with %s; mount, process, network, ipc, host name and cgroup namespaces, a system call filter, no capability, a read-only image, "+
			"no network but the way out that they are given; they share this machine's processor, memory bandwidth, disk and kernel. Whoever may speak to the engine is root here: steps cannot.", users),
	}
}

// forget removes a container, whatever state it is in. What cannot be removed now is tried again before the next run.
func (s *Sandbox) forget(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := s.engine.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && strings.Contains(err.Error(), "already in progress") {
		err = nil
	}
	gone := err == nil || isNotFound(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if gone {
		delete(s.lost, name)
		return nil
	}
	s.lost[name] = true
	return fmt.Errorf("remove the container: %w", err)
}

func (s *Sandbox) forgetLost(ctx context.Context) {
	s.mu.Lock()
	var names []string
	for name := range s.lost {
		names = append(names, name)
	}
	s.mu.Unlock()
	for _, name := range names {
		if err := s.forget(ctx, name); err != nil {
			s.options.Log.Warn("a container cannot be removed", "container", name, "err", err)
		}
	}
}

// Serves says that services run beside steps.
func (s *Sandbox) Serves() error { return nil }
