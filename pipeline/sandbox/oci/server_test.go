package oci

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/test/images"
)

const serverArg = "oci-server"

// serve is a server that is killed in the middle of two runs, each with a service. It is this test binary, started by killServer.
func serve(dir, runtime, layer string) {
	s, err := Probe(context.Background(), Options{Dir: dir, Runtime: runtime})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	uid, gid := s.Owner()
	done := make(chan error)
	for i := range 2 {
		ws := filepath.Join(dir, fmt.Sprint("ws", i))
		_, _ = os.Mkdir(ws, 0o755), os.Chown(ws, uid, gid)
		go func() {
			_, err := s.Run(context.Background(), sandbox.Spec{
				ID: fmt.Sprint("run-", i), Script: "setsid sleep 1000 &\ntrap '' TERM HUP\necho ready\nsleep 1000\n", Workspace: ws,
				Output: os.Stdout, Env: []string{"MARK=" + dir}, Services: []sandbox.Service{{
					Name: "db", Root: &sandbox.Root{Layers: []string{layer}}, Env: []string{"MARK=" + dir}, Ready: sandbox.Ready{Command: []string{"/bin/true"}},
					Command: []string{"/bin/sh", "-c", "setsid sleep 1000 & trap '' TERM HUP; sleep 1000; sleep 1000"},
				}},
			})
			done <- err
		}()
	}
	fmt.Println(<-done)
}

func TestNothingOutlivesAKilledServer(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"crun", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := killServer(t, dir, runtime, rootOf(t, nil, images.FromHost(t, images.Tools...)).Layers[0])
			within(t, "the steps of a killed server end", func() bool { return len(born(dir)) == 0 })
			if server.ProcessState.ExitCode() != -1 {
				t.Errorf("the server was not killed: %v", server.ProcessState)
			}
			s := probe(t, Options{Dir: dir, Runtime: runtime})
			if left := append(s.left("run-0"), s.left("run-1")...); len(left) > 0 {
				t.Errorf("the next server left %q", left)
			}
		})
	}
}

func TestRunsOfALivingServerAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := probe(t, Options{Dir: dir})
	out := make(lines, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan sandbox.Outcome, 1)
	go func() {
		v, err := first.Run(ctx, sandbox.Spec{ID: "alive", Script: "echo ready; sleep 1000", Workspace: workspace(t, first), Output: out})
		if err != nil {
			t.Error(err)
		}
		done <- v.Outcome
	}()
	<-out
	second, err := Probe(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if left := second.left("alive"); len(left) == 0 {
		t.Error("the second server ended what the first one runs")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	if outcome := <-done; outcome != sandbox.Cancelled {
		t.Errorf("it ended as %s", outcome)
	}
}

func TestALostKeeperIsReplaced(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	kept, err := s.keeper.hold()
	if err != nil {
		t.Fatal(err)
	}
	out := make(lines, 10)
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), sandbox.Spec{ID: "victim", Script: "echo ready; sleep 1000", Workspace: workspace(t, s), Output: out})
		done <- err
	}()
	<-out
	if err := kept.life.Close(); err != nil { // its first process ends, and everything with it
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "not by the sandbox") {
		t.Errorf("a step whose runtime was killed is nobody's verdict: %v", err)
	}
	<-kept.gone
	v, err := s.Run(t.Context(), sandbox.Spec{ID: "next", Script: "true", Workspace: workspace(t, s), Output: out})
	if err != nil || !v.Passed() {
		t.Errorf("%+v, %v", v, err)
	}
	if left := append(s.left("victim"), s.left("next")...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// killServer starts a server in a process of its own, waits until its steps run, and kills it.
func killServer(t *testing.T, dir, runtime, layer string) *exec.Cmd {
	t.Helper()
	server := exec.Command("/proc/self/exe", serverArg, dir, runtime, layer)
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(said)
	for range 2 {
		if line, err := in.ReadString('\n'); line != "ready\n" {
			t.Errorf("the server said %q, %v", line, err)
		}
	}
	if running := born(dir); len(running) < 4 {
		t.Errorf("only %q runs", running)
	}
	if err := server.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	return server
}

// born are the processes that were started with the mark of a folder.
func born(dir string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "MARK="+dir+"\x00") {
			found = append(found, path)
		}
	}
	return found
}

// lines hands on what a step writes.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// within asks again until ok, at most for ten seconds.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.NewTimer(10*time.Second)
	defer tick.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}
