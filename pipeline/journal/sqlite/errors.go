package sqlite

import (
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// refused tells whether the answer is one of the store's own refusals, which leave the transaction as it was.
func refused(err error) bool {
	return errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrDuplicate) ||
		errors.Is(err, journal.ErrLeaseLost) || errors.Is(err, journal.ErrNoWork)
}

// busy tells that another process holds the lock.
func busy(err error) bool {
	var failure *driver.Error
	return errors.As(err, &failure) && failure.Code()&primary == lib.SQLITE_BUSY
}

// primary cuts an error code down to its kind; the upper bits say more, https://www.sqlite.org/rescode.html#extrc
const primary = 0xff

// explain adds what the operator can do about it.
func explain(err error) error {
	var failure *driver.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & primary {
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: the disk is full; free some space, nothing else is needed", err)
	case lib.SQLITE_READONLY:
		return fmt.Errorf("%w: the file or its file system is read-only; mount it for writing, and let this user write to the directory too", err)
	case lib.SQLITE_BUSY:
		return fmt.Errorf("%w: another process holds the write lock of the file", err)
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: the disk refuses; look at its space, its mount and the kernel log", err)
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: the file is damaged; stop, keep a copy of it and of its -wal file, and restore a backup", err)
	}
	return err
}
