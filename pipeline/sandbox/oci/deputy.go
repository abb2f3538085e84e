package oci

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Deputy shuts steps in for a server that is not root. It is a second process of this program, in a user namespace in which
// it is root, though of nothing that is not the server's own: there it may mount and make networks, and does for each step
// what Sandbox does. It ends with the server, and all its steps with it.
//
// They speak over sockets without a name: one for all, by which a run is begun, and one for each run (see errand).
type Deputy struct {
	options   Options
	cmd       *exec.Cmd
	gone      chan struct{}
	line      *net.UnixConn
	isolation sandbox.Isolation
	limits    sandbox.Limits
}

// deputyArg is how the program is called when it is to be a deputy.
const deputyArg = "conveyor-deputy"

// ProbeAlone is Probe for a server that is not root. Its program has to call DeputyMain before it does anything else.
func ProbeAlone(ctx context.Context, o Options) (_ *Deputy, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sandbox/oci: shut steps in without being root: %w", err)
		}
	}()
	if o.Runtime == "runc" || o.Runtime == "runsc" {
		return nil, fmt.Errorf("%s needs more than the one user that the server has: install crun and choose it, or run the server as root", o.Runtime)
	}
	if !beginsWell.Load() {
		return nil, errors.New("this program cannot be its own deputy: its main has to begin with DeputyMain")
	}
	o.Runtime = "crun"
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	d := &Deputy{options: o, gone: make(chan struct{})}
	ours, theirs, err := linePair()
	if err != nil {
		return nil, err
	}
	d.line = ours
	d.cmd = exec.Command("/proc/self/exe")
	d.cmd.Args = []string{"conveyor", deputyArg}
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	d.cmd.Dir = "/"
	d.cmd.ExtraFiles = []*os.File{theirs}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	says, err := d.cmd.StderrPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	_ = theirs.Close()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("make a user namespace: %w%s", err, whyNoNamespace())
	}
	go d.read(says)
	if err := d.greet(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// read hands what the deputy says on to the log, until it has ended.
func (d *Deputy) read(says io.Reader) {
	lines := bufio.NewScanner(says)
	for lines.Scan() {
		if d.options.Log != nil {
			d.options.Log.Warn("the deputy for steps says something", "said", lines.Text())
		}
	}
	_, _ = io.Copy(io.Discard, says)
	_ = d.cmd.Wait()
	close(d.gone)
}

// greet tells the deputy how steps run, and waits until it has tried.
func (d *Deputy) greet(ctx context.Context) error {
	o := d.options
	o.Log = nil
	e, err := d.send(opening{Options: &o})
	if err != nil {
		return err
	}
	defer e.close()
	defer context.AfterFunc(ctx, e.cancel)()
	var a answer
	if err := e.receive(&a); err != nil {
		return err
	}
	if a.Err != "" {
		return errors.New(a.Err + whyNoNamespace())
	}
	d.isolation, d.limits = a.Isolation, a.Limits
	return nil
}

// Run runs one step. See sandbox.Sandbox for what it promises.
func (d *Deputy) Run(ctx context.Context, spec sandbox.Spec) (v sandbox.Verdict, err error) {
	if err := spec.Check(); err != nil {
		return v, err
	}
	if err := d.Serves(); err != nil && len(spec.Services) > 0 {
		return v, err
	}
	if spec.Root != nil {
		return v, errors.New("sandbox/oci: no image can be used by a server that is not root: leave image out, or run the server as root")
	}
	if ctx.Err() != nil {
		return sandbox.End{Cancelled: true, Limits: spec.Limits.Or(d.limits)}.Verdict(), nil
	}
	output, err := newPipe()
	if err != nil {
		return v, fmt.Errorf("sandbox/oci: run %s: make a pipe: %w", spec.ID, err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- pump(output.ours, spec.Output) }()
	v, err = d.runInto(ctx, spec, output.theirs)
	_ = output.theirs.Close()
	_ = output.ours.SetReadDeadline(time.Now().Add(lastWords)) // it is over: what is in the pipe is all
	failed := <-wrote
	_ = output.ours.Close()
	switch {
	case err != nil:
		return sandbox.Verdict{}, err
	case failed != nil && !errors.Is(failed, os.ErrDeadlineExceeded) && v.Outcome == sandbox.Exited:
		return sandbox.Verdict{}, fmt.Errorf("sandbox/oci: run %s: write the output: %w", spec.ID, failed)
	}
	return v, nil
}

func (d *Deputy) runInto(ctx context.Context, spec sandbox.Spec, output *os.File) (v sandbox.Verdict, err error) {
	e, err := d.send(opening{}, output)
	if err != nil {
		return v, fmt.Errorf("sandbox/oci: run %s: %w", spec.ID, err)
	}
	defer e.close()
	defer context.AfterFunc(ctx, e.cancel)()
	if err := e.tell(wordsOf(spec)); err != nil {
		return v, fmt.Errorf("sandbox/oci: run %s: %w", spec.ID, err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if spec.Out != nil {
			e.serve(ctx, spec.Out)
		}
	}()
	var a answer
	err = e.receive(&a)
	e.files.close()
	<-served
	switch {
	case err != nil:
		return v, fmt.Errorf("sandbox/oci: run %s: %w", spec.ID, err)
	case a.Err != "":
		return v, errors.New(a.Err)
	}
	return a.Verdict, nil
}

// Isolation says what keeps steps apart from this machine.
func (d *Deputy) Isolation() sandbox.Isolation { return d.isolation }

// Limits are the most that a step may use, and what it may use when it asks for nothing.
func (d *Deputy) Limits() sandbox.Limits { return d.limits }

// Owner is the server's own user: what a step writes is the server's.
func (d *Deputy) Owner() (uid, gid int) { return os.Geteuid(), os.Getegid() }

// Serves says why no service can run beside a step.
func (d *Deputy) Serves() error {
	return errors.New("no service can run beside a step where the server is not root: its image would need more users than the one that the server has")
}

// GivesRoot says why no step is root of its box.
func (d *Deputy) GivesRoot() error {
	return errors.New("no step can be root of its box where the server is not root: an image would need more users than the one that the server has")
}

// Close ends the deputy. Steps that still run are killed, and their runs are errors.
func (d *Deputy) Close() error {
	err := d.line.Close()
	<-d.gone
	return err
}

// whyNoNamespace is what to do where a machine keeps user namespaces from its users.
func whyNoNamespace() string {
	if text, err := os.ReadFile("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); err == nil && strings.TrimSpace(string(text)) == "1" {
		return "; AppArmor keeps user namespaces from programs without a profile here: give conveyor a profile with userns, or run it as root"
	}
	if text, err := os.ReadFile("/proc/sys/kernel/unprivileged_userns_clone"); err == nil && strings.TrimSpace(string(text)) == "0" {
		return "; this machine allows user namespaces to root alone: set kernel.unprivileged_userns_clone=1, or run the server as root"
	}
	return ""
}
