package pods

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespace is a network, held by a process that does nothing.
type namespace struct {
	process *exec.Cmd
	life    io.Closer
}

func newNamespace() (*namespace, error) {
	n := &namespace{process: exec.Command("/bin/sh", "-c", "ip link set lo up && echo up && read -r word")}
	n.process.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	n.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWIPC}
	var err error
	if n.life, err = n.process.StdinPipe(); err != nil {
		return nil, err
	}
	says, err := n.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.process.Start(); err != nil {
		return nil, err
	}
	if _, err := says.Read(make([]byte, 3)); err != nil {
		n.close()
		return nil, fmt.Errorf("a network for a pod: %w", err)
	}
	return n, nil
}

func (n *namespace) path(kind string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", n.process.Process.Pid, kind)
}

func (n *namespace) close() {
	_ = n.life.Close()
	_ = n.process.Wait()
}

// pod is one on the node.
type pod struct {
	c       *Cluster
	dir     string
	net     *namespace
	now     *corev1.Pod
	mute    atomic.Bool // its node says nothing any more
	killed  chan struct{}
	once    sync.Once
	running sync.Map // names of containers
	done    chan struct{}
}

func (p *pod) id(container string) string { return filepath.Base(p.dir) + "-" + container }

func (p *pod) runs(container string) bool {
	_, is := p.running.Load(container)
	return is
}

func (p *pod) kill() {
	p.once.Do(func() { close(p.killed) })
	<-p.done
}

func (p *pod) state() *corev1.Pod {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.now.DeepCopy()
}

// change changes what is known of it, and tells whoever watches.
func (p *pod) change(how func(*corev1.Pod)) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	how(p.now)
	p.c.tell("MODIFIED", p.now)
}

func (c *Cluster) tell(kind string, p *corev1.Pod) {
	c.version++
	p.ResourceVersion = strconv.Itoa(c.version)
	c.events = append(c.events, event{c.version, kind, *p.DeepCopy()})
	close(c.grown)
	c.grown = make(chan struct{})
}

func (c *Cluster) add(asked *corev1.Pod) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods[asked.Name] != nil {
		return false
	}
	p := &pod{c: c, now: asked, killed: make(chan struct{}), done: make(chan struct{})}
	asked.Status.Phase = corev1.PodPending
	c.pods[asked.Name] = p
	c.tell("ADDED", asked)
	if c.hold != "" {
		asked.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: c.hold}}
		c.tell("MODIFIED", asked)
		close(p.done)
		return true
	}
	c.nodes.Go(func() {
		defer close(p.done)
		p.run(asked.DeepCopy())
	})
	return true
}

func (c *Cluster) delete(name string, grace int) bool {
	c.mu.Lock()
	p := c.pods[name]
	c.mu.Unlock()
	if p == nil {
		return false
	}
	vanish := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pods[name] == p {
			delete(c.pods, name)
			c.tell("DELETED", p.now)
		}
	}
	if grace == 0 {
		vanish()
		c.nodes.Go(p.kill)
		return true
	}
	p.change(func(now *corev1.Pod) {
		t := metav1.Now()
		now.DeletionTimestamp = &t
	})
	if p.mute.Load() {
		return true // a node that is lost confirms nothing
	}
	c.nodes.Go(func() { // what runs is asked to end, and has its grace; here nothing heeds that
		p.kill()
		vanish()
	})
	return true
}

// run runs a pod to its end.
func (p *pod) run(asked *corev1.Pod) {
	dir, err := os.MkdirTemp(p.c.dir, "p")
	p.dir = dir
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o711), p.volumes(asked))
	}
	p.net = p.c.shared
	if err == nil && p.c.Enforces && asked.Labels["conveyor/network"] == "none" {
		p.net, err = newNamespace()
	}
	defer p.cleanUp()
	if err != nil {
		p.fail(err.Error())
		return
	}
	for _, c := range asked.Spec.InitContainers {
		end, err := p.container(asked, c, nil)
		if err != nil || end.code != 0 {
			p.fail(fmt.Sprintf("init container %s: %v, exit code %d: %s", c.Name, err, end.code, end.log))
			return
		}
	}
	var all sync.WaitGroup
	failed := false
	for i, c := range asked.Spec.Containers {
		p.change(func(now *corev1.Pod) {
			now.Status.ContainerStatuses = append(now.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}})
		})
		all.Go(func() {
			end, err := p.container(asked, c, func() {
				p.change(func(now *corev1.Pod) {
					now.Status.Phase, now.Status.PodIP = corev1.PodRunning, "127.0.0.1"
					now.Status.ContainerStatuses[i].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
				})
			})
			if p.mute.Load() {
				return
			}
			p.change(func(now *corev1.Pod) {
				s := &now.Status.ContainerStatuses[i]
				if err != nil {
					s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: err.Error()}}
					return
				}
				t := &corev1.ContainerStateTerminated{ExitCode: int32(end.code), Reason: "Completed"}
				if end.code != 0 {
					t.Reason, failed = "Error", true
				}
				if end.oom {
					t.Reason = "OOMKilled"
				}
				s.State = corev1.ContainerState{Terminated: t}
			})
			if err != nil {
				<-p.killed // it is pulled again and again
			}
		})
	}
	all.Wait()
	if p.mute.Load() {
		return
	}
	p.change(func(now *corev1.Pod) {
		now.Status.Phase = corev1.PodSucceeded
		if failed {
			now.Status.Phase = corev1.PodFailed
		}
	})
}

