package docker

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
)

const serverArg = "docker-server"

// serve is a server that is killed in the middle of two runs. It is this test binary, started by killServer.
func serve(host, dir, ref string) {
	s, err := Probe(context.Background(), Options{Host: host, Dir: dir})
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
				Output: os.Stdout, Env: []string{"MARK=" + dir}, Root: &sandbox.Root{Name: "tiny", Ref: ref},
			})
			done <- err
		}()
	}
	fmt.Println(<-done)
}

func TestNothingOutlivesAKilledServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := probe(t, Options{})
	server := killServer(t, dir, rootOf(t, first, nil, tools(t)...).Ref)
	within(t, "the steps of a killed server end", func() bool { return len(born(dir)) == 0 })
	if server.ProcessState.ExitCode() != -1 {
		t.Errorf("the server was not killed: %v", server.ProcessState)
	}
	left := func() (names []string) {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(mounts)) {
			if strings.Contains(line, dir) {
				names = append(names, line)
			}
		}
		folders, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "*"))
		return append(names, folders...)
	}
	if folders := left(); len(folders) != 2 {
		t.Errorf("a killed server's folders are %q", folders)
	}
	probe(t, Options{Dir: dir})
	if folders := left(); len(folders) > 0 {
		t.Errorf("the next server left %q", folders)
	}
	if names := containers(t, first, dir); len(names) > 0 {
		t.Errorf("the next server left the containers %q", names)
	}
}

func TestRunsOfALivingServerAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := probe(t, Options{Dir: dir})
	root := rootOf(t, first, nil, tools(t)...)
	out := make(lines, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan sandbox.Outcome, 1)
	go func() {
		v, err := first.Run(ctx, sandbox.Spec{ID: "alive", Script: "echo ready; sleep 1000", Workspace: workspace(t, first), Output: out, Root: root})
		if err != nil {
			t.Error(err)
		}
		done <- v.Outcome
	}()
	<-out
	probe(t, Options{Dir: dir})
	if names := containers(t, first, dir); len(names) != 1 {
		t.Errorf("the second server left %q of what the first one runs", names)
	}
	cancel()
	if outcome := <-done; outcome != sandbox.Cancelled {
		t.Errorf("it ended as %s", outcome)
	}
}

// killServer starts a server in a process of its own, waits until its steps run, and kills it.
func killServer(t *testing.T, dir, ref string) *exec.Cmd {
	t.Helper()
	server := exec.Command("/proc/self/exe", serverArg, engine.Host(), dir, ref)
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
	if running := born(dir); len(running) < 2 {
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

// within asks again until ok, at most for a minute.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.NewTimer(time.Minute)
	defer tick.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
