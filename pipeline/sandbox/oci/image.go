package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Folders of the bundle of a step that runs in an image.
const (
	ownDir   = "/own"    // what is the box's own: it lies over the image
	lowerDir = "/layers" // links to the image's layers: their names are long, and a mount takes one page of them
)

// mountImage puts the image and what is the box's own together at root, read-only, and says which shell there is.
//
// What is the box's own is the uppermost of the lower folders. So each place at which something is mounted afterwards is a
// folder of ours, whatever the image has there: a link at /tmp is hidden, and never followed.
func (s *Sandbox) mountImage(at string, r *sandbox.Root, hosts []byte, g *group) (shell string, err error) {
	if err := s.ownFiles(at+ownDir, hosts, g); err != nil {
		return "", err
	}
	lower, err := s.lower(at, r)
	if err != nil {
		return "", err
	}
	mount := func() error {
		if err := unix.Chdir(at + lowerDir); err != nil { // of this thread only
			return err
		}
		err := unix.Mount("conveyor", at+rootDir, "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "lowerdir="+lower)
		return errors.Join(err, unix.Chdir("/"))
	}
	if err := os.Mkdir(at+rootDir, 0o755); err != nil {
		return "", err
	}
	if err := mount(); err != nil {
		return "", fmt.Errorf("mount the image %s: %w", r.Name, err)
	}
	root, err := os.Open(at + rootDir)
	if err != nil {
		return "", err
	}
	shell, err = s.shellOf(root, r)
	added := false
	if err == nil {
		added, err = s.addUser(root, at+ownDir)
	}
	if err := errors.Join(err, root.Close()); err != nil {
		return "", err
	}
	if added { // a folder below a mount may not change
		if err := unix.Unmount(at+rootDir, 0); err != nil {
			return "", fmt.Errorf("mount the image %s again: %w", r.Name, err)
		}
		if err := mount(); err != nil {
			return "", fmt.Errorf("mount the image %s again: %w", r.Name, err)
		}
	}
	return shell, nil
}

// lower links an image's layers, and names them as an overlay mount takes them from there: what is the box's own is over them.
func (s *Sandbox) lower(at string, r *sandbox.Root) (string, error) {
	if len(r.Layers) == 0 {
		return "", s.unfit(r, "it is empty")
	}
	if err := os.Mkdir(at+lowerDir, 0o700); err != nil {
		return "", err
	}
	for i, layer := range r.Layers {
		name := strconv.Itoa(len(r.Layers) - 1 - i) // the uppermost first
		if err := os.Symlink(layer, filepath.Join(at+lowerDir, name)); err != nil {
			return "", err
		}
	}
	return lowerOf(r), nil
}

// lowerOf are the names of those links, and what is the box's own over them.
func lowerOf(r *sandbox.Root) string {
	lower := "../own"
	for i := range r.Layers {
		lower += ":" + strconv.Itoa(i)
	}
	return lower
}

// ownFiles makes the places for what is mounted, and the few files that are about the box and not about the image.
func (s *Sandbox) ownFiles(own string, hosts []byte, g *group) error {
	if g.c.version == 1 {
		for _, name := range needed {
			if err := os.MkdirAll(filepath.Join(own, "/sys/fs/cgroup", name), 0o755); err != nil {
				return err
			}
		}
	}
	for name, text := range map[string][]byte{"hosts": hosts, "hostname": []byte(hostName + "\n")} {
		if err := os.WriteFile(filepath.Join(own, "etc", name), text, 0o444); err != nil {
			return err
		}
	}
	return filepath.WalkDir(own, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, s.options.FirstID, s.options.FirstID) // programs look whether / and /etc are root's
	})
}

// shellOf finds the image's shell, by the image's own links.
func (s *Sandbox) shellOf(root *os.File, r *sandbox.Root) (string, error) {
	if !isProgram(root, "/bin/sh") {
		return "", s.unfit(r, "it has no shell at /bin/sh, and without one no commands can run in it: choose an image with a shell")
	}
	for _, bash := range []string{"/bin/bash", "/usr/bin/bash"} {
		if isProgram(root, bash) {
			return bash + " -e -o pipefail", nil
		}
	}
	return "/bin/sh -e", nil
}

func isProgram(root *os.File, path string) bool {
	fd, err := inImage(root, path, unix.O_PATH)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0
}

// inImage opens a path as a process in the image would: an absolute link leads to the image's root, and none leads out.
func inImage(root *os.File, path string, flags uint64) (int, error) {
	return unix.Openat2(int(root.Fd()), path, &unix.OpenHow{
		Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
}

// addUser gives the step's user and group a name where the image has none for them: many programs want one.
func (s *Sandbox) addUser(root *os.File, own string) (added bool, err error) {
	for name, line := range map[string]string{
		"passwd": fmt.Sprintf("build:x:%d:%d:build:%s:/bin/sh\n", userID, userID, homeDir), "group": fmt.Sprintf("build:x:%d:\n", userID),
	} {
		text := readInImage(root, "/etc/"+name)
		if named(text) {
			continue
		}
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, '\n')
		}
		path := filepath.Join(own, "etc", name)
		if err := errors.Join(os.WriteFile(path, append(text, line...), 0o444), os.Chown(path, s.options.FirstID, s.options.FirstID)); err != nil {
			return false, err
		}
		added = true
	}
	return added, nil
}

// readInImage is a small file of the image, nothing when there is none.
func readInImage(root *os.File, path string) []byte {
	fd, err := inImage(root, path, unix.O_RDONLY|unix.O_NONBLOCK) // it may be a pipe
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxEtcFile {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxEtcFile))
	if err != nil {
		return nil
	}
	return text
}

// named reports whether a passwd or group file knows the step's number.
func named(text []byte) bool {
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && strings.TrimSpace(f[2]) == strconv.Itoa(userID) {
			return true
		}
	}
	return false
}

// unfit is an image in which no step can run. That is the plan's doing: another try would end in the same way.
type unfit struct{ why string }

func (u *unfit) Error() string { return u.why }

func (s *Sandbox) unfit(r *sandbox.Root, why string) error {
	return &unfit{fmt.Sprintf("nothing can run in the image %s: %s", r.Name, why)}
}

// unfitVerdict is the verdict of a step whose image is unfit; 127 is what shells say of a program that is not there.
func unfitVerdict(err error) (v sandbox.Verdict, is bool) {
	u, is := errors.AsType[*unfit](err)
	if !is {
		return v, false
	}
	return sandbox.Verdict{Outcome: sandbox.Exited, ExitCode: 127, Reason: u.why}, true
}

// brokenShell tells, by what the runtime says, that the image has a shell that cannot be started: it was made for another
// processor, or lacks its libraries.
func (s *Sandbox) brokenShell(r *sandbox.Root, complaint string) error {
	if r == nil {
		return nil
	}
	if said := strings.ToLower(complaint); strings.Contains(said, "exec") && (strings.Contains(said, "/bin/sh") || strings.Contains(said, "format error")) {
		return s.unfit(r, "its shell cannot be started, as "+s.engine.name+" says: "+complaint)
	}
	return nil
}
