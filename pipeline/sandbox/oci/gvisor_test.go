//go:build gvisor

package oci

import (
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
	"github.com/conveyor-ci/conveyor/test/images"
)

// These want a runsc of 2023 or later, which make test-gvisor builds.

func TestRunscKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{Runtime: "runsc"})
	keepsItWithAnOwnKernel(t, s, s, s.options.Dir)
}

func TestRunscKeepsTheContractInAnImage(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{Runtime: "runsc"})
	root := rootOf(t, nil, images.FromHost(t, images.Tools...), images.Layer(t, images.Entry{Name: "home/"}, images.Entry{Name: "run/"}))
	keepsItWithAnOwnKernel(t, s, inAnImage{s, root}, append([]string{s.options.Dir, "/usr/share", "/usr/lib/os-release"}, root.Layers...)...)
}

func keepsItWithAnOwnKernel(t *testing.T, s *Sandbox, as sandbox.Sandbox, hidden ...string) {
	if i := s.Isolation(); i.Level != "gvisor" || !i.FitForStrangers() {
		t.Errorf("%+v", i)
	}
	sandboxtest.Run(t, sandboxtest.Case{
		Sandbox: as, Commands: true, Isolated: true, OwnKernel: true, Hidden: hidden, Shown: []string{"/dev/fuse", "/dev/net", "/sys/kernel"}, Left: s.left,
		Workspace: func(t testing.TB) string { return workspace(t, s) },
	})
}
