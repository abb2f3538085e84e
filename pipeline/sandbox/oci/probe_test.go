package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func TestCrunIsTakenFirst(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	if i := s.Isolation(); i.Level != "ns" || !strings.HasPrefix(i.Runtime, "crun ") || !i.FitForStrangers() {
		t.Errorf("%+v", i)
	}
}

func TestARuntimeThatIsUnknownIsSaidSo(t *testing.T) {
	t.Parallel()
	_, err := Probe(t.Context(), Options{Dir: t.TempDir(), Runtime: "docker"})
	if err == nil || !strings.Contains(err.Error(), "choose crun, runc or runsc") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// It cannot be parallel: programs are looked up on the PATH of the whole process.
func TestARuntimeThatIsNotThereIsSaidSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Probe(t.Context(), Options{Dir: t.TempDir(), Runtime: "runsc"})
	if err == nil || !strings.Contains(err.Error(), "not installed") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// It cannot be parallel: programs are looked up on the PATH of the whole process.
func TestWhereOneRuntimeFailsTheNextIsTakenAndTheErrorNamesWhatFailed(t *testing.T) {
	programs := t.TempDir()
	broken := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo crun version 0.1; exit 0; fi\necho cannot do it >&2\necho at all >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(programs, "crun"), []byte(broken), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	if i := probe(t, Options{}).Isolation(); !strings.HasPrefix(i.Runtime, "runc ") {
		t.Errorf("%+v", i)
	}
	dir := t.TempDir()
	_, err := Probe(t.Context(), Options{Dir: dir, Runtime: "crun"})
	if err == nil || !strings.Contains(err.Error(), "crun failed: ") || !strings.Contains(err.Error(), "cannot do it at all") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
		t.Errorf("the probe left %q", left)
	}
}

func TestIdsOfTheMachinesUsersAreRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []int{1, 1000, -1, 1 << 32} {
		if _, err := Probe(t.Context(), Options{Dir: t.TempDir(), FirstID: id}); err == nil {
			t.Errorf("%d was taken", id)
		}
	}
}

func TestWhatIsInForceIsReadFromTheBoxItself(t *testing.T) {
	t.Parallel()
	const good = "Uid:\t1000\t1000\t1000\t1000\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	if err := inForce(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", strings.Replace(good, "Seccomp:\t2", "Seccomp:\t0", 1), strings.Replace(good, "NoNewPrivs:\t1\n", "", 1),
		strings.Replace(good, "CapBnd:\t0", "CapBnd:\t1", 1), strings.Replace(good, "1000", "0", 1)} {
		if inForce(bad) == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestToolsOfTheOperatorAreSeenAndOnPath(t *testing.T) {
	t.Parallel()
	tool, err := os.MkdirTemp("/opt", "conveyor-tool-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tool) })
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(tool, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tool, "bin", "conveyor-greet"), []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := probe(t, Options{Tools: []string{tool}})
	var out strings.Builder
	v, err := s.Run(t.Context(), sandbox.Spec{
		ID: "tool", Script: "conveyor-greet\nls /opt | wc -l\nif echo x 2>/dev/null >" + tool + "/made; then echo written; fi\n", Workspace: workspace(t, s), Output: &out,
	})
	if err != nil || !v.Passed() || strings.TrimSpace(out.String()) != "hello\n1" {
		t.Errorf("%+v, %v: %q", v, err, out.String())
	}
}

func TestToolsThatWouldShowSecretsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/root", link); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"/", "/root", "/home", "/var", "/etc", "/etc/ssl/private", "/proc", "/proc/sys", "/run", "/run/docker.sock", "/tmp", "/dev", "relative", link, dir, filepath.Dir(dir), "/nowhere"} {
		if err := (&host{}).addTool(tool, dir); err == nil {
			t.Errorf("%s would be shown", tool)
		}
	}
}

func TestTheGoOfThisMachineBuildsInTheBox(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	ws := workspace(t, s)
	for name, text := range map[string]string{"go.mod": "module hello\n", "main.go": "package main\n\nfunc main() { println(\"hello\") }\n"} {
		if err := os.WriteFile(filepath.Join(ws, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	v, err := s.Run(t.Context(), sandbox.Spec{ID: "go", Script: "go vet -n . >/dev/null 2>&1\ngo env GOCACHE\n", Workspace: ws, Output: &out})
	if err != nil || !v.Passed() || !strings.HasPrefix(out.String(), homeDir) {
		t.Errorf("%+v, %v: %q", v, err, out.String())
	}
}
