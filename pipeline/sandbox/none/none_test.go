package none_test

import (
	"io"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
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

func TestAnImageIsRefusedWhereNothingCanMountIt(t *testing.T) {
	t.Parallel()
	_, err := none.New().Run(t.Context(), sandbox.Spec{ID: "x", Script: "true", Workspace: t.TempDir(), Output: io.Discard, Root: &sandbox.Root{Name: "node:20", Layers: []string{"/x"}}})
	if err == nil || !strings.Contains(err.Error(), "node:20") {
		t.Errorf("%v", err)
	}
}

func TestAServiceIsRefusedWhereNothingCanShutItIn(t *testing.T) {
	t.Parallel()
	_, err := none.New().Run(t.Context(), sandbox.Spec{ID: "x", Script: "true", Workspace: t.TempDir(), Output: io.Discard, Services: []sandbox.Service{
		{Name: "db", Root: &sandbox.Root{Name: "postgres:17", Layers: []string{"/x"}}, Command: []string{"postgres"}, Ready: sandbox.Ready{Port: 5432}},
	}})
	if err == nil || !strings.Contains(err.Error(), "service") {
		t.Errorf("%v", err)
	}
}
