package exec_test

import (
	"context"
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/exec"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
)

// The variables that make this test's program a server of its own, with the folders of a test.
const (
	victimDir     = "EXEC_TEST_DIR"
	victimScratch = "EXEC_TEST_SCRATCH"
	victimOut     = "EXEC_TEST_OUT"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimDir) == "" {
		os.Exit(m.Run())
	}
	e, err := exec.New(exec.Options{Dir: os.Getenv(victimDir), Scratch: os.Getenv(victimScratch)})
	if err != nil {
		os.Exit(1)
	}
	p := targettest.Place{Settings: map[string]string{"script": "shop", "out": os.Getenv(victimOut)}}
	_ = e.Deploy(context.Background(), p.Deployment("staging", 1, 1), targettest.Site(1).Files)
}

// first runs without end for version 1, and at once for all others.
const first = "#!/bin/sh\n" + `case "$CONVEYOR_DEPLOYMENT" in *#1) ;; *) echo later >> "$CONVEYOR_SETTING_OUT.log"; exit 0;; esac
sleep 1000 & echo $! > "$CONVEYOR_SETTING_OUT.new"; mv "$CONVEYOR_SETTING_OUT.new" "$CONVEYOR_SETTING_OUT"; wait` + "\n"

func TestANewerDeploymentEndsTheScriptOfAnOlderOne(t *testing.T) {
	t.Parallel()
	e, d := staged(t, first, 0)
	done := make(chan error, 1)
	go func() { done <- e.Deploy(t.Context(), d, targettest.Site(1).Files) }()
	until(t, "the older script runs", func() bool { return read(d.Settings["out"]) != "" })
	newer := targettest.Place{Settings: d.Settings}.Deployment("staging", 2, 2)
	if err := e.Deploy(t.Context(), newer, targettest.Site(2).Files); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, target.ErrFenced) {
		t.Fatalf("the older deployment: %v, want ErrFenced", err)
	}
	childGone(t, d)
}

func TestTheScriptOfAKilledServerIsEndedBeforeTheNextRuns(t *testing.T) {
	t.Parallel()
	scripts, scratch, out := install(t, "shop", first), t.TempDir(), filepath.Join(t.TempDir(), "out")
	server := osexec.CommandContext(t.Context(), os.Args[0])
	server.Env = append(os.Environ(), victimDir+"="+scripts, victimScratch+"="+scratch, victimOut+"="+out)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	p := targettest.Place{Settings: map[string]string{"script": "shop", "out": out}}
	d := p.Deployment("staging", 1, 1)
	until(t, "the server's script runs", func() bool { return read(out) != "" })
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // killed
	if stat := read("/proc/" + strings.TrimSpace(read(out)) + "/stat"); stat == "" {
		t.Fatal("the script's child died with the server, so the test proves nothing")
	}
	e := open(t, exec.Options{Dir: scripts, Scratch: scratch})
	if err := e.Deploy(t.Context(), p.Deployment("staging", 2, 2), targettest.Site(2).Files); err != nil {
		t.Fatal(err)
	}
	childGone(t, d)
	left, err := filepath.Glob(filepath.Join(scratch, "*", "files.*"))
	if err != nil || len(left) != 0 {
		t.Fatalf("the killed server's files are left: %v, %v", left, err)
	}
	if got := read(out + ".log"); got != "later\n" {
		t.Fatalf("the newer script ran %q, want once", got)
	}
}

func TestATokenThatCannotBeReadKeepsEveryoneOut(t *testing.T) {
	t.Parallel()
	scripts, scratch := install(t, "shop", "#!/bin/sh\n"), t.TempDir()
	e := open(t, exec.Options{Dir: scripts, Scratch: scratch})
	d := targettest.Place{Settings: map[string]string{"script": "shop"}}.Deployment("staging", 1, 1)
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	tokens, err := filepath.Glob(filepath.Join(scratch, "*", "token"))
	if err != nil || len(tokens) != 1 {
		t.Fatalf("tokens: %v, %v", tokens, err)
	}
	if err := os.WriteFile(tokens[0], []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err == nil || !strings.Contains(err.Error(), "repair") {
		t.Fatalf("%v, want a refusal that says what to do", err)
	}
}

func TestRepositoriesDoNotShareAnEnvironment(t *testing.T) {
	t.Parallel()
	e, d := staged(t, "#!/bin/sh\n", 0)
	d.Token = 9
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	d.Repo.ID, d.Token = 8, 1
	if err := e.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatalf("another repository's token fences: %v", err)
	}
}

func kill(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
