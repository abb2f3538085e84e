package none_test

import (
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/none"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
)

func TestPlainProcessesKeepTheContract(t *testing.T) {
	t.Parallel()
	s := none.New()
	sandboxtest.Run(t, sandboxtest.Case{Sandbox: s, Commands: true, Workspace: func(t testing.TB) string { return t.TempDir() }})
	if i := s.Isolation(); i.Level != "none" || i.FitForStrangers() {
		t.Errorf("%+v", i)
	}
}
