package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// What a step finds in its box.
const (
	workDir    = "/workspace"
	homeDir    = "/home/build"
	scriptFile = "/step"
	secretsDir = "/run/secrets"
	hostName   = "conveyor"

	variablesFile = secretsDir + "/.variables" // a shell's text with the secrets that are variables
)

// layOut makes the bundle of a run in memory, in the private mount namespace of the calling thread, and returns its
// folder. Nothing of it touches a disk, not even the variables of a step with their secrets; all of it goes with the namespace.
//
// It is put together on the run's own folder and then moved to a place that everyone may pass through: the runtime looks
// at it as a user who may not enter the server's folders.
func (s *Sandbox) layOut(at string, spec sandbox.Spec, l sandbox.Limits, g *group, net *network) (string, error) {
	if err := unix.Mount("conveyor", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64m"); err != nil {
		return "", fmt.Errorf("make the bundle: %w", err)
	}
	root, own, shell := at+rootDir, at+rootDir, s.host.shell
	if spec.Root != nil {
		own = at + ownDir
	}
	for _, dir := range []string{"", "/dev", "/proc", "/sys/fs/cgroup", secretsDir, "/tmp", workDir, homeDir, "/etc"} {
		if err := os.MkdirAll(own+dir, 0o755); err != nil {
			return "", err
		}
	}
	err := os.WriteFile(own+scriptFile, []byte(spec.Script), 0o444)
	if err != nil {
		return "", fmt.Errorf("write the script: %w", err)
	}
	if spec.Root == nil {
		if err = s.host.show(root); err == nil && len(spec.Services) > 0 {
			err = os.WriteFile(root+"/etc/hosts", hosts(spec.Services), 0o444)
		}
	} else {
		var found string
		found, err = s.mountImage(at, spec.Root, hosts(spec.Services), g)
		if err == nil && spec.Superuser {
			err = s.openUp(at, spec.Root, l)
		}
		shell = strings.Fields(found)
	}
	if err != nil {
		return "", err
	}
	if len(spec.Shell) > 0 {
		shell = spec.Shell
	}
	if err := s.writable(root, spec, l); err != nil {
		return "", err
	}
	if err := s.give(root, spec.Secrets); err != nil {
		return "", err
	}
	if err := showLimits(root, g); err != nil {
		return "", err
	}
	config := s.config(s.stepProcess(shell, spec, l), l.Tmp, g, net)
	config.Root.Readonly = !spec.Superuser
	if s.engine.name == "runsc" {
		config.Mounts = append(config.Mounts, s.own(g)...)
	}
	return s.finishBundle(at, config)
}

// finishBundle writes down what the runtime is to do, and moves the bundle to where it can be run.
func (s *Sandbox) finishBundle(at string, config specs.Spec) (string, error) {
	if err := os.Mkdir(at+stateDir, 0o700); err != nil {
		return "", err
	}
	if err := writeBundle(at+configFile, config); err != nil {
		return "", err
	}
	if err := unix.Mount(at, s.host.stage, "", unix.MS_MOVE, ""); err != nil {
		return "", fmt.Errorf("move the bundle to %s: %w", s.host.stage, err)
	}
	return s.host.stage, nil
}

// show puts the host's tools and a small /etc below root.
func (h *host) show(root string) error {
	for _, l := range append(h.links, link{"/etc/mtab", "../proc/self/mounts"}, link{"/etc/os-release", "../usr/lib/os-release"}) {
		if err := os.Symlink(l.target, root+l.path); err != nil {
			return fmt.Errorf("link the tools: %w", err)
		}
	}
	for _, f := range h.etc {
		path := filepath.Join(root, "etc", f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.content, 0o444); err != nil {
			return fmt.Errorf("write /etc: %w", err)
		}
	}
	for _, path := range h.binds {
		if err := bind(path, root+path, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	return nil
}

// writable makes the three places that a step may write: the workspace, and /tmp and the home folder in memory.
func (s *Sandbox) writable(root string, spec sandbox.Spec, l sandbox.Limits) error {
	uid, gid := s.Owner()
	if err := unix.Mount("tmp", root+"/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=0755,size=%d", l.Tmp)); err != nil {
		return fmt.Errorf("make /tmp: %w", err)
	}
	// One filesystem bounds both; /tmp proper is a folder of it, so that the home folder cannot be seen there.
	home, tmp := root+"/tmp/home", root+"/tmp/tmp"
	for dir, mode := range map[string]os.FileMode{home: 0o700, tmp: 0o1777} {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, uid, gid), unix.Chmod(dir, uint32(mode))); err != nil {
			return fmt.Errorf("make /tmp: %w", err)
		}
	}
	const attr = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	if err := bind(home, root+homeDir, attr); err != nil {
		return err
	}
	if err := bind(tmp, root+"/tmp", attr); err != nil {
		return err
	}
	if st, err := os.Lstat(spec.Workspace); err != nil || !st.IsDir() {
		return fmt.Errorf("the workspace %s is no folder: %w", spec.Workspace, errors.Join(err, unix.ENOTDIR))
	}
	if err := bind(spec.Workspace, root+workDir, attr); err != nil {
		return err
	}
	for _, f := range spec.Folders {
		if err := s.showFolder(root, f, attr); err != nil {
			return fmt.Errorf("show the folder %s: %w", f.Target, err)
		}
	}
	return nil
}

// showLimits lets programs read the step's limits where they look for them: the Java, Node and Go runtimes size
// themselves by the group, and would take the whole machine otherwise.
func showLimits(root string, g *group) error {
	const attr = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	switch g.c.version {
	case 0:
		return nil
	case 2:
		return bind(g.v2(), root+"/sys/fs/cgroup", attr)
	}
	for _, name := range needed {
		if err := bind(g.v1(name), filepath.Join(root, "/sys/fs/cgroup", name), attr); err != nil {
			return err
		}
	}
	return nil
}

// bind shows the folder or file from at to, with what is mounted below it, and with attr on all of it from the first moment.
func bind(from, to string, attr uint64) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("show %s: %w", from, err)
	}
	defer func() { _ = unix.Close(tree) }()
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attr}); err != nil {
		return fmt.Errorf("show %s (Linux 5.12 or newer is needed): %w", from, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return fmt.Errorf("show %s: %w", from, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.MkdirAll(to, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
		if err = os.WriteFile(to, nil, 0o444); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("make a place for %s: %w", strings.TrimPrefix(to, "/"), err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("show %s: %w", from, err)
	}
	return nil
}
