package fake_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/fake"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
)

func TestTheFakeKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := &fake.Sandbox{
		Scripts: map[string]fake.Step{
			sandboxtest.Pass:  {},
			sandboxtest.Hello: {Output: "hello\nhello\n"},
			sandboxtest.Fail3: {ExitCode: 3},
			sandboxtest.Touch: {Files: map[string]string{"made": "made\n"}},
			sandboxtest.Hang:  {Output: "ready\n", Hangs: true},
		},
		Do: func(spec sandbox.Spec) fake.Step {
			for _, e := range spec.Env {
				if value, ok := strings.CutPrefix(e, "NAME="); ok {
					return fake.Step{Output: value}
				}
			}
			return fake.Step{Err: errors.New("no such script")}
		},
	}
	sandboxtest.Run(t, sandboxtest.Case{Sandbox: s, Workspace: func(t testing.TB) string { return t.TempDir() }})
}

func TestTheFakeRemembersWhatItRan(t *testing.T) {
	t.Parallel()
	s := &fake.Sandbox{Scripts: map[string]fake.Step{"a": {OOM: true, ExitCode: 137}}, Level: "none"}
	v, err := s.Run(t.Context(), sandbox.Spec{ID: "one", Script: "a", Workspace: t.TempDir(), Output: &strings.Builder{}})
	if err != nil || v.Outcome != sandbox.Resource {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := s.Run(t.Context(), sandbox.Spec{ID: "two", Script: "b", Workspace: t.TempDir(), Output: &strings.Builder{}}); err == nil {
		t.Error("a script that nobody described was run")
	}
	if specs := s.Specs(); len(specs) != 2 || specs[0].ID != "one" || specs[0].Script != "a" {
		t.Errorf("%+v", specs)
	}
}

func TestAStepOfTheFakeWaitsForItsServices(t *testing.T) {
	t.Parallel()
	s := &fake.Sandbox{Scripts: map[string]fake.Step{"a": {Unready: "ended early", Files: map[string]string{"made": ""}}}}
	spec := sandbox.Spec{ID: "one", Script: "a", Workspace: t.TempDir(), Output: &strings.Builder{}, Services: []sandbox.Service{
		{Name: "db", Root: &sandbox.Root{}, Ready: sandbox.Ready{Port: 5432}},
	}}
	if v, err := s.Run(t.Context(), spec); err != nil || v.Outcome != sandbox.Unready || v.Reason != "the service db ended early" {
		t.Errorf("%+v, %v", v, err)
	}
	if made, err := os.ReadDir(spec.Workspace); err != nil || len(made) > 0 {
		t.Errorf("%v, %v", made, err)
	}
}
