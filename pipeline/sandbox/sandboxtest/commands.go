package sandboxtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// commands is what adapters with a real shell keep to.
func commands(t *testing.T, c Case) {
	t.Run("ASignalIsToldAsAShellTellsIt", func(t *testing.T) {
		t.Parallel()
		if v := c.step(t, "kill -TERM $$\n").exits(t, 143); !strings.Contains(v.Reason, "signal 15") {
			t.Errorf("the reason does not name the signal: %q", v.Reason)
		}
		s := c.step(t, "kill -KILL $$\n")
		s.exits(t, 137)
		if got := s.output.String(); got != "" {
			t.Errorf("its output has words that it did not say: %q", got)
		}
	})
	t.Run("TheFirstFailureEndsTheScript", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "echo one\nfalse\necho two\n")
		if s.exits(t, 1); s.output.String() != "one\n" {
			t.Errorf("got %q", s.output.String())
		}
	})
	t.Run("AnotherShellRunsTheScript", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "'$(exit 1)'; \"\n")
		s.spec.Shell = []string{"cat", "-A"}
		if got := s.passes(t); got != "'$(exit 1)'; \"$\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("WhatAShellIsCalledIsNeverReadByAnother", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "true\n")
		s.spec.Shell = []string{"cat; echo $(echo broken)", "`echo out`"}
		if s.exits(t, 127); s.output.String() != sandbox.NoShell+s.spec.Shell[0]+"\n" {
			t.Errorf("got %q", s.output.String())
		}
	})
	t.Run("AShellThatIsNotThereIsTheStepsFailureAndNamed", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"no-such-shell", "/no/such/shell"} {
			s := c.step(t, "true\n")
			s.spec.Shell = []string{name, "-x"}
			if s.exits(t, 127); s.output.String() != sandbox.NoShell+name+"\n" {
				t.Errorf("got %q", s.output.String())
			}
		}
	})
	t.Run("AStepStartsInItsFolderAndSeesItsPathsFromThere", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "pwd | grep -o '/a/b c; d$'\nset -e; echo x >\"$OUT\"; cat ../../out\n")
		s.spec.Dir, s.spec.Paths = "a/b c; d", []string{"OUT=out"}
		if err := os.MkdirAll(filepath.Join(s.spec.Workspace, s.spec.Dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := s.passes(t); got != "/a/b c; d\nx\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AFailureInAPipelineCounts", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "(exit 7) | cat\necho two\n")
		if s.exits(t, 7); s.output.String() != "" {
			t.Errorf("got %q", s.output.String())
		}
	})
	t.Run("AScriptArrivesByteForByte", func(t *testing.T) {
		t.Parallel()
		script := "cat -- \"$0\"\nexit 0\n" + `'"; $(touch x) ` + "`id`" + ` ${HOME} \ %s é 日本` + "\t\x01\r\n\xff\xfe\nEOF\n"
		s := c.step(t, script)
		if got := s.passes(t); got != script {
			t.Errorf("got %q", got)
		}
	})
	t.Run("ALongScriptArrives", func(t *testing.T) {
		t.Parallel()
		if got := c.step(t, strings.Repeat("true # a line of it\n", 100_000)+"echo end\n").passes(t); got != "end\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("OutputIsBytes", func(t *testing.T) {
		t.Parallel()
		if got := c.step(t, `printf 'a\000b\377\376\033[31mc\r'`).passes(t); got != "a\x00b\xff\xfe\x1b[31mc\r" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("ALotOfOutputArrivesInOrderAndComplete", func(t *testing.T) {
		t.Parallel()
		const last = 8_700_000
		want, got := sha256.New(), &counter{hash: sha256.New()}
		line := []byte(nil)
		for i := 1; i <= last; i++ {
			if line = append(strconv.AppendInt(line, int64(i), 10), '\n'); len(line) > 1<<16 {
				want.Write(line)
				line = line[:0]
			}
		}
		want.Write(line)
		s := c.step(t, fmt.Sprintf("seq 1 %d\n", last))
		s.spec.Output = got
		if s.passes(t); got.n < 64<<20 || !slices.Equal(got.hash.Sum(nil), want.Sum(nil)) {
			t.Errorf("%d bytes came, and not the right ones", got.n)
		}
	})
	t.Run("AnEndlessOutputEndsWithItsTime", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "yes\n")
		s.spec.Output = &counter{hash: sha256.New()}
		s.spec.Limits.Wall = 300e6
		if v := s.run(t); v.Outcome != sandbox.TimedOut {
			t.Errorf("%+v", v)
		}
	})
	t.Run("OutputThatCannotBeWrittenIsNotTheStepsFault", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "seq 1 100000\n")
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = full.Close() }()
		s.spec.Output = full
		s.refused(t)
		s.nothingIsLeft(t)
	})
	t.Run("ItReadsNothing", func(t *testing.T) {
		t.Parallel()
		if got := c.step(t, "cat; echo end\n").passes(t); got != "end\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("ItHasTheVariablesItWasGivenAndNoOthers", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "env -0\n")
		s.spec.Env = []string{"ONE=1", "LANG=de_DE.UTF-8", "ONE=2"}
		got := map[string]string{}
		for e := range strings.SplitSeq(strings.TrimSuffix(s.passes(t), "\x00"), "\x00") {
			name, value, _ := strings.Cut(e, "=")
			got[name] = value
		}
		if got["ONE"] != "2" || got["LANG"] != "de_DE.UTF-8" || got["CI"] != "true" || got["PATH"] == "" || got["HOME"] == "" || got["TMPDIR"] == "" {
			t.Errorf("got %q", got)
		}
		for name := range got {
			if !slices.Contains([]string{"ONE", "LANG", "CI", "PATH", "HOME", "TMPDIR", "SANDBOXTEST", "PWD", "OLDPWD", "SHLVL", "_"}, name) {
				t.Errorf("the variable %s came from outside", name)
			}
		}
	})
	t.Run("ItStartsInItsWorkspaceWithPlacesToWrite", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "cat given; echo x >\"$HOME/x\"; echo x >\"$TMPDIR/x\"; cat \"$HOME/x\" \"$TMPDIR/x\"; mkdir -p a/b; echo y >a/b/c\n")
		if err := os.WriteFile(filepath.Join(s.spec.Workspace, "given"), []byte("given\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := s.passes(t); got != "given\nx\nx\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("WhatIsInTheBackgroundDoesNotHoldItUp", func(t *testing.T) {
		t.Parallel()
		c.step(t, "sleep 1000 &\n(sleep 1000; sleep 1000) &\ntrap '' TERM HUP; sleep 1000 &\necho done\n").passes(t)
	})
	t.Run("TwoAtOnceDoNotWaitForEachOther", func(t *testing.T) {
		t.Parallel()
		first := c.step(t, "")
		gate := c.gate(t, first)
		first.spec.Script = "echo ready; " + gate.wait + "; echo \"$word\"\n"
		passed := make(chan bool, 1)
		go func() {
			v, err := c.Sandbox.Run(t.Context(), first.spec)
			passed <- err == nil && v.Passed()
		}()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if !first.output.await(ctx, "ready") {
			t.Fatal("it never got ready")
		}
		c.step(t, Pass).passes(t)
		gate.open(t)
		if !<-passed || first.output.String() != "ready\ngo\n" {
			t.Errorf("got %q", first.output.String())
		}
	})
}

// counter takes output that is too much to keep.
type counter struct {
	n    int
	hash hash.Hash
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.hash.Write(p)
}
