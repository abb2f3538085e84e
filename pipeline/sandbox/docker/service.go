package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// serving is the container of a service.
type serving struct {
	s       *Sandbox
	name    string // of the container
	service sandbox.Service
	limits  sandbox.Limits
	net     *network
	says    io.WriteCloser
	conn    *client.HijackedResponse
	pumps   sync.WaitGroup
	exit    chan struct{} // closed when it has ended, or when the engine was lost
	code    int
	lost    error
	full    atomic.Bool // it was ended for what it has written
	asked   box.Tail    // what its ready command has said last
}

// beside starts the services of a step that stands and waits, lets it begin when they are ready, and ends them after it.
func (s *Sandbox) beside(ctx context.Context, began time.Time, spec sandbox.Spec, l sandbox.Limits, b *running, net *network) (v sandbox.Verdict, err error) {
	out := spec.Output.(*sandbox.Output) // Run has made it one
	watched, cancel := context.WithCancel(ctx)
	var all []*serving
	defer func() {
		cancel()
		for _, one := range all {
			err = errors.Join(err, one.end(ctx))
		}
	}()
	for i, service := range spec.Services {
		one := &serving{s: s, name: fmt.Sprintf("%s.%d", b.name, i), service: service, net: net, says: out.Service(service.Name)}
		one.limits = service.Limits.Or(sandbox.DefaultService).Within(s.options.Limits)
		all = append(all, one)
		if err := one.start(ctx, spec, b.name); err != nil {
			if why, is := errors.AsType[*unfit](err); is {
				return service.Unready("cannot be started: " + why.why), nil
			}
			return v, fmt.Errorf("start the service %s: %w", service.Name, err)
		}
		one.pumps.Go(func() { one.watchDisk(watched) })
	}
	return box.Beside(ctx, began, l, asServices(all), out, func() (sandbox.Verdict, error) { return s.watch(ctx, began, spec, l, b, net) })
}

func asServices(all []*serving) (services []box.Service) {
	for _, one := range all {
		services = append(services, one)
	}
	return services
}

// overItsOwn are the rights of a service that runs as root of its container: those with which entrypoints of images give
// folders to a user and then become that user.
var overItsOwn = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"}

// start makes the container of a service, on the network of the step's, and starts it.
func (v *serving) start(ctx context.Context, spec sandbox.Spec, step string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if len(v.service.Command) == 0 {
		return &unfit{"its image " + v.service.Root.Name + " has no command: say one"}
	}
	looked, err := v.s.look(ctx, v.service.Root)
	if err != nil {
		return err
	}
	root := *v.service.Root
	root.Env = looked.env
	v.service.Root = &root
	host := v.s.host(v.limits, looked.volumes)
	host.NetworkMode = container.NetworkMode("container:" + step)
	if user, _, _ := strings.Cut(v.service.User, ":"); user == "" || user == "0" || user == "root" {
		host.CapAdd = overItsOwn // Podman would give them to other users, too
	}
	env := slices.DeleteFunc(v.service.Environ("", spec.Out != nil, spec.Services), func(e string) bool { return e == "HOME=" }) // the engine says whose home it is
	_, err = v.s.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: v.name, HostConfig: host, Config: &container.Config{
		Image: root.Ref, User: v.service.User, Env: env, WorkingDir: path.Join("/", v.service.Dir), Entrypoint: v.service.Command,
		AttachStdout: true, AttachStderr: true, Healthcheck: looked.health(),
		Labels: v.s.labels(spec),
	}})
	if err != nil {
		return unfitService(err)
	}
	attached, err := v.s.engine.ContainerAttach(ctx, v.name, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("attach to it: %w", err)
	}
	v.conn = &attached.HijackedResponse
	v.pumps.Go(func() { _, _ = stdcopy.StdCopy(v.says, v.says, v.conn.Reader) }) // it takes all, and its output says what cannot be written
	if _, err := v.s.engine.ContainerStart(ctx, v.name, client.ContainerStartOptions{}); err != nil {
		return unfitService(err)
	}
	wait := v.s.engine.ContainerWait(context.WithoutCancel(ctx), v.name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	v.exit = make(chan struct{})
	go func() {
		defer close(v.exit)
		select {
		case e := <-wait.Result:
			v.code = int(e.StatusCode)
		case v.lost = <-wait.Error:
		}
	}()
	return nil
}

