package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

// The child has a mount namespace of its own, and in it a disk of 4 MiB.
func TestAFullOrReadOnlyDiskRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	onASmallDisk(t, "full")
}

func onASmallDisk(t *testing.T, what string) {
	t.Helper()
	c := child(t, what, t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := c.Run(); err != nil {
		t.Fatalf("%v; this test mounts a tmpfs in a namespace: run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)", err)
	}
}

// disk is where the small disk is mounted.
type disk string

func mountDisk(directory string) (disk, error) {
	// Private, or the mount would be seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, "size=4m"); err != nil {
		return "", fmt.Errorf("mount a small disk: %w", err)
	}
	return disk(directory), nil
}

func (d disk) remount(flags uintptr, size string) error {
	return syscall.Mount("tmpfs", string(d), "tmpfs", syscall.MS_REMOUNT|flags, "size="+size)
}

func fillTheDisk(ctx context.Context, directory string) error {
	d, err := mountDisk(directory)
	if err != nil {
		return err
	}
	path := filepath.Join(directory, "journal.db")
	j, err := sqlite.Open(ctx, path, time.Now)
	if err != nil {
		return err
	}
	var acknowledged []string
	add := func(name string) error {
		b := one(name)
		b.Records[0].Data = make([]byte, 21<<10)
		_, err := j.Append(ctx, b)
		if err == nil {
			acknowledged = append(acknowledged, name)
		}
		return err
	}
	refuses := func(want string) error {
		for i := range 1000 {
			err := add(fmt.Sprintf("run/%s-%d", strings.Fields(want)[0], i))
			if err == nil {
				continue
			}
			if !strings.Contains(err.Error(), want) {
				return fmt.Errorf("the sentence does not say %q: %w", want, err)
			}
			if ready := j.Ready(ctx); ready == nil {
				return errors.New("the store says it is ready")
			}
			return nil
		}
		return fmt.Errorf("1000 appends were taken, the store should have said %q", want)
	}
	works := func(when string) error {
		if err := add("run/" + when); err != nil {
			return fmt.Errorf("append when %s: %w", when, err)
		}
		if err := j.Ready(ctx); err != nil {
			return fmt.Errorf("ready when %s: %w", when, err)
		}
		for _, name := range acknowledged {
			records, err := j.Read(ctx, name, 0)
			if err != nil || len(records) != 1 || len(records[0].Data) != 21<<10 {
				return fmt.Errorf("when %s: %s was acknowledged and has %d records (%v)", when, name, len(records), err)
			}
		}
		return nil
	}

	if err := refuses("the disk"); err != nil {
		return err
	}
	if err := d.remount(0, "32m"); err != nil {
		return err
	}
	if err := works("there is space again"); err != nil {
		return err
	}
	if err := j.Close(); err != nil {
		return err
	}
	if err := d.remount(syscall.MS_RDONLY, "32m"); err != nil {
		return err
	}
	if _, err := sqlite.Open(ctx, path, time.Now); err == nil {
		return errors.New("a read-only disk was opened")
	}
	if err := d.remount(0, "32m"); err != nil {
		return err
	}
	if j, err = sqlite.Open(ctx, path, time.Now); err != nil {
		return err
	}
	if err := works("it was opened again"); err != nil {
		return err
	}
	return j.Close()
}
