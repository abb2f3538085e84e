package folder_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/folder"
)

func TestOnlyTheProcessSeesItsSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const value = "it's a\nkey\n"
	cmd := exec.Command("/bin/sh", "-c", `cat "$1/TOKEN"; stat -f -c ' %T' "$1"; stat -c %a "$1/TOKEN"; read line`, "sh", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := folder.Start(cmd, dir, []secret.Given{{Name: "TOKEN", Value: secret.New(value)}}); err != nil {
		t.Fatalf("%v (this test needs root)", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the machine sees %v, %v", left, err)
	}
	_ = in.Close()
	_ = cmd.Wait() // read meets the end of its input
	if got := out.String(); got != value+" tmpfs\n400\n" {
		t.Errorf("it saw %q", got)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("something is left mounted: %v", err)
	}
}

func TestABadNameStartsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mark := filepath.Join(dir, "ran")
	for _, name := range []string{"../x", "", "a b", "LD_PRELOAD", "PATH", "X\n", "é"} {
		if err := folder.Start(exec.Command("/bin/touch", mark), dir, []secret.Given{{Name: name, Value: secret.New("word")}}); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
}
