package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/provenance"
)

// verify proves where something comes from, without a server and without the net.
type verify struct {
	What       string `arg:"" help:"A file of an artifact or its manifest, a folder with the whole artifact, or a digest (sha256:...)."`
	Bundle     string `help:"The provenance, as the run's page gives it." required:"" placeholder:"FILE" type:"path"`
	Key        string `help:"File with the public key (provenance.pub), from a place that you trust." required:"" placeholder:"FILE" type:"path"`
	Builder    string `help:"The public address of the server that must have made it." placeholder:"URL"`
	Repository string `help:"The address of the repository that it must come from." placeholder:"URL"`
	Commit     string `help:"The commit, in full, that it must come from." placeholder:"SHA"`
	Plan       string `help:"The digest of the plan that must have made it." placeholder:"DIGEST"`
	RunID      string `help:"The run that must have made it." name:"run" placeholder:"RUN"`
	Step       string `help:"The step that must have made it." placeholder:"STEP"`
	Trust      string `help:"How far the run must have been trusted, at least: outside, allowed or writer." enum:"outside,allowed,writer" default:"writer"`
}

// Run proves it, and prints what was proven. Its exit code is 1 when there is any doubt.
func (v *verify) Run(ctx context.Context) error {
	claim, err := v.claim()
	if err != nil {
		return err
	}
	want := provenance.Want{
		Builder: strings.TrimSuffix(v.Builder, "/"), Repository: v.Repository, Commit: pipeline.Commit(v.Commit), Plan: pipeline.Digest(v.Plan),
		Run: pipeline.RunID(v.RunID), Step: v.Step, Trust: map[string]pipeline.Trust{"outside": pipeline.Outside, "allowed": pipeline.Allowed, "writer": pipeline.Writer}[v.Trust],
	}
	if want.Subject, err = digestOf(ctx, v.What); err != nil {
		return err
	}
	if err := want.Check(claim); err != nil {
		return fmt.Errorf("%s: %w", v.Bundle, err)
	}
	fmt.Printf("%s is as %s made it.\n", want.Subject, claim.Builder)
	for _, line := range [][2]string{
		{"repository", claim.Repository}, {"ref", claim.Ref}, {"commit", string(claim.Commit)}, {"plan", string(claim.Plan)},
		{"run", string(claim.Run)}, {"step", claim.Step}, {"step digest", string(claim.StepDigest)}, {"artifact", claim.Artifact + " " + string(claim.Digest)},
		{"trust", claim.Trust.String()}, {"isolation", claim.Isolation},
		{"made", claim.Started.Format(time.RFC3339) + " to " + claim.Finished.Format(time.RFC3339)},
	} {
		fmt.Printf("  %-12s %s\n", line[0], printable(line[1]))
	}
	return nil
}

func (v *verify) claim() (provenance.Claim, error) {
	data, err := os.ReadFile(v.Key)
	if err != nil {
		return provenance.Claim{}, fmt.Errorf("the public key cannot be read: %w", err)
	}
	keys, err := provenance.PublicKeys(data)
	if err != nil {
		return provenance.Claim{}, fmt.Errorf("%s: %w", v.Key, err)
	}
	file, err := os.Open(v.Bundle)
	if err != nil {
		return provenance.Claim{}, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	defer file.Close()
	bundle, err := io.ReadAll(io.LimitReader(file, provenance.MaxBundle+1))
	if err != nil {
		return provenance.Claim{}, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	claim, err := provenance.Verify(bundle, keys)
	if err != nil {
		return provenance.Claim{}, fmt.Errorf("%s: %w", v.Bundle, err)
	}
	return claim, nil
}

// digestOf is the digest of what is named: a digest itself, a folder as an artifact, or a file.
func digestOf(ctx context.Context, what string) (pipeline.Digest, error) {
	if d := pipeline.Digest(what); d.Valid() {
		return d, nil
	}
	info, err := os.Stat(what)
	if err != nil {
		return "", fmt.Errorf("there is nothing to verify: %w", err)
	}
	if info.IsDir() {
		m, err := artifact.Gather(ctx, what, []string{"**"}, artifact.Limits{}, func(r io.Reader, _ int64) (pipeline.Digest, error) {
			h := sha256.New()
			_, err := io.Copy(h, r)
			return artifact.Sum(h), err
		})
		if err != nil {
			return "", fmt.Errorf("%s is no artifact: %w", what, err)
		}
		return m.Digest(), nil
	}
	file, err := os.Open(what)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", what, err)
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", what, err)
	}
	return artifact.Sum(h), nil
}
