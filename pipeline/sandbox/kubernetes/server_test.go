package kubernetes

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

const serverArg = "kubernetes-server"

// serve is a server that is killed in the middle of a run. It is this test binary, started by the test.
func serve(kubeconfig, image, dir, namespace string) {
	s, err := Probe(context.Background(), Options{Kubeconfig: kubeconfig, Namespace: namespace, Image: image, Dir: dir, Enforced: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ws, err := os.MkdirTemp(dir, "ws-")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, err = s.Run(context.Background(), sandbox.Spec{
		ID: "killed", Script: "setsid sleep 1000 &\ntrap '' TERM HUP\necho ready\nsleep 1000\n", Workspace: ws, Output: os.Stdout,
		Env: []string{"MARK=" + dir}, Root: &sandbox.Root{Name: "tools", Ref: image},
	})
	fmt.Println(err)
	os.Exit(1)
}

func TestNothingOutlivesAKilledServer(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other := p.probe(t) // a server of the same folder, which lives
	server := exec.Command("/proc/self/exe", serverArg, p.options.Kubeconfig, p.options.Image, p.options.Dir, other.options.Namespace)
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		t.Errorf("the server said %q, %v", line, err)
	}
	alive, end := started(t, p, other, sandbox.Spec{ID: "alive"})
	if err := server.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	third := p.probe(t)
	pods, err := third.cluster.list(t.Context(), labelFolder+"="+third.folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(pods) != 1 || pods[0].Name != alive {
		t.Errorf("the next server left %d pods", len(pods))
	}
	if err := other.cluster.remove(t.Context(), alive, 1); err != nil {
		t.Fatal(err)
	}
	<-end
}

func TestAServerOfAnotherFolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := p.probe(t)
	alive, end := started(t, p, first, sandbox.Spec{ID: "alive"})
	p.options.Dir = t.TempDir()
	p.probe(t)
	if _, err := first.cluster.pod(t.Context(), alive); err != nil {
		t.Errorf("its pod: %v", err)
	}
	if err := first.cluster.remove(t.Context(), alive, 1); err != nil {
		t.Fatal(err)
	}
	<-end
}
