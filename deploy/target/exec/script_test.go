package exec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/exec"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// staged is a server with one script, and version 1 on its way to staging.
func staged(t *testing.T, text string, timeout time.Duration) (*exec.Target, target.Deployment) {
	t.Helper()
	e := open(t, exec.Options{Dir: install(t, "shop", text), Scratch: t.TempDir(), Timeout: timeout})
	p := targettest.Place{Settings: map[string]string{"script": "shop", "out": filepath.Join(t.TempDir(), "out")}}
	return e, p.Deployment("staging", 1, 1)
}

func log(d target.Deployment) string { return d.Log.(*bytes.Buffer).String() }

func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, target.ErrRefused) {
		t.Fatalf("%v, want ErrRefused", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("the refusal %q does not say %q", err, w)
		}
	}
}

func TestWithoutAFolderOfScriptsEverythingIsRefused(t *testing.T) {
	t.Parallel()
	e := open(t, exec.Options{Scratch: t.TempDir()})
	p := targettest.Place{Settings: map[string]string{"script": "shop"}}
	d := p.Deployment("staging", 1, 1)
	refused(t, e.Deploy(t.Context(), d, targettest.Site(1).Files), "CONVEYOR_EXEC_DIR")
	refused(t, e.Remove(t.Context(), d), "CONVEYOR_EXEC_DIR")
	_, err := e.Probe(t.Context(), d)
	refused(t, err, "CONVEYOR_EXEC_DIR")
}

func TestOnlyABareNameInTheFolderIsAScript(t *testing.T) {
	t.Parallel()
	dir := install(t, "shop", shop)
	outside := filepath.Join(install(t, "evil", shop), "evil")
	for name, make := range map[string]func(path string) error{
		"folder": func(p string) error { return os.Mkdir(p, 0o755) },
		"link":   func(p string) error { return os.Symlink(outside, p) },
		"plain":  func(p string) error { return os.WriteFile(p, []byte(shop), 0o644) },
		"shared": func(p string) error {
			return errors.Join(os.WriteFile(p, []byte(shop), 0o755), os.Chmod(p, 0o775))
		},
		"public": func(p string) error {
			return errors.Join(os.WriteFile(p, []byte(shop), 0o755), os.Chmod(p, 0o757))
		},
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	e := open(t, exec.Options{Dir: dir, Scratch: t.TempDir()})
	for _, name := range []string{"", ".", "..", "../shop", "/bin/sh", outside, "sub/shop", "shop deploy", "shop\n", "shop\x00", "-c", ".hidden", "missing", "folder", "link", "plain", "shared", "public"} {
		p := targettest.Place{Settings: map[string]string{"script": name, "folder": t.TempDir()}}
		d := p.Deployment("staging", 1, 1)
		if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); !errors.Is(err, target.ErrRefused) {
			t.Errorf("script %q: %v, want ErrRefused", name, err)
		}
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	p := targettest.Place{Settings: map[string]string{"script": "shop", "folder": t.TempDir()}}
	refused(t, e.Deploy(t.Context(), p.Deployment("staging", 1, 1), targettest.Site(1).Files), "writable by nobody else")
}

func TestAScriptSeesItsVerbAndNothingElseThanWhatItIsTold(t *testing.T) {
	t.Parallel()
	e, d := staged(t, "#!/bin/sh\n"+`{ echo "argv:$#:$1"; pwd; ls "${CONVEYOR_ARTIFACT_DIR:-/nothing}" 2>/dev/null; /usr/bin/env; } > "$CONVEYOR_SETTING_OUT"`, 0)
	nasty := "$(touch /tmp/x); `id` \"'\n--flag"
	d.Settings["region_2"] = nasty
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	got := read(d.Settings["out"])
	head, env, _ := strings.Cut(got, "index.html\n")
	if head != "argv:1:deploy\n/\nassets\n" {
		t.Fatalf("the script was started as %q", head)
	}
	for _, want := range []string{
		"CONVEYOR_DEPLOYMENT=7/staging#1\n", "CONVEYOR_TOKEN=1\n", "CONVEYOR_REPOSITORY=acme/shop\n", "CONVEYOR_ENVIRONMENT=staging\n",
		"CONVEYOR_COMMIT=" + string(d.Commit) + "\n", "CONVEYOR_DIGEST=" + string(d.Digest) + "\n", "CONVEYOR_SETTING_REGION_2=" + nasty + "\n",
	} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment lacks %q:\n%s", want, env)
		}
	}
	for line := range strings.Lines(strings.ReplaceAll(env, nasty, "")) {
		name, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, "CONVEYOR_") && !slices.Contains([]string{"PWD", "OLDPWD", "_", "SHLVL"}, name) { // the shell's own
			t.Errorf("the environment holds %q", line)
		}
	}
	if strings.Contains(env, "CONVEYOR_SETTING_SCRIPT") {
		t.Error("the script's own name is passed as a setting")
	}
	_, dir, _ := strings.Cut(env, "CONVEYOR_ARTIFACT_DIR=")
	dir, _, _ = strings.Cut(dir, "\n")
	if _, err := os.Stat(filepath.Dir(dir)); dir == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the files in %q were not taken away: %v", dir, err)
	}
	if err := e.Remove(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := read(d.Settings["out"]); !strings.HasPrefix(got, "argv:1:remove\n") || strings.Contains(got, "ARTIFACT_DIR") {
		t.Fatalf("remove was started as %q", got)
	}
}

