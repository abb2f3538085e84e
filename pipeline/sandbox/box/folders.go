package box

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// MakeFolder opens a folder below base, and makes it, and those above it, when they are not there. What is made belongs to
// uid and gid. A link or a file on the way is an error: what a commit says is not followed.
func MakeFolder(base, below string, uid, gid int) (fd int, err error) {
	at, err := unix.Open(base, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for name := range strings.SplitSeq(below, "/") {
		made := unix.Mkdirat(at, name, 0o755)
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == nil && made == nil {
			err = unix.Fchownat(next, "", uid, gid, unix.AT_EMPTY_PATH)
		}
		_ = unix.Close(at)
		if err != nil {
			if next >= 0 {
				_ = unix.Close(next)
			}
			return -1, fmt.Errorf("%s: %w", name, err)
		}
		at = next
	}
	return at, nil
}
