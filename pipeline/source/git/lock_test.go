package git

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// lockFile opens a lock anew: such a file knows nothing of what others hold.
func lockFile(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // most are closed by then
	return f
}

// copyOf is what a program that is about to be started holds of an open file.
func copyOf(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	held := os.NewFile(uintptr(fd), "copy")
	t.Cleanup(func() { _ = held.Close() }) // some are closed by then
	return held
}

func TestALockThatADyingServersChildStillHoldsIsWaitedFor(t *testing.T) {
	t.Parallel()
	alone(t)
	path := filepath.Join(t.TempDir(), "lock")
	dying := lockFile(t, path)
	if err := lockAlone(dying, func() { t.Error("nobody has it") }); err != nil {
		t.Fatal(err)
	}
	child := copyOf(t, dying)
	if err := dying.Close(); err != nil { // as the kernel does when the server is killed
		t.Fatal(err)
	}
	pauses := 0
	err := lockAlone(lockFile(t, path), func() {
		if pauses++; pauses == 3 {
			if err := child.Close(); err != nil { // its exec
				t.Error(err)
			}
		}
	})
	if err != nil || pauses != 3 {
		t.Fatalf("after %d pauses: %v", pauses, err)
	}
}

// alone keeps the other tests from starting programs, whose copies of a lock would be open until they run.
func alone(t *testing.T) {
	t.Helper()
	syscall.ForkLock.RLock()
	t.Cleanup(syscall.ForkLock.RUnlock)
}

func TestALockThatALivingServerHoldsIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if err := lockAlone(lockFile(t, path), func() { t.Error("nobody has it") }); err != nil {
		t.Fatal(err)
	}
	pauses := 0
	if err := lockAlone(lockFile(t, path), func() { pauses++ }); !errors.Is(err, syscall.EWOULDBLOCK) || pauses != lockTries-1 {
		t.Fatalf("after %d pauses: %v", pauses, err)
	}
}

func TestAClosedSourceFreesItsFolderAlthoughAProgramIsBeingStarted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	f := lockFile(t, path)
	if err := lockAlone(f, func() { t.Error("nobody has it") }); err != nil {
		t.Fatal(err)
	}
	copyOf(t, f) // and it is open until the end
	if err := unlock(f); err != nil {
		t.Fatal(err)
	}
	if err := lockAlone(lockFile(t, path), func() { t.Error("the folder is not free") }); err != nil {
		t.Fatal(err)
	}
	if err := unlock(f); !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EBADF) {
		t.Fatalf("freed twice: %v", err)
	}
}
