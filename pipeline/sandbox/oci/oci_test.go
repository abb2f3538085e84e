package oci

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
	"github.com/conveyor-ci/conveyor/test/images"
)

func TestMain(m *testing.M) {
	DeputyMain()
	if len(os.Args) == 5 && os.Args[1] == serverArg {
		serve(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == aloneArg {
		runAlone(os.Args[2])
		return
	}
	sandboxtest.Main(m)
}

func TestCrunKeepsTheContract(t *testing.T) {
	t.Parallel()
	keepsTheContract(t, "crun")
}

func TestRuncKeepsTheContract(t *testing.T) {
	t.Parallel()
	keepsTheContract(t, "runc")
}

func keepsTheContract(t *testing.T, runtime string) {
	s := probe(t, Options{Runtime: runtime})
	sandboxtest.Run(t, sandboxtest.Case{
		Sandbox: s, Commands: true, Isolated: true,
		Workspace: func(t testing.TB) string { return workspace(t, s) },
		Hidden:    []string{s.options.Dir},
		Left:      s.left,
		Image:     serviceImage(t),
	})
}

// serviceImage makes, once for all services of a test, the image that the contract asks for.
func serviceImage(t *testing.T) func(testing.TB) *sandbox.Root {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := rootOf(t, []string{"PATH=/bin"}, images.FromHost(t, append([]string{self}, images.Tools...)...), images.Layer(t, images.Entry{Name: "bin/probe", To: filepath.Base(self)}))
	return func(testing.TB) *sandbox.Root { return root }
}

// probe opens a sandbox that is closed at the end of the test, after all that ran in it.
func probe(t testing.TB, o Options) *Sandbox {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Probe(t.Context(), o)
	if err != nil {
		t.Fatalf("%v (these tests need root, crun and runc: apt-get install crun runc)", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left := s.left(""); len(left) > 0 {
			t.Errorf("left at the end: %q", left)
		}
	})
	return s
}

func workspace(t testing.TB, s *Sandbox) string {
	t.Helper()
	dir := t.TempDir()
	uid, gid := s.Owner()
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return dir
}
