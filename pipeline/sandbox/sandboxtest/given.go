package sandboxtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// given is what a step is given beside its workspace: secrets and folders.
func given(t *testing.T, c Case) {
	t.Run("ASecretIsAFileThatOnlyTheStepHas", func(t *testing.T) {
		t.Parallel()
		const value = "it's \"a\"\n$(key) \\ é\n"
		const words = "canary-of-a-step"
		s := c.step(t, `cat "$CONVEYOR_SECRETS_DIR/KEY"; printf '[%s]' "${KEY-unset}"; ls "$CONVEYOR_SECRETS_DIR"; stat -c %a "$CONVEYOR_SECRETS_DIR/KEY"`+"\n")
		s.spec.Secrets = []secret.Given{{Name: "KEY", Value: secret.New(value)}, {Name: "OTHER", Value: secret.New(words)}}
		if got := s.passes(t); got != value+"[unset]KEY\nOTHER\n400\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("ASecretIsAVariableWhenTheStepSaysSo", func(t *testing.T) {
		t.Parallel()
		const value = "it's \"a\"\n$(key) `id` \\ é\n"
		s := c.step(t, `printf '%s' "$KEY"; [ "$KEY" = "$(cat "$CONVEYOR_SECRETS_DIR/KEY"; echo)" ] || cat "$CONVEYOR_SECRETS_DIR/KEY"`+"\n")
		s.spec.Secrets = []secret.Given{{Name: "KEY", Value: secret.New(value), Env: true}}
		if got := s.passes(t); got != value+value {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AStepWithoutSecretsHasNoneOfItsNeighbours", func(t *testing.T) {
		t.Parallel()
		const words = "canary-of-a-neighbour"
		with := c.step(t, "")
		gate := c.gate(t, with)
		with.spec.Script = "echo ready; " + gate.wait + "\n"
		with.spec.Secrets = []secret.Given{{Name: "KEY", Value: secret.New(words), Env: true}}
		done := make(chan sandbox.Verdict, 1)
		go func() {
			v, err := c.Sandbox.Run(t.Context(), with.spec)
			if err != nil {
				t.Error(err)
			}
			done <- v
			with.output.Write([]byte("\nready, or over\n"))
		}()
		if !with.output.await(t.Context(), "ready") {
			t.Fatal("it never got ready")
		}
		without := c.step(t, "export -p; cat /run/secrets/.variables /run/secrets/* 2>&1 || true; echo \"[${CONVEYOR_SECRETS_DIR-unset}]\"\n")
		if got := without.passes(t); strings.Contains(got, words) || !strings.Contains(got, "[unset]") {
			t.Errorf("got %q", got)
		}
		if c.Isolated { // a plain process has its environment where every process of its user can read it
			want := 1
			if c.OwnKernel {
				want = 0
			}
			if where := whoHolds(words); len(where) != want {
				t.Errorf("besides the script, these have it in their command line or environment: %q", where)
			}
		}
		gate.open(t)
		if v := <-done; !v.Passed() {
			t.Errorf("%+v", v)
		}
		with.nothingIsLeft(t)
		if where := whoHolds(words); len(where) != 0 {
			t.Errorf("it is over, and these have it: %q", where)
		}
	})
	t.Run("SecretsAndFoldersOfABadNameAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"", "../x", "a b", "PATH", "LD_PRELOAD", "CONVEYOR_RUN", "X;id"} {
			s := c.step(t, Pass)
			s.spec.Secrets = []secret.Given{{Name: name, Value: secret.New("word")}}
			s.refused(t)
		}
		for _, target := range []string{"", ".", "..", "../x", "/etc", "~", "~/", "~/../x", "a/../b", "a//b", "a/"} {
			s := c.step(t, Pass)
			s.spec.Folders = []sandbox.Folder{{Source: s.spec.Workspace, Target: target}}
			s.refused(t)
		}
	})
	t.Run("AFolderIsWhereItIsShownAndKeepsWhatIsWritten", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "cat ~/.tool/cache/old; cat deep/modules/old; echo new >~/.tool/cache/new; echo new >deep/modules/new; touch ~/.tool/mine deep/mine\n")
		home, work := c.Workspace(t), c.Workspace(t)
		for _, dir := range []string{home, work} {
			if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.spec.Folders = []sandbox.Folder{{Source: home, Target: "~/.tool/cache"}, {Source: work, Target: "deep/modules"}}
		if got := s.passes(t); got != "old\nold\n" {
			t.Errorf("got %q", got)
		}
		for _, dir := range []string{home, work} {
			if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(got) != "new\n" {
				t.Errorf("got %q, %v", got, err)
			}
		}
		if _, err := os.Stat(filepath.Join(s.spec.Workspace, "deep", "modules", "new")); err == nil {
			t.Error("it lies in the workspace")
		}
	})
	t.Run("AFolderIsNotShownThroughALinkOfTheWorkspace", func(t *testing.T) {
		t.Parallel()
		outside := t.TempDir()
		s := c.step(t, Pass)
		if err := os.Symlink(outside, filepath.Join(s.spec.Workspace, "link")); err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"link", "link/deep"} {
			s.spec.Folders = []sandbox.Folder{{Source: c.Workspace(t), Target: target}}
			s.refused(t)
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
			t.Errorf("%v, %v", left, err)
		}
	})
}

// whoHolds are the processes of this machine, but this one, that have words in their command line or environment.
func whoHolds(words string) (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		for _, name := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && bytes.Contains(text, []byte(words)) {
				found = append(found, dir+"/"+name)
			}
		}
	}
	return found
}
