package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// batchSize is how many pipelines there are in a batch, each of one step that does nothing.
const batchSize = 100

// measureBatch asks how long it takes until a hundred pipelines are done that all come at once: from the moment when GitHub
// begins to deliver a hundred pushes until their hundred checks are concluded there. Each is a commit of its own, which is
// fetched, and a step in a box; each end is durable. Two run at a time. The peers' commands are given a hundred folders that are
// there already, and run the step as they are, without a box, and keep nothing.
func measureBatch(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s, "CONVEYOR_WORKERS=2")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	if _, err := h.push("main", onAnyBranch(), "first"); err != nil {
		return nil, err
	}
	if err := h.rest(ctx, time.Minute); err != nil {
		return nil, err
	}
	many := pick(s, batchSize, 10)
	peers, err := findPeers(filepath.Join(h.dir, "peers"))
	if err != nil {
		return nil, err
	}
	var ours []float64
	n := 0
	sides := []func(context.Context) error{func(ctx context.Context) error {
		n++
		took, err := h.batch(ctx, n, many)
		ours = append(ours, milliseconds(took))
		return err
	}}
	for i := range peers {
		p := &peers[i]
		sides = append(sides, func(ctx context.Context) error {
			took, err := p.batch(ctx, many)
			p.took = append(p.took, milliseconds(took))
			return err
		})
	}
	if err := s.play(ctx, 45*time.Second, min(s.rounds, 5), sides...); err != nil {
		return nil, err
	}
	var rows []row
	for _, p := range peers {
		r := lower(fmt.Sprintf("%d pushes at once, each with a step of `true` in a box, until GitHub shows the last", many), "ms", median(ours), median(p.took), p.name)
		if p.aim > 0 {
			r = r.aim(p.aim)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// onAnyBranch is a plan of one step for every branch.
func onAnyBranch() string { return strings.Replace(plan(1), "branches: [main]", `branches: ["**"]`, 1) }

// batch pushes so many branches while GitHub's hooks are held, lets them go, and waits for the last check's end.
func (h *house) batch(ctx context.Context, round, many int) (time.Duration, error) {
	h.github.HoldHooks(h.app.Slug)
	pushed := map[string]bool{}
	for i := range many {
		sha, err := h.push(fmt.Sprintf("batch-%d-%d", round, i), onAnyBranch(), fmt.Sprintf("%d of %d", i, round))
		if err != nil {
			return 0, err
		}
		pushed[sha] = true
	}
	began := time.Now()
	h.github.ReleaseHooks(h.app.Slug, false)
	err := h.wait(ctx, fmt.Sprintf("the end of %d checks", many), func(v *github.View) bool {
		passed := 0
		for _, run := range v.CheckRuns(slug, "") {
			if pushed[run.HeadSHA] && run.Conclusion == "success" {
				passed++
			}
		}
		return passed == many
	})
	took := time.Since(began)
	return took, errors.Join(err, h.rest(ctx, time.Minute))
}

// peer is a program that runs the same step, once each time that it is called.
type peer struct {
	name    string
	once    string // what it is called when it runs a single step
	command string // for a shell, in the peer's folder
	dir     string
	aim     float64
	engine  bool // it sets a job up and takes it down again, and does not only run the step
	took    []float64
}

// findPeers prepares what is there of them: Woodpecker's command where it is installed, and act, which test/setup/peers.sh
// builds.
func findPeers(dir string) (peers []peer, err error) {
	files := map[string]string{
		".woodpecker.yaml":          "skip_clone: true\nwhen: [{event: [push, manual]}]\nsteps:\n  - name: one\n    image: sh\n    commands: [\"true\"]\n",
		".github/workflows/one.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - {run: \"true\", shell: sh}\n",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "one"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	if path, err := exec.LookPath("woodpecker-cli"); err == nil {
		peers = append(peers, peer{name: "woodpecker-cli exec, local, unboxed, two at a time", once: "woodpecker-cli exec of that step, local and unboxed", aim: 0.5, dir: dir,
			command: path + " --log-level error exec --backend-engine local --local .woodpecker.yaml"})
	}
	if path, err := peerProgram("act"); err == nil {
		peers = append(peers, peer{name: "act, self-hosted, unboxed, two at a time", once: "act of that step, self-hosted and unboxed", engine: true, aim: 0.5, dir: dir,
			command: path + " push -P ubuntu-latest=-self-hosted --no-cache-server"})
	} else {
		return nil, err
	}
	return append(peers, peer{name: "xargs -P2 sh", command: "/bin/sh -e -c true", dir: dir}), nil
}

// peerProgram is a program that was built to be measured against.
func peerProgram(name string) (string, error) {
	path, err := filepath.Abs(filepath.Join("test", "peers", "bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("%s is not there; run `make setup-bench`: %w", name, err)
	}
	return path, nil
}

func (p *peer) batch(ctx context.Context, many int) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("seq %d | xargs -P2 -I@ %s", many, p.command))
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_CACHE_HOME="+filepath.Join(p.dir, "cache"))
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w: %.2000s", p.name, err, out)
	}
	return time.Since(began), nil
}