func (p *pod) fail(why string) {
	p.change(func(now *corev1.Pod) { now.Status.Phase, now.Status.Message = corev1.PodFailed, why })
}

func (p *pod) cleanUp() {
	if p.net != nil && p.net != p.c.shared {
		p.net.close()
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var at []string
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], p.dir+"/") {
			at = append(at, f[4])
		}
	}
	slices.Sort(at)
	for _, dir := range slices.Backward(at) {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	}
	_ = os.RemoveAll(p.dir)
}

// volumes makes the folders of a pod, those in memory with their size.
func (p *pod) volumes(asked *corev1.Pod) error {
	for _, v := range asked.Spec.Volumes {
		at := filepath.Join(p.dir, "v-"+v.Name)
		if err := os.Mkdir(at, 0o777); err != nil {
			return err
		}
		if v.EmptyDir.Medium == corev1.StorageMediumMemory {
			if err := unix.Mount("pods", at, "tmpfs", 0, fmt.Sprintf("size=%d", sizeOf(v.EmptyDir.SizeLimit))); err != nil {
				return err
			}
		}
		if err := os.Chmod(at, 0o777); err != nil {
			return err
		}
	}
	return nil
}

type end struct {
	code int
	oom  bool
	log  string
}

// container runs one to its end. started is called when it runs.
func (p *pod) container(asked *corev1.Pod, c corev1.Container, started func()) (e end, err error) {
	p.c.mu.Lock()
	img, has := p.c.images[c.Image]
	p.c.mu.Unlock()
	if !has {
		return e, fmt.Errorf("failed to pull and unpack image %q: failed to resolve reference: %s: not found", c.Image, c.Image)
	}
	bundle := filepath.Join(p.dir, "c-"+c.Name)
	for _, dir := range []string{"", "/upper", "/work", "/root"} {
		if err := os.Mkdir(bundle+dir, 0o755); err != nil {
			return e, err
		}
	}
	if err := unix.Mount("overlay", bundle+"/root", "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", img.root, bundle, bundle)); err != nil {
		return e, fmt.Errorf("its root: %w", err)
	}
	config, err := p.config(asked, c, img, bundle)
	if err != nil {
		return e, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return e, err
	}
	if err := os.WriteFile(bundle+"/config.json", text, 0o600); err != nil {
		return e, err
	}
	id := p.id(c.Name)
	var log bytes.Buffer
	runc := func(args ...string) *exec.Cmd {
		cmd := exec.Command("runc", append([]string{"--root", p.c.dir + "/runc"}, args...)...)
		cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		return cmd
	}
	cmd := runc("run", "--keep", "--bundle", bundle, "--pid-file", bundle+"/pid", id)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return e, err
	}
	over, ran, gone := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		for { // the file is there when the container is
			if _, err := os.Stat(bundle + "/pid"); err == nil {
				p.running.Store(c.Name, true)
				if started != nil {
					started()
				}
				close(ran)
				return
			}
			select {
			case <-p.killed:
				close(ran)
				return
			case <-gone:
				close(ran)
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	go func() {
		err := cmd.Wait()
		close(gone)
		over <- err
	}()
	select {
	case err = <-over:
	case <-p.killed:
		for range 200 { // one that is just being made cannot be killed yet
			if runc("kill", id, "KILL").Run() == nil {
				break
			}
			select {
			case err := <-over:
				over <- err
			case <-time.After(20 * time.Millisecond):
				continue
			}
			break
		}
		err = <-over
	}
	<-ran
	p.running.Delete(c.Name)
	if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		return e, err
	}
	e = end{code: cmd.ProcessState.ExitCode(), oom: oomIn(config.Linux.CgroupsPath), log: log.String()}
	_ = runc("delete", "--force", id).Run()
	return e, nil
}

