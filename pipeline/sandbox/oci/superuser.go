package oci

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// overItsOwn are the rights of who runs as root of its box: those with which packages are installed, and with which
// entrypoints of images give folders to a user and then become that user. They count for the ids of the box alone, in which
// there is nothing but the image, the workspace and itself: no device, no mount, no network can be changed by them.
func overItsOwn() *specs.LinuxCapabilities {
	all := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"}
	return &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
}

// GivesRoot says whether steps may be root of their boxes: in a user namespace, in which root is a user of no power outside.
func (s *Sandbox) GivesRoot() error {
	if s.engine.name == "runsc" {
		return errors.New("no step is root with gVisor, which mounts what it runs read-only: choose crun or runc")
	}
	return nil
}

// openUp mounts a step's image once more, with a file system in memory over it.
func (s *Sandbox) openUp(at string, r *sandbox.Root, l sandbox.Limits) error {
	if err := unix.Unmount(at+rootDir, 0); err != nil {
		return fmt.Errorf("mount the image %s again: %w", r.Name, err)
	}
	return s.mountOver(at, lowerOf(r), r.Name, l.Tmp, l.Files)
}

// mountOver mounts what is below, and over it a file system in memory that takes what is written, of so many bytes and files.
func (s *Sandbox) mountOver(at, lower, name string, bytes, files int64) error {
	if err := os.Mkdir(at+upperDir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("written", at+upperDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=0755,size=%d,nr_inodes=%d", bytes, files)); err != nil {
		return fmt.Errorf("make a place for what is written: %w", err)
	}
	upper, work := at+upperDir+"/upper", at+upperDir+"/work"
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Chown(upper, s.options.FirstID, s.options.FirstID), os.Mkdir(work, 0o700)); err != nil {
		return err
	}
	if err := unix.Chdir(at + lowerDir); err != nil { // of this thread only
		return err
	}
	err := unix.Mount("conveyor", at+rootDir, "overlay", unix.MS_NOSUID|unix.MS_NODEV, "lowerdir="+lower+",upperdir=.."+upperDir+"/upper,workdir=.."+upperDir+"/work")
	if err := errors.Join(err, unix.Chdir("/")); err != nil {
		return fmt.Errorf("mount the image %s: %w", name, err)
	}
	return nil
}
