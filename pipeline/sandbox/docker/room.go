package docker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// room is what of a box lies in memory: what the step is given, and where it may write. The folders are this server's, in
// a place that root alone may enter, and the engine shows them in the container. As soon as that stands, there is no path
// to them on this machine any more, and they are gone with the container.
type room struct {
	path  string
	shown []string // mounts of this machine
}

// Sizes of what is in memory, in bytes.
const (
	givenSize  = "64m"
	maxEtcFile = 1 << 20
)

func (r *room) given(name string) string    { return filepath.Join(r.path, "given", name) }
func (r *room) writable(name string) string { return filepath.Join(r.path, "writable", name) }

// layOut makes the room of a step.
func (s *Sandbox) layOut(spec sandbox.Spec, l sandbox.Limits) (_ *room, err error) {
	r := &room{path: filepath.Join(s.instance.Path, spec.ID)}
	if err := os.Mkdir(r.path, 0o700); err != nil {
		return nil, fmt.Errorf("note it (is the same id running?): %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.remove())
		}
	}()
	for name, size := range map[string]string{"given": givenSize, "writable": fmt.Sprint(l.Tmp)} {
		at := filepath.Join(r.path, name)
		if err := os.Mkdir(at, 0o700); err != nil {
			return nil, err
		}
		if err := unix.Mount("conveyor", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size="+size); err != nil {
			return nil, fmt.Errorf("make a folder in memory: %w", err)
		}
		r.shown = append(r.shown, at)
		if err := unix.Mount("", at, "", unix.MS_PRIVATE, ""); err != nil && !errors.Is(err, unix.EINVAL) {
			return nil, err
		}
	}
	for name, text := range map[string]string{scriptFile: spec.Script, "/passwd": "", "/group": ""} {
		if err := os.WriteFile(r.given(name), []byte(text), 0o444); err != nil {
			return nil, fmt.Errorf("write the script: %w", err)
		}
	}
	if err := s.give(r, spec.Secrets); err != nil {
		return nil, err
	}
	for name, mode := range map[string]uint32{"/home": 0o700, "/tmp": 0o1777} {
		at := r.writable(name)
		if err := errors.Join(os.Mkdir(at, 0o700), os.Chown(at, s.owner, s.owner), unix.Chmod(at, mode)); err != nil {
			return nil, fmt.Errorf("make %s: %w", name, err)
		}
	}
	if st, err := os.Lstat(spec.Workspace); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("the workspace %s is no folder: %w", spec.Workspace, errors.Join(err, unix.ENOTDIR))
	}
	for _, f := range spec.Folders {
		base := spec.Workspace
		below, home := strings.CutPrefix(f.Target, "~/")
		if home {
			base = r.writable("/home")
		}
		fd, err := box.MakeFolder(base, below, s.owner, s.owner)
		if err != nil {
			return nil, fmt.Errorf("show the folder %s: %w", f.Target, err)
		}
		_ = unix.Close(fd)
	}
	return r, nil
}

// give writes the secrets as files that only the step's user may read.
func (s *Sandbox) give(r *room, all []secret.Given) error {
	if len(all) == 0 {
		return nil
	}
	files := map[string]string{}
	for _, g := range all {
		files[g.Name] = g.Value.Reveal()
	}
	if text := secret.Script(all); text != "" {
		files[filepath.Base(variablesFile)] = text
	}
	if err := os.Mkdir(r.given("/secrets"), 0o755); err != nil {
		return fmt.Errorf("make a place for secrets: %w", err)
	}
	for name, text := range files {
		at := filepath.Join(r.given("/secrets"), name)
		if err := errors.Join(os.WriteFile(at, []byte(text), 0o400), os.Lchown(at, s.owner, s.owner)); err != nil {
			return fmt.Errorf("give the secret %s: %w", name, err)
		}
	}
	return nil
}

// hide takes the room away from this machine. The container, when there is one, keeps it.
func (r *room) hide() error {
	var all []error
	for _, at := range r.shown {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			all = append(all, fmt.Errorf("take a folder in memory away: %w", err))
		}
	}
	r.shown = nil
	return errors.Join(all...)
}

func (r *room) remove() error {
	return errors.Join(r.hide(), removeRoom(r.path))
}

// removeRoom removes an empty room, and one that a killed server has left mounted.
func removeRoom(path string) error {
	for _, name := range []string{"given", "writable"} {
		at := filepath.Join(path, name)
		for unix.Unmount(at, unix.MNT_DETACH) == nil {
		}
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
