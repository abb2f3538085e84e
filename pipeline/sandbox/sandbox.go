// Package sandbox runs one step's commands where they can do no harm.
//
// It is the contract: what is run (Spec), under which limits, and what came of it (Verdict). It never decides what may
// run; that is the trust tier's business. The adapters are oci (an OCI runtime on this machine), none (no isolation,
// for trusted runs of an operator who asked for it) and fake; sandboxtest proves each of them.
package sandbox

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// Sandbox runs steps. Run may be called concurrently.
type Sandbox interface {
	// Run runs the command and returns when the whole process tree is gone and nothing of it is left: no process, no
	// mount, no cgroup, no temporary folder. When ctx ends, the tree is killed and the verdict is Cancelled.
	// An error means that the sandbox itself failed (infrastructure) and says nothing about the command; such a call
	// may be repeated. Two calls with the same ID at once are an error of the caller.
	Run(ctx context.Context, spec Spec) (Verdict, error)

	// Isolation says what keeps steps apart from this machine.
	Isolation() Isolation
}

// Spec is one command list to run.
type Spec struct {
	ID        string   // unique among what runs now; letters, digits and dashes only
	Script    string   // handed to the shell as a file, never in argv
	Shell     []string // a program, on PATH or with its path, and its arguments; empty for bash with errexit and pipefail where there is one, else sh -e
	Workspace string   // a folder of this machine, writable by Owner, seen as /workspace
	Dir       string   // the working directory, relative to the workspace; empty for its top
	Root      *Root    // the image that the step runs in; nil is the host's tools. An adapter that cannot mount refuses it
	Superuser bool     // it is root of its own box, and may change there what is in Root, which must be set. See Rooted
	Env       []string // "NAME=value"; PATH, HOME, TMPDIR, LANG and CI are set by the sandbox and can be overridden here, except PATH and LD_*
	Paths     []string // "NAME=path": variables whose values are paths below the workspace, as the step sees them
	Output    io.Writer
	Limits    Limits

	// Out, when it is there, is the step's way out: it is called once, with a listener on the box's own loopback, and
	// answers as an HTTP proxy until ctx ends, when it returns. The step finds its address in http_proxy and https_proxy.
	// Without it the step reaches nothing.
	Out func(ctx context.Context, l net.Listener) error

	// Writes is the folder of this machine in which what is written to the workspace lies, when it is not the workspace
	// itself. What is in it counts against the limits of disk and files.
	Writes string

	// Secrets are files in the folder that the variable CONVEYOR_SECRETS_DIR names, where only this step sees them. They
	// are in memory, never in argv or a bundle, and gone when Run returns.
	Secrets []secret.Given
	Folders []Folder // further folders that the step may write

	// Services run beside the step. An adapter that cannot do that refuses them; see Server.
	Services []Service
}

// Server is what a Sandbox is, too, that runs services beside steps.
type Server interface {
	// Serves says why it runs none here. It is nil when it does.
	Serves() error
}

// Rooted is what a Sandbox is, too, that runs steps as root of their boxes.
type Rooted interface {
	// GivesRoot says why it runs none here. It is nil when it does.
	GivesRoot() error
}

// Folder shows a folder of this machine to a step, in place of what would be there.
type Folder struct {
	Source string // an absolute path, writable by Owner
	Writes string // the folder in which what is written to Source lies, when it is not Source itself
	Target string // a clean path relative to the workspace, or below the home folder: "~/.npm"
}

// Limits bound one step. Zero values are replaced by the adapter's defaults; none is unlimited.
type Limits struct {
	Wall   time.Duration // the whole step
	Memory int64         // bytes, swap included
	PIDs   int64         // processes and threads
	CPUs   float64       // processor seconds per second
	Tmp    int64         // bytes of /tmp and the home folder, which live in memory
	Disk   int64         // bytes that may be written to the workspace; also the most that one file may have
	Files  int64         // files and folders that may be made in it
}

// Outcome says whose doing the end of a step was.
type Outcome string

// The outcomes. They are stored, and never renamed.
const (
	Exited    Outcome = "exited"    // the command ended by itself: ExitCode tells how
	TimedOut  Outcome = "timed_out" // the wall limit
	Resource  Outcome = "resource"  // a limit: memory, processes, disk
	Cancelled Outcome = "cancelled" // ctx ended
	Unready   Outcome = "unready"   // a service beside the step could not be started, ended early or was not ready in time: the command did not run
)

// Verdict is what came of a step.
type Verdict struct {
	Outcome  Outcome
	ExitCode int           // of the command; 128+n when signal n ended it
	Reason   string        // one sentence for people, empty for exit code 0
	Wall     time.Duration // how long it took
	Memory   int64         // peak bytes, 0 when unknown
}

// Passed reports the one good end.
func (v Verdict) Passed() bool { return v.Outcome == Exited && v.ExitCode == 0 }

// Isolation describes what is in force, found by trying it.
type Isolation struct {
	Level   string // "none", "ns" or "gvisor"
	Runtime string // for example "crun 1.8.1, cgroup v1, private mount namespace"
	Detail  string // one sentence for the operator: what is isolated, what is not
	Limited bool   // memory, processes and processors are bounded for a step as a whole, so that it cannot take the machine
}

// ShutsIn reports whether steps are kept apart from this machine at all.
func (i Isolation) ShutsIn() bool { return i.Level == "ns" || i.Level == "gvisor" }

// FitForStrangers reports whether code of people without write access may run here.
func (i Isolation) FitForStrangers() bool { return i.ShutsIn() && i.Limited }

// Unfit says, for people, why code of people without write access is not run here. It is empty when it may run.
func (i Isolation) Unfit() string {
	switch {
	case i.FitForStrangers():
		return ""
	case i.ShutsIn():
		return "this server cannot limit the memory and the processors of steps, so code from outside is not run: its operator can run it as root, or hand a cgroup over to it"
	}
	return "this server has no sandbox that is fit for code from outside"
}
