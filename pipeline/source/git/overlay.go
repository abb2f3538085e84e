package git

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

// layering says how a writable copy is made on this machine: as an overlay mount, or by copying.
type layering struct {
	overlay bool
	options string // of the mount
	why     string // why there is no overlay
}

func (l layering) String() string {
	if l.overlay {
		return "overlay (" + l.options + ")"
	}
	return "copies: " + l.why
}

// probe tries what the kernel allows here, with a real mount in a folder of its own. volatile spares the sync at
// unmounting, which a workspace that is thrown away does not need; redirect_dir lets a step rename a folder of the
// commit, which otherwise fails with "invalid cross-device link".
func probe(dir string) layering {
	if strings.ContainsAny(dir, `:,\`) || len(dir) > 700 {
		return layering{why: "the folder's path is too long or holds a colon, comma or backslash, which overlay mounts cannot take"}
	}
	defer os.RemoveAll(dir)
	var err error
	for _, options := range []string{"volatile,redirect_dir=on,index=off,metacopy=off", "redirect_dir=on,index=off,metacopy=off", "index=off"} {
		l := layering{overlay: true, options: options}
		if err = l.try(dir); err == nil {
			return l
		}
	}
	return layering{why: fmt.Sprintf("overlay mounts are not possible here (%v); every workspace is a full copy, which is slower", err)}
}

// try mounts, writes through the mount and looks at what came of it.
func (l layering) try(dir string) (err error) {
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
	if err := l.mount([]string{at("lower")}, at("upper"), at("scratch"), at("merged")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount(at("merged"))) }()
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

// mount lays upper over lowers (the topmost first). Device files and set-user-id bits mean nothing in it.
func (l layering) mount(lowers []string, upper, scratch, at string) error {
	options := l.options + ",lowerdir=" + strings.Join(lowers, ":") + ",upperdir=" + upper + ",workdir=" + scratch
	if len(options) >= os.Getpagesize() {
		return errors.New("source: the paths are too long for an overlay mount")
	}
	if err := unix.Mount("conveyor", at, "overlay", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("source: mount an overlay: %w", err)
	}
	return nil
}

// unmount takes a mount away: at once when nobody uses it, otherwise it vanishes now and ends with its last user. A
// folder where nothing is mounted is no error.
func unmount(at string) error {
	err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, syscall.EBUSY) {
		err = unix.Unmount(at, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("source: unmount a workspace: %w", err)
	}
	return nil
}

// unmountBelow takes away what a crashed server left mounted inside dir, the newest first.
func unmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("source: read the list of mounts: %w", err)
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
		return fmt.Errorf("source: read the list of mounts: %w", err)
	}
	for _, at := range slices.Backward(points) {
		if err := unmount(at); err != nil {
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
