package oci

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// BenchmarkTrue runs `true` in turns as a step and by the runtime alone with its own example configuration (`crun spec`:
// no user namespace, no filter, no limits, host folders bound by the runtime), and reports medians and their ratio. In
// turns, so that a busy machine is as bad for one as for the other.
func BenchmarkTrue(b *testing.B) {
	for _, runtime := range []string{"crun", "runc"} {
		b.Run(runtime, func(b *testing.B) {
			s := probe(b, Options{Runtime: runtime})
			ws, bundle := workspace(b, s), bareBundle(b, s.engine)
			var ours, bare []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				v, err := s.Run(b.Context(), sandbox.Spec{ID: fmt.Sprint("bench-", i), Script: "true\n", Workspace: ws, Output: io.Discard})
				if err != nil || !v.Passed() {
					b.Fatal(v, err)
				}
				ours = append(ours, time.Since(began))
				began = time.Now()
				runBare(b, s, bundle, i)
				bare = append(bare, time.Since(began))
			}
			b.ReportMetric(ms(ours), "ms/step")
			b.ReportMetric(ms(bare), "ms/bare")
			b.ReportMetric(ms(ours)/ms(bare), "ratio")
			b.ReportMetric(float64(slices.Min(ours))/float64(slices.Min(bare)), "ratio-of-best")
		})
	}
}

func ms(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2]) / float64(time.Millisecond)
}

// bareBundle is the runtime's own example, with the tools of this machine and `true`.
func bareBundle(b *testing.B, e engine) string {
	dir := b.TempDir()
	spec := exec.Command(e.path, "spec")
	spec.Dir = dir
	if out, err := spec.CombinedOutput(); err != nil {
		b.Fatal(err, string(out))
	}
	var config map[string]any
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		b.Fatal(err)
	}
	process := config["process"].(map[string]any)
	process["terminal"], process["args"] = false, []string{"/usr/bin/true"}
	delete(process, "rlimits")
	config["mounts"] = append(config["mounts"].([]any), map[string]any{"destination": "/usr", "type": "bind", "source": "/usr", "options": []string{"rbind", "ro"}})
	config["linux"].(map[string]any)["cgroupsPath"] = "/conveyor-bench"
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"rootfs/usr", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	for _, l := range [][2]string{{"usr/bin", "bin"}, {"usr/lib", "lib"}, {"usr/lib64", "lib64"}} {
		if err := os.Symlink(l[0], filepath.Join(dir, "rootfs", l[1])); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func runBare(b *testing.B, s *Sandbox, bundle string, i int) {
	err := onOwnThread(func() error {
		if err := privateMounts(); err != nil {
			return err
		}
		if s.engine.name == "crun" && s.cgroups.hybrid() {
			if err := unix.Unmount(s.cgroups.unified, unix.MNT_DETACH); err != nil {
				return err
			}
			if err := unix.Mount("none", s.cgroups.unified, "tmpfs", 0, ""); err != nil { // crun makes folders there
				return err
			}
		}
		cmd := exec.Command(s.engine.path, "--root", bundle+"/state", "run", "--bundle", bundle, fmt.Sprint("bare-", i))
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Run()
	})
	if err != nil {
		b.Fatal(err)
	}
}