func oomIn(group string) bool {
	for _, file := range []string{"/sys/fs/cgroup/memory" + group + "/memory.oom_control", "/sys/fs/cgroup" + group + "/memory.events"} {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if n, is := strings.CutPrefix(line, "oom_kill "); is && strings.TrimSpace(n) != "0" {
				return true
			}
		}
	}
	return false
}

func (p *pod) config(asked *corev1.Pod, c corev1.Container, img image, bundle string) (*specs.Spec, error) {
	hosts := "127.0.0.1\tlocalhost\n127.0.0.1\t" + asked.Spec.Hostname + "\n"
	for _, h := range asked.Spec.HostAliases {
		hosts += h.IP + "\t" + strings.Join(h.Hostnames, "\t") + "\n"
	}
	for name, text := range map[string]string{"hosts": hosts, "hostname": asked.Spec.Hostname + "\n", "resolv.conf": "", "termination-log": ""} {
		if err := os.WriteFile(filepath.Join(bundle, name), []byte(text), 0o666); err != nil {
			return nil, err
		}
	}
	user, group := asked.Spec.SecurityContext.RunAsUser, asked.Spec.SecurityContext.RunAsGroup
	if c.SecurityContext.RunAsUser != nil {
		user, group = c.SecurityContext.RunAsUser, c.SecurityContext.RunAsGroup
	}
	bind := func(from, to string, options ...string) specs.Mount {
		return specs.Mount{Type: "bind", Source: from, Destination: to, Options: append([]string{"rbind", "rprivate"}, options...)}
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		bind(bundle+"/termination-log", "/dev/termination-log"), bind(bundle+"/hosts", "/etc/hosts"),
		bind(bundle+"/hostname", "/etc/hostname"), bind(bundle+"/resolv.conf", "/etc/resolv.conf"),
	}
	for _, m := range c.VolumeMounts {
		from := filepath.Join(p.dir, "v-"+m.Name, m.SubPath)
		if err := os.MkdirAll(from, 0o750); err != nil {
			return nil, err
		}
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		mounts = append(mounts, bind(from, m.MountPath, mode))
	}
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=" + asked.Spec.Hostname}, img.env...)
	env = append(env, "KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_PORT=tcp://10.0.0.1:443")
	for _, e := range c.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	memory, quota, period := c.Resources.Limits.Memory().Value(), c.Resources.Limits.Cpu().MilliValue()*100, uint64(100000)
	s := &specs.Spec{
		Version: "1.0.2", Hostname: asked.Spec.Hostname,
		Root:   &specs.Root{Path: bundle + "/root", Readonly: c.SecurityContext.ReadOnlyRootFilesystem != nil && *c.SecurityContext.ReadOnlyRootFilesystem},
		Mounts: mounts,
		Process: &specs.Process{
			User: specs.User{UID: uint32(*user), GID: uint32(*group)}, Args: append(slices.Clone(c.Command), c.Args...), Env: env, Cwd: "/",
			NoNewPrivileges: true, Capabilities: &specs.LinuxCapabilities{},
		},
		Linux: &specs.Linux{
			CgroupsPath: p.c.group + "/" + filepath.Base(p.dir) + "/" + c.Name,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.UTSNamespace}, {Type: specs.CgroupNamespace},
				{Type: specs.NetworkNamespace, Path: p.net.path("net")}, {Type: specs.IPCNamespace, Path: p.net.path("ipc")},
			},
			Resources: &specs.LinuxResources{
				Memory: &specs.LinuxMemory{Limit: &memory, Swap: &memory}, CPU: &specs.LinuxCPU{Quota: &quota, Period: &period},
				Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
			},
			MaskedPaths:   []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	return s, nil
}

// removeGroups removes the control groups of pods, which runc leaves as folders of its containers' groups.
func removeGroups(group string) error {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*")
	for _, root := range append(roots, "/sys/fs/cgroup") {
		var dirs []string
		_ = filepath.WalkDir(root+group, func(at string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, at)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
				return fmt.Errorf("remove the control group %s: %w", dir, err)
			}
		}
	}
	return nil
}