func TestSettingsThatAreNoPlainNamesAreRefused(t *testing.T) {
	t.Parallel()
	for _, setting := range [][2]string{{"PATH", "x"}, {"a-b", "x"}, {"a=b", "x"}, {"", "x"}, {"ok", "zero\x00byte"}} {
		e, d := staged(t, "#!/bin/sh\n", 0)
		d.Settings[setting[0]] = setting[1]
		refused(t, e.Deploy(t.Context(), d, targettest.Site(1).Files))
	}
}

func TestExit75MeansFenced(t *testing.T) {
	t.Parallel()
	e, d := staged(t, "#!/bin/sh\nexit 75\n", 0)
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); !errors.Is(err, target.ErrFenced) {
		t.Fatalf("%v, want ErrFenced", err)
	}
}

func TestAFailureTellsTheLastLines(t *testing.T) {
	t.Parallel()
	e, d := staged(t, "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo line $i; done; echo the disk is full >&2; exit 3\n", 0)
	err := e.Deploy(t.Context(), d, targettest.Site(1).Files)
	if err == nil || errors.Is(err, target.ErrFenced) || errors.Is(err, target.ErrRefused) {
		t.Fatalf("%v, want a failure that may be tried again", err)
	}
	for _, want := range []string{"shop deploy", "exit status 3", "line 15\nthe disk is full"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "line 5\n") {
		t.Errorf("the error tells more than the last lines: %q", err)
	}
	if !strings.Contains(log(d), "line 1\n") || !strings.Contains(log(d), "the disk is full") {
		t.Errorf("the log lacks the script's output: %q", log(d))
	}
}

func TestAProbeThatPrintsNoDigestIsAnError(t *testing.T) {
	t.Parallel()
	digest := targettest.Site(1).Digest()
	for _, c := range []struct {
		script string
		want   pipeline.Digest
		fails  bool
	}{
		{"true", "", false},
		{"echo " + string(digest), digest, false},
		{"echo looking around >&2; echo " + string(digest), digest, false},
		{"echo ok", "", true},
		{"echo " + string(digest) + "; echo " + string(digest), "", true},
		{"echo " + string(digest) + "; exit 1", "", true},
		{"echo SHA256:" + strings.Repeat("A", 64), "", true},
	} {
		e, d := staged(t, "#!/bin/sh\n"+c.script+"\n", 0)
		got, err := e.Probe(t.Context(), d)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v", c.script, got, err)
		}
	}
}

func TestAScriptAndItsChildrenAreKilledWhenTheirTimeIsUp(t *testing.T) {
	t.Parallel()
	e, d := staged(t, endless, 300*time.Millisecond)
	err := e.Deploy(t.Context(), d, targettest.Site(1).Files)
	if err == nil || !strings.Contains(err.Error(), "longer than 300ms") {
		t.Fatalf("%v, want the time limit named", err)
	}
	childGone(t, d)
}

func TestAScriptAndItsChildrenAreKilledWhenTheDeploymentIsCancelled(t *testing.T) {
	t.Parallel()
	e, d := staged(t, endless, 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Deploy(ctx, d, targettest.Site(1).Files) }()
	until(t, "the script runs", func() bool { return read(d.Settings["out"]) != "" })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}
	childGone(t, d)
}

// endless starts a child, says its number, and never ends.
const endless = "#!/bin/sh\n" + `sleep 1000 & echo $! > "$CONVEYOR_SETTING_OUT.new"; mv "$CONVEYOR_SETTING_OUT.new" "$CONVEYOR_SETTING_OUT"; wait` + "\n"

func childGone(t *testing.T, d target.Deployment) {
	t.Helper()
	pid := strings.TrimSpace(read(d.Settings["out"]))
	until(t, "the script's child is gone", func() bool {
		stat := read(fmt.Sprintf("/proc/%s/stat", pid))
		return pid != "" && (stat == "" || strings.Contains(stat, ") Z "))
	})
}

func TestWhatAScriptLeavesRunningHoldsNothingUp(t *testing.T) {
	t.Parallel()
	e, d := staged(t, "#!/bin/sh\n"+`sleep 1000 & echo $! > "$CONVEYOR_SETTING_OUT"`+"\n", 0)
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(read(d.Settings["out"]))
	if read("/proc/"+pid+"/stat") == "" {
		t.Fatal("a service that the script started was killed")
	}
	kill(t, pid)
}

func TestAFullLogDoesNotBreakTheScript(t *testing.T) {
	t.Parallel()
	e, d := staged(t, "#!/bin/sh\nset -e\ni=0; while [ $i -lt 2000 ]; do echo a line that nobody can keep; i=$((i+1)); done; "+`echo whole > "$CONVEYOR_SETTING_OUT"`+"\n", 0)
	d.Log = full{}
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	if got := read(d.Settings["out"]); got != "whole\n" {
		t.Fatalf("the script did not get to its end: %q", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the log is full") }
