package oci

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestASealedRuntimeCannotBeChanged(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{Runtime: "crun"})
	if s.engine.copy == nil {
		t.Fatal("crun is run from its file")
	}
	again, err := os.OpenFile(s.engine.program(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if n, err := again.WriteAt([]byte("#!"), 0); err == nil {
		t.Errorf("%d bytes of it were written over", n)
	}
	if err := again.Truncate(0); err == nil {
		t.Error("it was cut off")
	}
	if _, err := unix.FcntlInt(again.Fd(), unix.F_ADD_SEALS, 0); err == nil {
		t.Error("its seals can be changed")
	}
	of, err := os.ReadFile(s.engine.path)
	if err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(s.engine.program()); err != nil || !bytes.Equal(is, of) {
		t.Errorf("it is not what is installed: %d bytes of %d, %v", len(is), len(of), err)
	}
}
