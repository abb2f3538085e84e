package sandboxtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// basics is what every adapter keeps to, one without processes too.
func basics(t *testing.T, c Case) {
	t.Run("ItSaysWhatItIs", func(t *testing.T) {
		t.Parallel()
		if i := c.Sandbox.Isolation(); i.Level == "" || i.Runtime == "" || i.Detail == "" || c.Isolated && i.FitForStrangers() == c.Unlimited {
			t.Errorf("%+v", i)
		}
	})
	t.Run("WhatPassesHasNoReason", func(t *testing.T) {
		t.Parallel()
		c.step(t, Pass).passes(t)
	})
	t.Run("AnExitCodeIsHandedOn", func(t *testing.T) {
		t.Parallel()
		c.step(t, Fail3).exits(t, 3)
	})
	t.Run("OutputAndErrorsAreOneStream", func(t *testing.T) {
		t.Parallel()
		if got := c.step(t, Hello).passes(t); got != "hello\nhello\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("FilesOfTheWorkspaceAreThereAfterwards", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, Touch)
		s.passes(t)
		if got, err := os.ReadFile(filepath.Join(s.spec.Workspace, "made")); err != nil || string(got) != "made\n" {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("VariablesArriveAsTheyAre", func(t *testing.T) {
		t.Parallel()
		const value = "$(touch /tmp/x) `id` 'one' \"two\"\nthree \\ ä = *"
		s := c.step(t, Name)
		s.spec.Env = []string{"NAME=" + value}
		if got := s.passes(t); got != value {
			t.Errorf("got %q", got)
		}
	})
	t.Run("ReservedVariablesAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, env := range []string{"PATH=/tmp", "LD_PRELOAD=/tmp/x.so", "LD_LIBRARY_PATH=/tmp", "LD_AUDIT=x", "A B=c", "=x", "NAME", "1A=x", "A=\x00"} {
			s := c.step(t, Pass)
			s.spec.Env = []string{env}
			s.refused(t)
		}
	})
	t.Run("SpecsThatMakeNoSenseAreRefused", func(t *testing.T) {
		t.Parallel()
		for name, spoil := range map[string]func(*sandbox.Spec){
			"no id": func(s *sandbox.Spec) { s.ID = "" }, "a path": func(s *sandbox.Spec) { s.ID = "../x" },
			"a flag": func(s *sandbox.Spec) { s.ID = "-x" }, "no workspace": func(s *sandbox.Spec) { s.Workspace = "" },
			"relative": func(s *sandbox.Spec) { s.Workspace = "x" }, "no output": func(s *sandbox.Spec) { s.Output = nil },
			"NUL": func(s *sandbox.Spec) { s.Script = "true\x00false" },
		} {
			s := c.step(t, Pass)
			spoil(&s.spec)
			if !s.refused(t) {
				t.Error(name)
			}
		}
	})
	t.Run("ACancelEndsIt", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, Hang)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			s.output.await(ctx, "ready")
			cancel()
		}()
		if v := s.runUntil(t, ctx); v.Outcome != sandbox.Cancelled || v.Passed() || v.Reason == "" {
			t.Errorf("%+v", v)
		}
	})
	t.Run("WhatIsCancelledBeforeDoesNotRun", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, Touch)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if v := s.runUntil(t, ctx); v.Outcome != sandbox.Cancelled {
			t.Errorf("%+v", v)
		}
		if _, err := os.Stat(filepath.Join(s.spec.Workspace, "made")); err == nil {
			t.Error("it ran")
		}
	})
	t.Run("TheTimeLimitEndsWhatIgnoresSignals", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, Hang)
		s.spec.Limits.Wall = 500 * time.Millisecond
		if v := s.run(t); v.Outcome != sandbox.TimedOut || v.Passed() || v.Reason == "" {
			t.Errorf("%+v", v)
		}
	})
	t.Run("OneIdRunsOnceAtATimeAndOthersBesideIt", func(t *testing.T) {
		t.Parallel()
		first := c.step(t, Hang)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan sandbox.Verdict, 1)
		go func() {
			v, _ := c.Sandbox.Run(ctx, first.spec)
			done <- v
		}()
		if !first.output.await(ctx, "ready") {
			t.Error("it never got ready")
		}
		again := c.step(t, Pass)
		again.spec.ID = first.spec.ID
		again.refused(t)
		c.step(t, Pass).passes(t)
		cancel()
		if v := <-done; v.Outcome != sandbox.Cancelled {
			t.Errorf("the first one was disturbed: %+v", v)
		}
		first.nothingIsLeft(t)
	})
}

func (s *step) refused(t *testing.T) bool {
	t.Helper()
	v, err := s.c.Sandbox.Run(t.Context(), s.spec)
	if err == nil {
		t.Errorf("%+v should have been refused: %+v", s.spec, v)
	}
	return err != nil
}
