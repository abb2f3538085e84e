// Package layers makes writable copies of folders that nobody writes to: as overlay mounts, where nothing is copied and what
// is written lies apart, or else as real copies that share blocks where the file system can.
//
// It knows nothing of what is in the folders. Start reading at Layering.
package layers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Layering says how a writable copy is made on this machine: as an overlay mount, or by copying.
type Layering struct {
	Overlay bool
	options string // of the mount
	why     string // why there is no overlay
}

// String is how, for the operator.
func (l Layering) String() string {
	if l.Overlay {
		return "overlay (" + l.options + ")"
	}
	return "copies: " + l.why
}

// Probe tries what the kernel allows here, with a real mount in a folder of its own. volatile spares the sync at
// unmounting, which a workspace that is thrown away does not need; redirect_dir lets a step rename a folder of the
// commit, which otherwise fails with "invalid cross-device link".
func Probe(dir string) Layering {
	if strings.ContainsAny(dir, `:,\`) || len(dir) > 700 {
		return Layering{why: "the folder's path is too long or holds a colon, comma or backslash, which overlay mounts cannot take"}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var err error
	for _, options := range []string{"volatile,redirect_dir=on,index=off,metacopy=off", "redirect_dir=on,index=off,metacopy=off", "index=off"} {
		l := Layering{Overlay: true, options: options}
		if err = l.try(dir); err == nil {
			return l
		}
	}
	return Layering{why: fmt.Sprintf("overlay mounts are not possible here (%v); every workspace is a full copy, which is slower", err)}
}

// try mounts, writes through the mount and looks at what came of it.
func (l Layering) try(dir string) (err error) {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"lower", "upper", "scratch", "merged"} {
		if err := os.MkdirAll(at(name), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(at("lower"), "file"), []byte("below"), 0o600); err != nil {
		return err
	}
	if err := l.Mount([]string{at("lower")}, at("upper"), at("scratch"), at("merged")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, Unmount(at("merged"))) }()
	if err := os.WriteFile(filepath.Join(at("merged"), "file"), []byte("above"), 0o600); err != nil {
		return err
	}
	below, err := os.ReadFile(filepath.Join(at("lower"), "file"))
	if err != nil {
		return err
	}
	if string(below) != "below" {
		return errors.New("a write went through to the lower folder")
	}
	return nil
}

// Mount lays upper over lowers (the topmost first). Device files and set-user-id bits mean nothing in it.
func (l Layering) Mount(lowers []string, upper, scratch, at string) error {
	options := l.options + ",lowerdir=" + strings.Join(lowers, ":") + ",upperdir=" + upper + ",workdir=" + scratch
	if len(options) >= os.Getpagesize() {
		return errors.New("layers: the paths are too long for an overlay mount")
	}
	if err := unix.Mount("conveyor", at, "overlay", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("layers: mount an overlay: %w", err)
	}
	return nil
}

// Unmount takes a mount away: at once when nobody uses it, otherwise it vanishes now and ends with its last user. A
// folder where nothing is mounted is no error.
func Unmount(at string) error {
	err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, syscall.EBUSY) {
		err = unix.Unmount(at, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("layers: unmount a folder: %w", err)
	}
	return nil
}

// UnmountBelow takes away what a crashed server left mounted inside dir, the newest first.
func UnmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("layers: read the list of mounts: %w", err)
	}
	var points []string
	lines := bufio.NewScanner(bytes.NewReader(table))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts
		if f := strings.Fields(lines.Text()); len(f) > 4 {
			if at := unescape(f[4]); strings.HasPrefix(at, dir+"/") {
				points = append(points, at)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("layers: read the list of mounts: %w", err)
	}
	for _, at := range slices.Backward(points) {
		if err := Unmount(at); err != nil {
			return fmt.Errorf("%w; unmount %s by hand and start again", err, at)
		}
	}
	return nil
}

// unescape undoes the kernel's \040 for spaces and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
