package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// Labels of a container: which folder of servers it is of, which of the servers there, and which step.
const (
	labelDir      = "conveyor.dir"
	labelInstance = "conveyor.server"
	labelStep     = "conveyor.step"
)

// create makes the container of a step.
func (s *Sandbox) create(ctx context.Context, name string, spec sandbox.Spec, l sandbox.Limits, r *room, image looked) error {
	host := s.host(l, image.volumes)
	env := spec.Environ(usualPath, homeDir, "/tmp", workDir, secretsDir)
	host.NetworkMode, host.ReadonlyRootfs, host.Mounts = "none", true, s.mounts(spec, r)
	host.DNS, host.DNSSearch = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, []string{"."} // or the engine shows this machine's
	for _, service := range spec.Services {
		host.ExtraHosts = append(host.ExtraHosts, service.Name+":127.0.0.1")
		host.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"} // servers in images listen on 80 as they please
	}
	_, err := s.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, HostConfig: host, Config: &container.Config{
		Image: spec.Root.Ref, Hostname: hostName, User: fmt.Sprintf("%d:%d", s.user, s.user), Env: env, WorkingDir: workDir,
		Entrypoint: []string{"/bin/sh", "-c", firstProcess(spec, env), "step", path.Join(workDir, spec.Dir)}, Cmd: spec.Shell,
		OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Healthcheck: image.health(),
		Labels:      s.labels(spec),
	}})
	return err
}

func (s *Sandbox) labels(spec sandbox.Spec) map[string]string {
	return map[string]string{labelDir: s.options.Dir, labelInstance: s.instance.Name, labelStep: spec.ID}
}

// host is what a step's container and those of its services have in common.
func (s *Sandbox) host(l sandbox.Limits, hides []string) *container.HostConfig {
	no, pids := false, l.PIDs
	host := &container.HostConfig{
		CapDrop:       []string{"ALL"},
		SecurityOpt:   []string{"no-new-privileges", "seccomp=" + s.filter},
		MaskedPaths:   slices.Concat(box.Masked, maskedSys),
		ReadonlyPaths: box.ReadOnly,
		CgroupnsMode:  "private",
		IpcMode:       "private",
		ShmSize:       l.Tmp,
		OomScoreAdj:   500, // when the machine itself runs out of memory, steps go before the server does
		LogConfig:     container.LogConfig{Type: "none"},
		Tmpfs:         map[string]string{},
		Init:          &no, // a step's first process reaps by itself
		Resources: container.Resources{
			Memory: l.Memory, MemorySwap: l.Memory, // in all: no swap
			PidsLimit: &pids, CPUPeriod: 100000, CPUQuota: max(1000, int64(l.CPUs*100000)),
			Ulimits: []*container.Ulimit{{Name: "core"}, {Name: "fsize", Soft: l.Disk, Hard: l.Disk}},
		},
	}
	if n := int64(s.files); n > 0 {
		host.Ulimits = append(host.Ulimits, &container.Ulimit{Name: "nofile", Soft: n, Hard: n})
	}
	var processes unix.Rlimit
	if s.about.name == "podman" && unix.Getrlimit(unix.RLIMIT_NPROC, &processes) == nil { // as with files: it would raise it
		most := int64(min(processes.Max, 32768)) // of all steps together; each one's own is in its group
		host.Ulimits = append(host.Ulimits, &container.Ulimit{Name: "nproc", Soft: most, Hard: most})
	}
	for _, at := range hides { // else the engine makes a folder of this machine's disk for it
		host.Tmpfs[at] = fmt.Sprintf("rw,nosuid,nodev,exec,mode=1777,size=%d", l.Tmp)
	}
	return host
}

// makeFilter takes the box's filter of system calls, in the engine's form, which is OCI's. Engines before version 23 do not know what
// the default answer is, and say EPERM: libraries ask for this one first, and have to hear that it is not there.
//
// Docker takes the text, and Podman the path of a file on its machine, which is this one.
func (s *Sandbox) makeFilter() error {
	f := box.SystemCalls()
	enosys := uint(unix.ENOSYS)
	f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: &enosys})
	text, err := json.Marshal(f)
	if s.filter = string(text); err != nil || s.about.name != "podman" {
		return err
	}
	s.filter = filepath.Join(s.options.Dir, "filter.json")
	return os.WriteFile(s.filter, text, 0o600)
}

const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// maskedSys is what an engine shows of this machine's hardware and kernel, and a step has no need of.
var maskedSys = []string{"/sys/block", "/sys/bus", "/sys/class", "/sys/dev", "/sys/devices", "/sys/hypervisor", "/sys/kernel", "/sys/module", "/sys/power"}

// mounts are the step's folders and files, in the order in which they lie one in the other.
func (s *Sandbox) mounts(spec sandbox.Spec, r *room) []mount.Mount {
	at := func(source, target string, readonly bool) mount.Mount {
		return mount.Mount{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readonly, BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate}}
	}
	all := []mount.Mount{
		at(r.given(scriptFile), scriptFile, true), at(r.given("/passwd"), "/etc/passwd", true), at(r.given("/group"), "/etc/group", true),
		at(r.writable("/tmp"), "/tmp", false), at(r.writable("/home"), homeDir, false), at(spec.Workspace, workDir, false),
	}
	if len(spec.Secrets) > 0 {
		all = append(all, at(r.given("/secrets"), secretsDir, true))
	}
	for _, f := range spec.Folders {
		target := path.Join(workDir, f.Target)
		if below, home := strings.CutPrefix(f.Target, "~/"); home {
			target = path.Join(homeDir, below)
		}
		all = append(all, at(f.Source, target, false))
	}
	return all
}

// openFiles is how many files a process may have open: no more than the engine gives by itself, for raising would need a
// capability that it may not have.
func openFiles(hard string) uint64 {
	if n := number(hard); n > 0 {
		return uint64(min(n, 65536)) // old programs close every number up to the limit when they start
	}
	if hard == "unlimited" {
		return 65536
	}
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &own) == nil {
		return min(own.Max, 65536)
	}
	return 1024
}