// unfitService sorts out what the plan or the image is to blame for: a program, a user or a folder that is not there.
func unfitService(err error) error {
	said := strings.ToLower(err.Error())
	for _, word := range []string{"exec", "chdir", "unable to find user", "unable to find group", "no matching entries", "no users found"} {
		if strings.Contains(said, word) {
			return &unfit{box.OneLine(err.Error())}
		}
	}
	return err
}

func (v *serving) Is() sandbox.Service   { return v.service }
func (v *serving) Exit() <-chan struct{} { return v.exit }
func (v *serving) Said() string          { return v.asked.String() }

// end removes the container of a service, with all that runs in it.
func (v *serving) end(ctx context.Context) error {
	err := v.s.forget(ctx, v.name)
	if v.exit != nil && err == nil {
		<-v.exit
	}
	if v.conn != nil {
		_ = v.conn.Conn.SetReadDeadline(time.Now().Add(lastWords))
		v.pumps.Wait()
		v.conn.Close()
	}
	_ = v.says.Close()
	if err != nil {
		return fmt.Errorf("end the service %s: %w", v.service.Name, err)
	}
	return nil
}

// Early sorts out why a service has ended before it was ready.
func (v *serving) Early(ctx context.Context) (sandbox.Verdict, error) {
	if v.lost != nil {
		return sandbox.Verdict{}, fmt.Errorf("the engine was lost while the service %s ran: %w", v.service.Name, v.lost)
	}
	return v.service.Unready("ended before it was ready: " + v.How(ctx)), nil
}

// How is the way in which a service has ended.
func (v *serving) How(ctx context.Context) string {
	killed, err := v.s.killedByMemory(ctx, v.name)
	end := sandbox.End{ExitCode: v.code, OOM: err == nil && killed, Disk: v.full.Load(), Limits: v.limits}
	if verdict := end.Verdict(); verdict.Reason != "" {
		return strings.Replace(verdict.Reason, "to its workspace ", "", 1)
	}
	return "exit code 0"
}

// diskPause is how often an engine is asked what a service has written: it counts the files each time.
const diskPause = 2 * time.Second

// watchDisk ends a service that has written more than it may. It is coarse: an engine bounds no container's disk.
func (v *serving) watchDisk(ctx context.Context) {
	looks := time.NewTicker(diskPause)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.exit:
			return
		case <-looks.C:
		}
		found, err := v.s.engine.ContainerInspect(ctx, v.name, client.ContainerInspectOptions{Size: true})
		if err != nil || found.Container.SizeRw == nil || *found.Container.SizeRw <= v.limits.Disk {
			continue
		}
		v.full.Store(true)
		_, _ = v.s.engine.ContainerKill(ctx, v.name, client.ContainerKillOptions{Signal: "KILL"}) // or it is removed with the step
		return
	}
}

// Probe asks once whether the service is ready.
func (v *serving) Probe(ctx context.Context) bool {
	if v.service.Ready.Port > 0 {
		return v.net.Listens(v.service.Ready.Port)
	}
	return v.ask(ctx) == nil
}

// ask runs the ready command of a service in its container, and waits for its end. What it leaves behind ends with the
// service.
func (v *serving) ask(ctx context.Context) error {
	made, err := v.s.engine.ExecCreate(ctx, v.name, client.ExecCreateOptions{Cmd: v.service.Ready.Command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return err
	}
	said, err := v.s.engine.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		_, _ = v.asked.Write([]byte(err.Error()))
		return err
	}
	defer said.Close()
	defer context.AfterFunc(ctx, func() { said.Close() })()
	if _, err := stdcopy.StdCopy(&v.asked, &v.asked, said.Reader); err != nil {
		return err
	}
	how, err := v.s.engine.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err == nil && (how.Running || how.ExitCode != 0) {
		err = fmt.Errorf("it ended with exit code %d", how.ExitCode)
	}
	return err
}
