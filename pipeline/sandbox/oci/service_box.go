package oci

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Beside what is in every bundle, that of a service has these.
const (
	upperDir  = "/written"    // a file system in memory: what the service writes
	readyFile = "/ready.json" // the process of its ready command
)

// layOutService makes the bundle of a service, as layOut does for a step: its image, over which it may write in memory.
func (s *Sandbox) layOutService(at string, spec sandbox.Spec, b *serving) (string, error) {
	if len(b.service.Command) == 0 {
		return "", &unfit{"its image " + b.service.Root.Name + " has no command: say one"}
	}
	if err := unix.Mount("conveyor", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64m"); err != nil {
		return "", fmt.Errorf("make the bundle: %w", err)
	}
	for _, dir := range []string{"", "/dev", "/proc", "/sys/fs/cgroup", "/etc", "/tmp"} {
		if err := os.MkdirAll(at+ownDir+dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := unix.Chmod(at+ownDir+"/tmp", 0o1777); err != nil {
		return "", err
	}
	if err := s.ownFiles(at+ownDir, hosts(spec.Services), b.group); err != nil {
		return "", err
	}
	if err := s.mountWritable(at, b); err != nil {
		return "", err
	}
	root, err := os.Open(at + rootDir)
	if err != nil {
		return "", err
	}
	process, err := s.serviceProcess(root, spec, b)
	if err := errors.Join(err, root.Close()); err != nil {
		return "", err
	}
	if err := showLimits(at+rootDir, b.group); err != nil {
		return "", err
	}
	asks := *process
	if asks.Args = b.service.Ready.Command; len(asks.Args) > 0 {
		if err := writeBundle(at+readyFile, asks); err != nil {
			return "", err
		}
	}
	return s.finishBundle(at, s.config(process, b.limits.Tmp, b.group, b.net))
}

// mountWritable puts the image together, with a file system in memory over it.
func (s *Sandbox) mountWritable(at string, b *serving) error {
	lower, err := s.lower(at, b.service.Root)
	if err != nil {
		return err
	}
	if err := os.Mkdir(at+rootDir, 0o755); err != nil {
		return err
	}
	return s.mountOver(at, lower, b.service.Root.Name, b.limits.Disk, b.limits.Files)
}

func (s *Sandbox) serviceProcess(root *os.File, spec sandbox.Spec, b *serving) (*specs.Process, error) {
	who, err := findUser(root, b.service.User)
	if err != nil {
		return nil, err
	}
	l := b.limits
	l.Disk = math.MaxInt64 // it is bounded by the file system that it writes to, and told so in the usual way
	p := plainProcess(l)
	p.Args, p.Cwd = b.service.Command, path.Join("/", b.service.Dir)
	p.User = specs.User{UID: who.uid, GID: who.gid, AdditionalGids: who.more}
	p.Env = b.service.Environ(who.home, spec.Out != nil, spec.Services)
	if who.uid == 0 {
		p.Capabilities = overItsOwn()
	}
	fd, err := inImage(root, p.Cwd, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, &unfit{fmt.Sprintf("its image %s has no folder %s", b.service.Root.Name, p.Cwd)}
	}
	return p, unix.Close(fd)
}

// who is a user of an image.
type who struct {
	uid, gid uint32
	more     []uint32 // further groups
	home     string
}

// findUser looks a user up, as an image's configuration names it: "redis", "999", "redis:redis", "999:999", or nothing for
// root. https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
func findUser(root *os.File, name string) (w who, err error) {
	name, group, grouped := strings.Cut(name, ":")
	if name == "" {
		name = "0"
	}
	w.home = "/"
	number, isNumber := idOf(name)
	known := false
	for f := range entries(readInImage(root, "/etc/passwd"), 7) {
		uid, ok := idOf(f[2])
		gid, fine := idOf(f[3])
		if ok && fine && (f[0] == name || isNumber && uid == number) {
			w.uid, w.gid, known = uid, gid, true
			w.home = path.Join("/", f[5])
			name = f[0]
			break
		}
	}
	switch {
	case !known && isNumber:
		w.uid = number
	case !known:
		return w, &unfit{fmt.Sprintf("its image has no user %.80q", name)}
	}
	for f := range entries(readInImage(root, "/etc/group"), 4) {
		gid, ok := idOf(f[2])
		switch {
		case !ok:
		case grouped && f[0] == group:
			w.gid, group = gid, strconv.Itoa(int(gid))
		case !grouped && gid != w.gid && len(w.more) < 100:
			for member := range strings.SplitSeq(f[3], ",") {
				if member == name {
					w.more = append(w.more, gid)
				}
			}
		}
	}
	if grouped {
		gid, ok := idOf(group)
		if !ok {
			return w, &unfit{fmt.Sprintf("its image has no group %.80q", group)}
		}
		w.gid = gid
	}
	return w, nil
}

// idOf is a user's or group's number, when there is one of that number in a box.
func idOf(text string) (id uint32, ok bool) {
	n, err := strconv.ParseUint(text, 10, 16) // idCount of them
	return uint32(n), err == nil
}

// entries are the lines of a passwd or group file that have so many fields.
func entries(text []byte, fields int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(string(text)) {
			if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) >= fields && !yield(f) {
				return
			}
		}
	}
}

// logged is a command line of the runtime with which it says on the file 3 what went wrong, and not among what the box says.
func (e engine) logged(bundle string, args ...string) []string {
	all := []string{e.path, "--root", bundle + stateDir, "--log", "/proc/self/fd/3"}
	if e.name == "crun" {
		all = append(all, "--cgroup-manager", "disabled")
	}
	return append(all, args...)
}

// runIn runs the ready command of a service in its box, and waits for its end. What it leaves behind ends with the service.
// The process is written down as the service's own was, so that it has its user, its rights and its filter.
func (s *Sandbox) runIn(ctx context.Context, b *serving) error {
	kept, err := s.keeper.hold()
	if err != nil {
		return err
	}
	says, err := newPipe()
	if err != nil {
		return err
	}
	defer func() { _ = says.ours.Close() }()
	cmd := &exec.Cmd{
		Args:   s.engine.logged(s.host.stage, "exec", "--process", s.host.stage+readyFile, b.id),
		Stdout: says.theirs, Stderr: says.theirs, ExtraFiles: []*os.File{says.theirs},
	}
	err = onOwnThread(func() error {
		if err := b.net.enter(); err != nil { // the runtime joins what it has made, and it has not made that
			return err
		}
		if err := enterMounts(b.cmd.Process.Pid); err != nil {
			return err
		}
		if err := kept.enterPIDs(); err != nil {
			return err
		}
		return s.launch(b.group, cmd)
	})
	_ = says.theirs.Close()
	if err != nil {
		return err
	}
	b.asked.Forget()
	exit, read := waited(cmd), make(chan struct{})
	go func() {
		defer close(read)
		_ = pump(says.ours, &b.asked)
	}()
	select {
	case <-exit:
	case <-b.exit:
	case <-ctx.Done():
	}
	_ = cmd.Process.Kill() // most have ended
	<-exit
	_ = says.ours.SetReadDeadline(time.Now().Add(lastWords)) // what it has started may hold the other end
	<-read
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("it ended: %s", cmd.ProcessState)
	}
	return nil
}

// enterMounts gives the calling thread the mounts of a process.
func enterMounts(pid int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the server's folder: %w", err)
	}
	mounts, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return err
	}
	defer func() { _ = mounts.Close() }()
	if err := unix.Setns(int(mounts.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the mounts of a box: %w", err)
	}
	return nil
}
