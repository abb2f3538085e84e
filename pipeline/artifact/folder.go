package artifact

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is an open directory of a workspace that may change under our hands. Everything is opened relative to it, one
// name at a time, never through a link, and never waiting for the other end of a pipe. os.Root would keep us inside,
// too, but opens a folder that was swapped for a pipe without O_NONBLOCK, and then hangs.
type folder struct {
	file *os.File
	fd   int
}

func openRoot(path string) (folder, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY, 0)
	if err != nil {
		return folder{}, err
	}
	return folder{f, int(f.Fd())}, nil
}

func (d folder) close() { _ = d.file.Close() }

func (d folder) openat(name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(d.fd, name, flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

func (d folder) folder(name string) (folder, error) {
	fd, err := d.openat(name, unix.O_DIRECTORY) // fails on a pipe before it waits
	if err != nil {
		return folder{}, err
	}
	return folder{os.NewFile(uintptr(fd), name), fd}, nil
}

// descend opens a folder below d, given by a clean relative path; "" is d itself, opened once more.
func (d folder) descend(path string) (folder, error) {
	at, err := d.folder(".")
	if err != nil || path == "" {
		return at, err
	}
	for name := range strings.SplitSeq(path, "/") {
		next, err := at.folder(name)
		at.close()
		if err != nil {
			return folder{}, err
		}
		at = next
	}
	return at, nil
}

// identity is what tells one file from another that took its place.
type identity struct{ dev, ino uint64 }

func (d folder) lstat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		err = &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return st, err
}

func (d folder) readlink(name string) (string, error) {
	var b [maxPath + 1]byte
	n, err := unix.Readlinkat(d.fd, name, b[:])
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(b[:n]), nil // a longer target is cut here and refused by its length
}

// errChanged is what a step's left-over processes cause.
var errChanged = errors.New("it changed while it was stored; the step must end all its processes first")

// plain is an open regular file. It is read without the runtime's poller, which plain files do not need.
type plain int

func (f plain) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), p)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (f plain) Close() error { return unix.Close(int(f)) }

// regular opens a file that was seen as a regular one, and refuses whatever else stands there now.
func (d folder) regular(name string, want identity, size int64) (plain, error) {
	fd, err := d.openat(name, unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || identityOf(st) != want || st.Size != size {
		_ = unix.Close(fd)
		return -1, errChanged
	}
	return plain(fd), nil
}

func identityOf(st unix.Stat_t) identity { return identity{uint64(st.Dev), st.Ino} }

// steady reads a file of a known size and fails when it has grown or shrunk, so that a growing file ends the read.
type steady struct {
	r    io.Reader
	left int64
	stop func() error // why to stop early, or nil
}

func (s *steady) Read(p []byte) (int, error) {
	if err := s.stop(); err != nil {
		return 0, err
	}
	if s.left == 0 {
		var one [1]byte
		if n, err := s.r.Read(one[:]); n > 0 {
			return 0, errChanged
		} else if err != nil {
			return 0, err // io.EOF when all is well
		}
		return 0, io.ErrNoProgress
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = errChanged
	} else if err == io.EOF {
		err = nil // asked once more, it must end right here
	}
	return n, err
}
