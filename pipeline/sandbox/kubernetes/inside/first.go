package inside

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// first is the first process of a step's or a service's container. It waits for the keeper's order, runs it, takes in what
// is orphaned, says how it ended, and ends everything with itself. When the keeper is gone, so is all that it holds.
//
// What it runs has the same user, and can do nothing to it: signals do not reach the first process of their namespace, and
// its memory is shut to them.
func first(args []string) int {
	flags := flag.NewFlagSet("first", flag.ContinueOnError)
	patience := flags.Duration("patience", 10*time.Minute, "how long to wait for the keeper")
	service := flags.String("service", "", "the name of the service that this is")
	tool := flags.String("tool", wire.Tool, "where this program is")
	if flags.Parse(args) != nil {
		return 2
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "conveyor-pod: this is for the first process of a container, which ends all others")
		return 2
	}
	ignoreTerm()
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 2
	}
	conn, err := call(role{Service: *service}, *patience)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conveyor-pod:", err)
		return 1
	}
	p := &process{line: wire.Frames{ReadWriter: conn}, tool: *tool, ended: map[int]chan int{}}
	var o order
	kind, text, err := p.line.Next()
	if err != nil || kind != task || json.Unmarshal(text, &o) != nil {
		return 1 // the pod goes away before anything was asked of it
	}
	f := p.run(o)
	text, _ = json.Marshal(f)
	_ = p.put(over, text) // the keeper reads it, whether this process is still there or not
	return f.Code
}

type process struct {
	line wire.Frames
	tool string

	say   sync.Mutex
	mu    sync.Mutex
	ended map[int]chan int // by process number, for those that someone waits for
}

func (p *process) put(kind byte, text []byte) error {
	p.say.Lock()
	defer p.say.Unlock()
	return p.line.Put(kind, text)
}

// run runs an order to its end. Nothing of it is left afterwards.
func (p *process) run(o order) (f fate) {
	spec := sandbox.Spec{Env: o.Env, Paths: o.Paths, Root: &sandbox.Root{Env: ofImage(os.Environ())}}
	for _, name := range o.Near {
		spec.Services = append(spec.Services, sandbox.Service{Name: name})
	}
	if o.Out {
		spec.Out = wayOut
	}
	var env []string
	if o.Script {
		env = spec.Environ(wire.Usual, wire.HomeDir, "/tmp", wire.WorkDir, "")
		if len(o.Secrets) > 0 {
			env = with(env, sandbox.SecretsDir, wire.Secrets)
		}
		for _, g := range o.Secrets {
			if g.Env {
				env = with(env, g.Name, string(g.Value))
			}
		}
	} else {
		env = sandbox.Service{Root: spec.Root, Env: o.Env}.Environ("/tmp", o.Out, spec.Services)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fate{Code: 127, Unfit: err.Error()}
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return fate{Code: 127, Unfit: err.Error()}
	}
	args := []string{p.tool, "begin", "-disk", strconv.FormatInt(o.Limits.Disk, 10), "-pids", strconv.FormatInt(o.Limits.PIDs, 10), "-dir", o.Dir}
	if o.Script {
		args = append(args, "-script", wire.Script)
	}
	attr := &syscall.ProcAttr{Dir: "/", Env: env, Files: []uintptr{nothing.Fd(), w.Fd(), w.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}}
	exit, err := p.start(append(append(args, "--"), o.Command...), attr)
	if err != nil {
		return fate{Code: 127, Unfit: err.Error()}
	}
	_ = w.Close()
	go p.reap()
	said := make(chan struct{})
	go func() {
		defer close(said)
		buffer := make([]byte, 64<<10)
		for {
			n, err := r.Read(buffer)
			if n > 0 && p.put(wire.Output, buffer[:n]) != nil {
				p.endAll()
			}
			if err != nil {
				return
			}
		}
	}()
	go p.obey(o, args, attr)
	code := <-exit
	f = fate{Code: code}
	f.seeLimits(o.Limits)
	p.endAll()
	<-said
	f.seeMemory()
	if f.Code == unfit {
		f.Unfit = strings.Join(append(slices.Clone(o.Command[:min(1, len(o.Command))]), "is not there, or cannot be started"), " ")
	}
	return f
}

// obey does what the keeper asks for while the order runs.
func (p *process) obey(o order, args []string, attr *syscall.ProcAttr) {
	for {
		kind, _, err := p.line.Next()
		switch {
		case err != nil || kind == stop:
			p.endAll()
			if err != nil {
				os.Exit(1)
			}
		case kind == check:
			go p.ready(o, args, attr)
		}
	}
}

// ready runs the service's ready command beside it.
func (p *process) ready(o order, args []string, attr *syscall.ProcAttr) {
	nothing, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = nothing.Close() }()
	own := *attr
	own.Files = []uintptr{nothing.Fd(), nothing.Fd(), nothing.Fd()}
	exit, err := p.start(append(append(slices.Clone(args), "--"), o.Ready...), &own)
	if err != nil || <-exit != 0 {
		_ = p.put(fine, []byte{1})
		return
	}
	_ = p.put(fine, nil)
}

// start starts a process whose end is waited for.
func (p *process) start(argv []string, attr *syscall.ProcAttr) (<-chan int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, _, err := syscall.StartProcess(argv[0], argv, attr)
	if err != nil {
		return nil, err
	}
	exit := make(chan int, 1)
	p.ended[pid] = exit
	return exit, nil
}

// reap takes in every process that ends, the order's own and those that nobody waits for.
func (p *process) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil { // there is nobody, for now
			time.Sleep(5 * time.Millisecond)
			continue
		}
		p.mu.Lock()
		exit, waited := p.ended[pid]
		delete(p.ended, pid)
		p.mu.Unlock()
		if !waited {
			continue
		}
		code := status.ExitStatus()
		if status.Signaled() {
			code = 128 + int(status.Signal())
		}
		exit <- code
	}
}

// endAll kills every process of the container but this one.
func (p *process) endAll() {
	_ = syscall.Kill(-1, syscall.SIGKILL)
}

// ofImage is what of this process's variables the image has set: a cluster adds its own, and the name of the host.
func ofImage(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == "HOSTNAME" || name == "HOME" || strings.HasPrefix(name, "KUBERNETES_")
	})
}

// with sets a variable, in place of what was set before.
func with(env []string, name, value string) []string {
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(env, name+"="+value)
}
