package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

// manySteps is how many steps run one after the other.
const manySteps = 10

// measureSteps asks what the product adds to a step: ten steps of `true`, each in a fresh copy of the source, with a log, in
// a box with limits and a system call filter, each begun and ended in the journal. By hand it is a loop around the bare
// runtime, in the same namespaces, and nothing else.
func measureSteps(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s, "CONVEYOR_WORKERS=1")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	runtime, err := h.runtime(ctx)
	if err != nil {
		return nil, err
	}
	shell := []string{"/bin/sh", "-e"}
	if _, err := os.Stat("/bin/bash"); err == nil {
		shell = []string{"/bin/bash", "-e", "-o", "pipefail"} // as for a step, where there is one
	}
	bundle, err := bareBundle(filepath.Join(h.dir, "bare"), append(shell, "-c", "true"))
	if err != nil {
		return nil, err
	}
	journal, err := sqlite.Open(ctx, filepath.Join(h.data, "journal.db"), time.Now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()

	n := 0
	var ours, bare []float64
	sandboxed := func(ctx context.Context) error {
		n++
		sha, err := h.push("main", plan(manySteps), strconv.Itoa(n))
		if err != nil {
			return err
		}
		run, err := h.concluded(ctx, sha)
		if err != nil {
			return err
		}
		if err := h.rest(ctx, time.Minute); err != nil {
			return err
		}
		stream, _, _ := cutLast(run.ExternalID, " "+check)
		took, err := tookRun(ctx, journal, stream)
		ours = append(ours, milliseconds(took))
		return err
	}
	byHand := func(ctx context.Context) error {
		took, err := runBare(ctx, runtime, bundle)
		bare = append(bare, milliseconds(took))
		return err
	}
	if err := errors.Join(sandboxed(ctx), byHand(ctx)); err != nil { // the first of each finds nothing in any cache
		return nil, err
	}
	ours, bare = nil, nil
	if err := s.play(ctx, 50*time.Second, pick(s, 2*s.rounds+1, 2), sandboxed, byHand); err != nil {
		return nil, err
	}
	return []row{
		lower("ten steps of `true`, sandboxed and journaled", "ms", median(ours), median(bare), fmt.Sprintf("%s run, ten times, same namespaces and shell", runtime)).aim(1.5),
	}, nil
}

func cutLast(text, end string) (before, after string, found bool) {
	if len(text) < len(end) || text[len(text)-len(end):] != end {
		return text, "", false
	}
	return text[:len(text)-len(end)], end, true
}

// tookRun is the time between a run's first event and the one that says that its conclusion has been passed on, which is
// written when the last step's end is durable.
func tookRun(ctx context.Context, j *sqlite.Journal, stream string) (time.Duration, error) {
	records, err := j.Read(ctx, stream, 0)
	if err != nil {
		return 0, err
	}
	var requested, reported time.Time
	passed := 0
	for _, r := range records {
		event, err := pipeline.Decode(r.Kind, r.Data)
		if err != nil {
			return 0, err
		}
		switch e := event.(type) {
		case pipeline.Requested:
			requested = e.At
		case pipeline.StepFinished:
			if e.Result.Outcome == pipeline.Passed {
				passed++
			}
		case pipeline.Reported:
			reported = e.At
		}
	}
	if requested.IsZero() || reported.IsZero() || passed != manySteps {
		return 0, fmt.Errorf("the journal's %s tells of %d steps that passed, in %d records", stream, passed, len(records))
	}
	return reported.Sub(requested), nil
}

// bareBundle is the least that shows a step the tools of this machine, in the namespaces that the product uses.
func bareBundle(dir string, command []string) (string, error) {
	root := filepath.Join(dir, "rootfs")
	for _, path := range []string{"usr", "proc", "dev", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
			return "", err
		}
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
		{Destination: "/usr", Type: "bind", Source: "/usr", Options: []string{"rbind", "ro"}},
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		target, err := os.Readlink("/" + name)
		switch {
		case err == nil:
			err = os.Symlink(target, filepath.Join(root, name))
		case !errors.Is(err, os.ErrNotExist):
			mounts = append(mounts, specs.Mount{Destination: "/" + name, Type: "bind", Source: "/" + name, Options: []string{"rbind", "ro"}})
			err = os.Mkdir(filepath.Join(root, name), 0o755)
		default:
			err = nil
		}
		if err != nil {
			return "", err
		}
	}
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100_000, Size: 65_536}}
	text, err := json.Marshal(specs.Spec{
		Version: "1.0.2", Hostname: "bare", Root: &specs.Root{Path: "rootfs", Readonly: true}, Mounts: mounts,
		Process: &specs.Process{Args: command, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/", NoNewPrivileges: true},
		Linux: &specs.Linux{
			CgroupsPath: "/conveyor-bench", UIDMappings: ids, GIDMappings: ids,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.UserNamespace}, {Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.CgroupNamespace},
			},
		},
	})
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644)
}

// bareLoop runs the bundle ten times. crun gives up when it sees both versions of control groups, so that the second is hidden
// from it where there are both.
const bareLoop = `set -e
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
i=0
while [ $i -lt "$3" ]; do
	"$1" --root "$2/state" run --bundle "$2" "conveyor-bench-$$-$i" </dev/null
	i=$((i + 1))
done`

func runBare(ctx context.Context, runtime, bundle string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, "unshare", "-m", "sh", "-c", bareLoop, "bare", runtime, bundle, strconv.Itoa(manySteps))
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s run by hand: %w: %s", runtime, err, out)
	}
	return time.Since(began), nil
}
