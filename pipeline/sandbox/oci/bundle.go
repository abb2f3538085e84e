package oci

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// writeBundle writes one of a bundle's files for the runtime.
// https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md
func writeBundle(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}

// config is a box, with a process in it. tmp bounds its shared memory.
func (s *Sandbox) config(process *specs.Process, tmp int64, g *group, net *network) specs.Spec {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(s.options.FirstID), Size: idCount}}
	readOnly := box.ReadOnly
	if s.alone {
		ids = []specs.LinuxIDMapping{{ContainerID: userID, HostID: 0, Size: 1}}
		readOnly = append([]string{"/dev"}, readOnly...) // it belongs to who makes it, and there is nobody but the step's user
	}
	linux := &specs.Linux{
		UIDMappings: ids,
		GIDMappings: ids,
		Namespaces: []specs.LinuxNamespace{
			{Type: specs.UserNamespace}, {Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.IPCNamespace},
			{Type: specs.UTSNamespace}, {Type: specs.CgroupNamespace},
		},
		MaskedPaths:   box.Masked,
		ReadonlyPaths: readOnly,
	}
	if !net.shared() { // else it is the one that the runtime is started in
		linux.Namespaces = append(linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	annotations := map[string]string{}
	if s.filter != nil {
		annotations[compiledFilter] = base64.StdEncoding.EncodeToString(s.filter)
	} else {
		linux.Seccomp = box.SystemCalls()
	}
	if !s.engine.joins && g.c.version > 0 {
		linux.CgroupsPath = g.runtimePath()
	}
	return specs.Spec{
		Version:  "1.0.2", // what the oldest of the runtimes knows
		Hostname: hostName,
		Root:     &specs.Root{Path: s.host.stage + rootDir},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(tmp, 10)}},
		},
		Process:     process,
		Linux:       linux,
		Annotations: annotations,
	}
}

// stepProcess is the first process of a step's box.
func (s *Sandbox) stepProcess(shell []string, spec sandbox.Spec, l sandbox.Limits) *specs.Process {
	p := plainProcess(l)
	p.User = specs.User{UID: userID, GID: userID}
	if spec.Superuser {
		p.User = specs.User{}
		p.Capabilities = overItsOwn()
	}
	p.Args = append([]string{"/bin/sh", "-c", s.firstProcess(spec, l), "step", workDir + "/" + spec.Dir}, shell...)
	p.Env, p.Cwd = spec.Environ(s.host.path, homeDir, "/tmp", workDir, secretsDir), workDir
	return p
}

// plainProcess is a process without any right.
func plainProcess(l sandbox.Limits) *specs.Process {
	worse := 500 // when the machine itself runs out of memory, steps go before the server does
	return &specs.Process{Capabilities: &specs.LinuxCapabilities{}, NoNewPrivileges: true, Rlimits: rlimits(l), OOMScoreAdj: &worse}
}

// firstProcess is what the first process of the box does: say that the box stands; run the script; reap orphans
// meanwhile; end, and everything with it. The folder and the shell are arguments, and never part of these
// words. The script's output and errors go to one pipe. The first process's own errors
// go where the runtime's go, so that a shell's "Killed" is not taken for the step's;
// that is why there are brackets: some shells redirect themselves for a plain command.
//
// Secrets that are variables, too, are read from a file: so they are in no bundle, and in the environment of the script
// alone.
func (s *Sandbox) firstProcess(spec sandbox.Spec, l sandbox.Limits) string {
	variables, first := "", ""
	if s.cgroups.version == 0 {
		first = ownProcesses(l)
	}
	if secret.Script(spec.Secrets) != "" {
		variables = ". " + variablesFile + "; "
	}
	says, shut := strconv.Itoa(s.engine.says), ""
	if s.engine.says > 2 {
		shut = " " + says + ">&-"
	}
	return first + "echo >&" + says + `; (cd "$1" 2>&1 || exit 1; shift; command -v "$1" >/dev/null 2>&1 || { echo "` + sandbox.NoShell + `$1"; exit 127; }; ` +
		variables + `exec "$@" ` + scriptFile + " </dev/null 2>&1" + shut + "); exit $?"
}

// rlimits only ever lower what the server has: raising would need a capability that it may not have.
func rlimits(l sandbox.Limits) []specs.POSIXRlimit {
	limits := []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		n := min(files.Max, 65536) // old programs close every number up to the limit when they start
		limits = append(limits, specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Hard: n, Soft: n})
	}
	var size unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &size); err == nil {
		n := min(size.Max, uint64(l.Disk))
		limits = append(limits, specs.POSIXRlimit{Type: "RLIMIT_FSIZE", Hard: n, Soft: n})
	}
	return limits
}

// ownProcesses bounds processes without a cgroup. They are counted for each user of each user namespace since Linux 5.14,
// and no other box has this one's. So it has to be said in the box: the runtime would count what is beside it. One shell
// calls that -u, another -p; when neither takes it, the step does not run.
func ownProcesses(l sandbox.Limits) string {
	n := l.PIDs
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &now); err == nil && now.Max < uint64(n) {
		n = int64(now.Max)
	}
	return fmt.Sprintf("ulimit -u %d 2>/dev/null || ulimit -p %[1]d || exit 1; ", n)
}
