package oci

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
)

// plain is a user that no machine has, with no right at all.
const plain = 54321

// asPlainUser does a test again as a user who is not root, with a folder of its own. It reports whether this is that user.
func asPlainUser(t *testing.T, prepare func(cmd *exec.Cmd)) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "plain-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, plain, plain); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plain, Gid: plain}}
	if prepare != nil {
		prepare(cmd)
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("as another user: %v\n%s", err, out)
	}
	return false
}

func probeAlone(t *testing.T) *Deputy {
	t.Helper()
	d, err := ProbeAlone(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("%v (this test needs crun, and user namespaces for those who are not root)", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(d.options.Dir, "runs", "*")); len(left) > 0 {
			t.Errorf("left at the end: %q", left)
		}
	})
	return d
}

func TestTheDeputyKeepsTheContract(t *testing.T) {
	t.Parallel()
	if !asPlainUser(t, nil) {
		return
	}
	d := probeAlone(t)
	if i := d.Isolation(); i.Level != "ns" || i.Limited || !strings.Contains(i.Detail, "without limits of memory and processors") || !strings.Contains(i.Unfit(), "cgroup") {
		t.Errorf("%+v", i)
	}
	sandboxtest.Run(t, sandboxtest.Case{
		Sandbox: d, Commands: true, Isolated: true, Unlimited: true,
		Workspace: func(t testing.TB) string { return t.TempDir() },
		Hidden:    []string{d.options.Dir},
		Left: func(id string) []string {
			left, _ := filepath.Glob(filepath.Join(runFolder(d.options.Dir, id), "*"))
			return left
		},
	})
}

func TestWhatNeedsMoreThanOneUserIsRefusedWithoutRoot(t *testing.T) {
	t.Parallel()
	if !asPlainUser(t, nil) {
		return
	}
	for _, runtime := range []string{"runc", "runsc"} {
		if _, err := ProbeAlone(t.Context(), Options{Dir: t.TempDir(), Runtime: runtime}); err == nil || !strings.Contains(err.Error(), "install crun") {
			t.Errorf("%s: %v", runtime, err)
		}
	}
	d := probeAlone(t)
	spec := sandbox.Spec{ID: "x", Script: "true", Workspace: t.TempDir(), Output: &strings.Builder{}}
	for name, spoil := range map[string]func(*sandbox.Spec){
		"image": func(s *sandbox.Spec) { s.Root = &sandbox.Root{Layers: []string{"/usr"}} },
		"service": func(s *sandbox.Spec) {
			s.Services = []sandbox.Service{{Name: "db", Root: &sandbox.Root{}, Command: []string{"x"}, Ready: sandbox.Ready{Port: 1}}}
		},
	} {
		spoiled := spec
		spoil(&spoiled)
		if v, err := d.Run(t.Context(), spoiled); err == nil || !strings.Contains(err.Error(), "not root") {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// aloneArg is how this test binary is called when it is a server that is not root, and is killed in the middle of a run.
const aloneArg = "oci-alone"

func runAlone(dir string) {
	d, err := ProbeAlone(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, err = d.Run(context.Background(), sandbox.Spec{
		ID: "alone", Script: "setsid sleep 1000 &\ntrap '' TERM HUP\necho ready\nsleep 1000\n", Workspace: dir, Output: os.Stdout, Env: []string{"MARK=" + dir},
	})
	fmt.Println(err)
}

func TestNothingOutlivesAKilledServerThatIsNotRoot(t *testing.T) {
	t.Parallel()
	if !asPlainUser(t, nil) {
		return
	}
	dir := t.TempDir()
	server := exec.Command("/proc/self/exe", aloneArg, dir)
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
	if running := born(dir); len(running) < 2 {
		t.Errorf("only %q runs", running)
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	within(t, "the step of a killed server ends", func() bool { return len(born(dir)) == 0 })
	d, err := ProbeAlone(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "runs", "*")); len(left) > 0 {
		t.Errorf("the next server left %q", left)
	}
}
