package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
	"github.com/conveyor-ci/conveyor/pipeline/provenance"
)

func (a *App) openProvenance(context.Context) (err error) {
	file := a.config.ProvenanceKeyFile
	if file == "" {
		file = filepath.Join(a.config.DataDir, "provenance.key")
	}
	if a.signer, err = provenance.Open(file); err != nil {
		return fmt.Errorf("app: artifacts cannot be signed: %w", err)
	}
	a.log.Info("artifacts are signed", "key", a.signer.Hint(), "public", provenance.PublicFile(file))
	return nil
}

// attest signs where a step's artifact comes from, and keeps that as an artifact of its own. It is done here, outside of
// the sandbox, after the step has ended: nothing that a step can reach holds the key, or decides what is signed.
func (a *App) attest(ctx context.Context, s pipeline.State, spec pipeline.Step, attempt int, r *pipeline.Result) {
	if r.Outcome != pipeline.Passed || a.signer == nil {
		return
	}
	for _, made := range r.Made() {
		if err := a.sign(ctx, s, spec, attempt, r.Inputs, made); err != nil {
			r.Outcome, r.Reason, r.Artifact, r.Secondary = pipeline.Infrastructure, "the artifact's provenance could not be kept: "+err.Error(), nil, nil
			return
		}
	}
}

func (a *App) sign(ctx context.Context, s pipeline.State, spec pipeline.Step, attempt int, inputs pipeline.Digest, made *pipeline.Artifact) error {
	m, err := a.artifacts.Manifest(ctx, made.Digest)
	if err != nil {
		return err
	}
	step, _ := find(s, spec.Name)
	in, t := a.boxFor(s.Trust).Isolation(), s.Trigger
	claim := provenance.Claim{
		Artifact: made.Name, Digest: made.Digest,
		Builder: a.builder(), Repository: a.repositoryURL(t.Repo), RepoID: t.Repo.ID, Event: t.Kind, Ref: t.Ref, Commit: t.Commit,
		PlanCommit: s.PlanFrom, PlanPath: s.Plan.File, Plan: planDigest(s.Plan), Trust: s.Trust, Isolation: in.Level + ", " + in.Runtime, Image: spec.Image, ImageID: s.Images[spec.Image],
		Run: s.Run, Step: spec.Name, StepDigest: inputs, Attempt: attempt, Started: step.Started, Finished: a.now().UTC(),
	}
	for _, f := range m.Files {
		if f.Link == "" {
			claim.Files = append(claim.Files, provenance.File{Path: f.Path, Digest: f.Digest})
		}
	}
	if len(claim.Files) > provenance.MaxFiles {
		claim.Files = nil
	}
	signed, err := a.signer.Sign(claim)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "provenance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a few kilobytes, and nothing secret
	if err := os.WriteFile(filepath.Join(dir, provenance.FileName), signed, 0o600); err != nil {
		return err
	}
	kept, err := a.artifacts.Put(ctx, dir, []string{provenance.FileName}, artifact.Limits{})
	if err != nil {
		return err
	}
	made.Provenance = kept.Digest()
	return nil
}

// bundle reads the provenance of an artifact.
func (a *App) bundle(ctx context.Context, kept pipeline.Digest) ([]byte, error) {
	m, err := a.artifacts.Manifest(ctx, kept)
	if err != nil {
		return nil, err
	}
	if len(m.Files) != 1 || m.Files[0].Size > provenance.MaxBundle {
		return nil, fmt.Errorf("%w: %s is no provenance", artifact.ErrCorrupt, kept)
	}
	r, err := a.artifacts.Open(ctx, m.Files[0].Digest)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// unproven says in words why what waits for a protected environment must not enter it, or nothing. It trusts the
// signature, and asks of it what the run's own stream says. Whatever cannot be found out keeps it shut.
func (a *App) unproven(ctx context.Context, s deploy.State, spec pipeline.Environment, waiting deploy.Promotion) (why string, err error) {
	if !spec.Protected() {
		return "", nil
	}
	run, _, err := a.runs().Load(ctx, a.journal, string(waiting.Run))
	if err != nil {
		return "", err
	}
	made, step := madeBy(run, spec.Artifact, waiting.Digest)
	if made.Provenance == "" {
		return "the artifact has no provenance; run its commit again, so that it gets one", nil
	}
	if step.From != "" { // an earlier run of the commit has made it
		if run, _, err = a.runs().Load(ctx, a.journal, string(step.From)); err != nil {
			return "", err
		}
	}
	data, err := a.bundle(ctx, made.Provenance)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) || errors.Is(err, artifact.ErrUnsafe) {
		return "the artifact's provenance is not on hand: " + sentence(err), nil
	}
	if err != nil {
		return "", err
	}
	claim, err := provenance.Verify(data, a.signer.Trusted())
	if err == nil {
		err = provenance.Want{
			Artifact: waiting.Digest, Builder: a.builder(), RepoID: s.Repo.ID, Commit: waiting.Commit, Plan: planDigest(run.Plan),
			Run: run.Run, Step: step.Name, Trust: max(pipeline.Writer, run.Trust),
		}.Check(claim)
	}
	if err != nil {
		return "the artifact's provenance does not count: " + err.Error(), nil
	}
	return "", nil
}

// madeBy finds what a run made.
func madeBy(run pipeline.State, name string, digest pipeline.Digest) (pipeline.Artifact, pipeline.StepState) {
	for _, st := range run.Steps {
		for _, made := range st.Result.Made() {
			if st.Phase == pipeline.Done && made.Name == name && made.Digest == digest {
				return *made, st
			}
		}
	}
	return pipeline.Artifact{}, pipeline.StepState{}
}

// builder names this server in what it signs.
func (a *App) builder() string { return strings.TrimSuffix(a.config.PublicURL, "/") }

func (a *App) repositoryURL(r pipeline.Repo) string {
	return strings.TrimSuffix(a.config.GitHubURL, "/") + "/" + r.Slug()
}

func planDigest(p pipeline.Plan) pipeline.Digest {
	return pipeline.Digest("sha256:" + planfile.Hash(p))
}
