// Package exec hands an artifact to a script that the operator has installed.
//
// The plan names the script by its bare name and nothing else; the script lies in one folder, which only the operator
// fills. It is started without a shell, with one argument, the verb, and an environment that holds nothing but:
//
//	CONVEYOR_DEPLOYMENT     the attempt: the same again must be finished, not begun anew
//	CONVEYOR_TOKEN          for a place that fences by itself
//	CONVEYOR_REPOSITORY     owner/name
//	CONVEYOR_ENVIRONMENT    "staging", "preview/pr-12"
//	CONVEYOR_COMMIT         full id; empty for remove
//	CONVEYOR_DIGEST         of the artifact; empty for remove
//	CONVEYOR_ARTIFACT_DIR   the verified files, for deploy only; gone when the script has ended
//	CONVEYOR_SETTING_<NAME> the target's other settings
//	CONVEYOR_SECRETS_DIR    a folder in memory with a file for each secret, when there are any; only the script sees it
//
// What it must do:
//
//	deploy   put the files in place, and return when the place serves them; on failure leave what was there
//	probe    print the digest that the place runs, or nothing
//	remove   take the environment down; a place that is gone already is no failure
//
// It exits with 0 when that is done, with 75 when its place has seen a higher token, with anything else on failure. For
// one environment no two scripts of deploy or remove run at once, and none runs with a lower token than one before it.
//
// The package never passes text from a repository to a shell. Start reading at Deploy; how the script is run stands in
// script.go, and who may run it in turn.go.
package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Options are what the operator decides.
type Options struct {
	Dir     string        // the folder of scripts; when empty, every deployment is refused
	Scratch string        // a folder of our own, kept over restarts: files for scripts, and the tokens seen
	Timeout time.Duration // of one script, 10 minutes when 0
}

// Target runs the operator's scripts. It holds no state in memory: several servers may share the folders.
type Target struct {
	dir, scratch string
	timeout      time.Duration
}

var _ target.Target = (*Target)(nil)

// New makes the scratch folder. Whether a script can be run is asked when a deployment names it.
func New(o Options) (*Target, error) {
	if o.Dir != "" && !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("exec: the folder of scripts, %q, is not absolute", o.Dir)
	}
	if !filepath.IsAbs(o.Scratch) {
		return nil, fmt.Errorf("exec: the scratch folder, %q, is not absolute", o.Scratch)
	}
	if err := os.MkdirAll(o.Scratch, 0o700); err != nil {
		return nil, fmt.Errorf("exec: make the scratch folder: %w", err)
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if err := os.MkdirAll(filepath.Join(o.Scratch, secretsDir), 0o700); err != nil {
		return nil, fmt.Errorf("exec: make the place of secrets: %w", err)
	}
	return &Target{dir: o.Dir, scratch: o.Scratch, timeout: o.Timeout}, nil
}

// Deploy lays the files out, waits for its turn, and runs the script. A script of a lower token that still runs is
// killed; one of a higher token keeps this one from starting.
func (t *Target) Deploy(ctx context.Context, d target.Deployment, files target.Files) error {
	d = audible(d)
	if d.ID == "" || !d.Digest.Valid() || !d.Commit.Valid() {
		return fmt.Errorf("%w: the deployment does not say what it is", target.ErrRefused)
	}
	script, err := t.script(d)
	if err != nil {
		return err
	}
	turn, err := t.claim(ctx, d)
	if err != nil {
		return err
	}
	dir, err := turn.layOut(ctx, d, files)
	if err != nil {
		return err
	}
	defer dir.discard()
	return turn.run(ctx, d, func(ctx context.Context) error {
		fmt.Fprintf(d.Log, "Running %s deploy for %s\n", filepath.Base(script), d.Environment)
		return t.start(ctx, call{script: script, verb: "deploy", d: d, dir: dir.files(), started: turn.started}, d.Log)
	})
}

// Probe runs the script to ask the place what it serves. It takes no turn: asking changes nothing.
func (t *Target) Probe(ctx context.Context, d target.Deployment) (pipeline.Digest, error) {
	d = audible(d)
	script, err := t.script(d)
	if err != nil {
		return "", err
	}
	var said tail
	if err := t.start(ctx, call{script: script, verb: "probe", d: d, apart: true}, &said); err != nil {
		return "", err
	}
	digest := pipeline.Digest(strings.TrimSpace(said.String()))
	if digest != "" && !digest.Valid() {
		return "", fmt.Errorf("exec: %s probe printed %q; it must print a digest, sha256: and 64 hex digits, or nothing", filepath.Base(script), digest)
	}
	return digest, nil
}

// Remove runs the script to take the environment down.
func (t *Target) Remove(ctx context.Context, d target.Deployment) error {
	d = audible(d)
	script, err := t.script(d)
	if err != nil {
		return err
	}
	turn, err := t.claim(ctx, d)
	if err != nil {
		return err
	}
	return turn.run(ctx, d, func(ctx context.Context) error {
		fmt.Fprintf(d.Log, "Running %s remove for %s\n", filepath.Base(script), d.Environment)
		return t.start(ctx, call{script: script, verb: "remove", d: d, started: turn.started}, d.Log)
	})
}

// audible is d with somewhere to write to.
func audible(d target.Deployment) target.Deployment {
	if d.Log == nil {
		d.Log = io.Discard
	}
	return d
}

// errFenced is why a running script is killed when a newer deployment has taken the place over.
var errFenced = errors.New("a newer deployment has taken over")
