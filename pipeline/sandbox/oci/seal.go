package oci

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// sealed is a copy of a program in memory that nobody can change any more, whatever rights they have.
//
// crun must not be run from a file that a box could write to (CVE-2019-5736), so at each start it makes itself such a
// copy, or a mount that cannot be written, and runs itself again from there. Started from a sealed copy it sees that it
// need not: one copy serves all steps, and each start is spared a mount and a second loading of the program.
func sealed(path string) (_ *os.File, err error) {
	from, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.Close() }()
	kind := make([]byte, 4)
	if _, err := from.ReadAt(kind, 0); err != nil || string(kind) != "\x7fELF" {
		return nil, fmt.Errorf("copy %s into memory: a script around it can only be run from its file", path)
	}
	fd, err := unix.MemfdCreate("conveyor-runtime", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all of them can be executed
		fd, err = unix.MemfdCreate("conveyor-runtime", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("copy %s into memory: %w", path, err)
	}
	to := os.NewFile(uintptr(fd), path)
	if _, err = io.Copy(to, from); err == nil {
		// These four, for crun asks for exactly them.
		_, err = unix.FcntlInt(to.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		return nil, fmt.Errorf("copy %s into memory: %w", path, errors.Join(err, to.Close()))
	}
	return to, nil
}
