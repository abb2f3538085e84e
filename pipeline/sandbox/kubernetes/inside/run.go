package inside

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// Words between the keeper and a first process. They are frames, as those to the server.
const (
	task  = 't' // the keeper's: an order
	check = 'r' // the keeper's: run the service's ready command
	stop  = 'k' // the keeper's: kill everything, and say the end
	fine  = 'f' // a service's: the ready command has passed; or not, with a byte
	over  = 'e' // a fate
)

// order is what a first process is to run.
type order struct {
	Command []string // of a service, or a step's shell; empty for the usual shell
	Script  bool     // it is a shell that runs the script
	Dir     string
	Env     []string // what the box sets and the plan says; the image's own is in the first process's
	Paths   []string
	Out     bool
	Secrets []wire.Secret
	Near    []string // services
	Limits  sandbox.Limits
	Ready   []string
}

// fate is how what a first process ran has ended.
type fate struct {
	Code      int
	Unfit     string
	OOM, PIDs bool
	Memory    int64
}

// running is one step with its services.
type running struct {
	k      *pod
	to     wire.Frames
	mu     sync.Mutex // of to
	killed chan struct{}
	once   sync.Once
	ended  []wire.Gone
}

func (r *running) put(kind byte, text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.to.Put(kind, text) // a server that is gone ends everything anyway
}

func (r *running) kill() { r.once.Do(func() { close(r.killed) }) }

// start runs the step and says all of it to the server.
func (k *pod) start(ctx context.Context, s *wire.Step, to wire.Frames) {
	r := &running{k: k, to: to, killed: make(chan struct{})}
	k.mu.Lock()
	again := k.running != nil
	if !again {
		k.running = r
	}
	k.mu.Unlock()
	end := wire.End{Lost: true}
	if s != nil && !again {
		end = r.all(ctx, s)
	}
	text, _ := json.Marshal(end)
	r.put(wire.Over, text)
}

func (r *running) all(ctx context.Context, s *wire.Step) wire.End {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.k.give(s); err != nil {
		return wire.End{Unfit: err.Error(), Lost: true}
	}
	if s.Out {
		l, err := r.k.open()
		if err != nil {
			return wire.End{Unfit: err.Error(), Lost: true}
		}
		defer func() { _ = l.Close() }()
	}
	var near []string
	for _, v := range s.Services {
		near = append(near, v.Name)
	}
	unready, wait := r.serve(ctx, s, near)
	defer wait()
	defer cancel()
	if unready != nil {
		return *unready
	}
	end := r.step(ctx, s, near)
	r.mu.Lock()
	end.Ended = r.ended
	r.mu.Unlock()
	return end
}

// step tells the step's first process what to do, and waits for its end.
func (r *running) step(ctx context.Context, s *wire.Step, near []string) (end wire.End) {
	dir := wire.WorkDir
	if s.Dir != "" {
		dir = filepath.Join(dir, s.Dir)
	}
	o := order{Command: s.Shell, Script: true, Dir: dir, Env: s.Env, Paths: s.Paths, Out: s.Out, Secrets: s.Secrets, Near: near, Limits: s.Limits}
	first := wire.Frames{ReadWriter: r.k.step}
	select {
	case <-r.killed:
		return wire.End{ExitCode: 137}
	default:
	}
	r.put(wire.Began, nil)
	if err := tell(first, o); err != nil {
		return wire.End{Lost: true}
	}
	full, done := watch(ctx, s.Limits)
	defer done()
	ended := make(chan struct{})
	go func() {
		select {
		case <-r.killed:
		case <-full:
			r.mu.Lock()
			end.Disk = true
			r.mu.Unlock()
		case <-ended:
			return
		}
		_ = first.Put(stop, nil)
	}()
	f, lost := hear(first, func(text []byte) { r.put(wire.Output, text) })
	close(ended)
	r.mu.Lock()
	defer r.mu.Unlock()
	return wire.End{ExitCode: f.Code, OOM: f.OOM, PIDs: f.PIDs, Memory: f.Memory, Unfit: f.Unfit, Lost: lost, Disk: end.Disk}
}

// watch looks whether the step writes more than it may. What its folders held before is not its doing.
func watch(ctx context.Context, l sandbox.Limits) (full <-chan struct{}, done func()) {
	base := wire.Size(wire.KeptDir)
	spec := sandbox.Spec{Workspace: wire.KeptDir}
	l.Disk += base.Bytes + base.Files*4096
	l.Files += base.Files
	return box.WatchDisk(ctx, spec, l)
}

func tell(first wire.Frames, o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return first.Put(task, text)
}

// hear reads a first process's words to its end. lost is when there was none.
func hear(first wire.Frames, output func([]byte)) (f fate, lost bool) {
	for {
		kind, text, err := first.Next()
		switch {
		case err != nil:
			return f, true
		case kind == wire.Output:
			output(text)
		case kind == over:
			return f, json.Unmarshal(text, &f) != nil
		}
	}
}

// serve starts the services, and waits until all are ready. wait returns when nobody of them says anything any more.
func (r *running) serve(ctx context.Context, s *wire.Step, near []string) (unready *wire.End, wait func()) {
	var talk sync.WaitGroup
	wait = func() {
		for _, v := range s.Services {
			_ = wire.Frames{ReadWriter: r.k.services[v.Name]}.Put(stop, nil)
		}
		talk.Wait()
	}
	for i, v := range s.Services {
		conn, came := r.k.services[v.Name]
		if !came {
			return &wire.End{Lost: true}, wait
		}
		began := time.Now()
		first := wire.Frames{ReadWriter: conn}
		o := order{Command: v.Command, Dir: cmp.Or(v.Dir, "/"), Env: v.Env, Out: s.Out, Near: near, Limits: v.Limits, Ready: v.Ready}
		if err := tell(first, o); err != nil {
			return &wire.End{Lost: true}, wait
		}
		gone, passed := make(chan wire.Gone, 1), make(chan bool, 16)
		var unfit string
		talk.Go(func() {
			g := wire.Gone{Name: v.Name}
			for {
				kind, text, err := first.Next()
				if err != nil {
					g.Code = -1
					break
				}
				if kind == wire.Output {
					r.put(wire.Said, append([]byte{byte(i)}, text...))
				}
				if kind == fine {
					passed <- len(text) == 0
				}
				if kind == over {
					var f fate
					_ = json.Unmarshal(text, &f)
					g.Code, g.OOM, unfit = f.Code, f.OOM, f.Unfit
					break
				}
			}
			gone <- g
			select {
			case <-ctx.Done():
			default:
				r.mu.Lock()
				r.ended = append(r.ended, g)
				r.mu.Unlock()
			}
		})
		within := time.NewTimer(v.Within - time.Since(began))
		again := time.NewTicker(50 * time.Millisecond)
		asked := false
		for ready := false; !ready; {
			if v.Port > 0 {
				if conn, err := net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", v.Port), time.Second); err == nil {
					_ = conn.Close()
					break
				}
			} else if !asked {
				asked = first.Put(check, nil) == nil
			}
			select {
			case g := <-gone:
				within.Stop()
				again.Stop()
				return &wire.End{Unready: v.Name, Why: unfit, ExitCode: g.Code, OOM: g.OOM}, wait
			case <-within.C:
				again.Stop()
				return &wire.End{Unready: v.Name, NotReady: true}, wait
			case <-r.killed:
				return &wire.End{ExitCode: 137}, wait
			case ready = <-passed:
				asked = ready
				if !ready {
					<-again.C
				}
			case <-again.C:
			}
		}
		within.Stop()
		again.Stop()
	}
	return nil, wait
}
