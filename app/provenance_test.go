package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	artifacts "github.com/conveyor-ci/conveyor/pipeline/artifact/memory"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	journals "github.com/conveyor-ci/conveyor/pipeline/journal/memory"
	"github.com/conveyor-ci/conveyor/pipeline/provenance"
)

// proving is a server with one run, whose artifact is signed as a case says.
type proving struct {
	*App
	t       *testing.T
	claim   provenance.Claim
	spec    pipeline.Environment
	repo    deploy.State
	waiting deploy.Promotion
	trust   pipeline.Trust
	signer  *provenance.Key
	kept    pipeline.Digest // in place of a bundle
}

func newProving(t *testing.T) *proving {
	t.Helper()
	dir := t.TempDir()
	key, err := provenance.Open(filepath.Join(dir, "p.key"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proving{App: &App{journal: journals.New(time.Now), artifacts: artifacts.New(), clock: time.Now, signer: key}, t: t, signer: key, trust: pipeline.Writer}
	p.config.PublicURL, p.config.GitHubURL = "https://conveyor.example.com/", "https://github.com"
	commit := pipeline.Commit(strings.Repeat("e", 40))
	digest := pipeline.Digest("sha256:" + strings.Repeat("a", 64))
	p.repo = deploy.State{Repo: pipeline.Repo{ID: 7, Owner: "octo", Name: "shop"}}
	p.spec = pipeline.Environment{Name: "production", Artifact: "site", Approve: &pipeline.Approve{By: []string{"maintain"}}}
	p.waiting = deploy.Promotion{ID: "production#1", Commit: commit, Digest: digest, Run: "run/7/guid"}
	p.claim = provenance.Claim{
		Artifact: "site", Digest: digest, Builder: "https://conveyor.example.com", Repository: "https://github.com/octo/shop", RepoID: 7, Event: pipeline.Push,
		Ref: "refs/heads/main", Commit: commit, PlanCommit: commit, Plan: planDigest(p.plan()), Trust: pipeline.Writer, Run: p.waiting.Run, Step: "build", Attempt: 1,
	}
	return p
}

func (p *proving) plan() pipeline.Plan {
	return pipeline.Plan{Version: 1, Stages: []pipeline.Stage{{Name: "build", Steps: []pipeline.Step{{Name: "build", Run: "make"}}}}}
}

// asked writes the run down and asks the gate.
func (p *proving) asked() (string, error) {
	p.t.Helper()
	ctx := p.t.Context()
	made := pipeline.Artifact{Name: "site", Digest: p.waiting.Digest, Files: 1, Size: 1, Provenance: p.kept}
	if p.kept == "" && p.signer != nil {
		signed, err := p.signer.Sign(p.claim)
		if err != nil {
			p.t.Fatal(err)
		}
		dir := p.t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, provenance.FileName), signed, 0o600); err != nil {
			p.t.Fatal(err)
		}
		m, err := p.artifacts.Put(ctx, dir, []string{"**"}, artifact.Limits{})
		if err != nil {
			p.t.Fatal(err)
		}
		made.Provenance = m.Digest()
	}
	run := pipeline.RunID("run/7/guid")
	for _, e := range []pipeline.Event{
		pipeline.Requested{Run: run, Trigger: pipeline.Trigger{Kind: pipeline.Push, Repo: p.repo.Repo, Commit: p.waiting.Commit}, Trust: p.trust, Plan: p.plan()},
		pipeline.StepStarted{Step: "build", Attempt: 1},
		pipeline.StepFinished{Step: "build", Attempt: 1, Result: pipeline.Result{Outcome: pipeline.Passed, Artifact: &made}},
	} {
		if _, err := p.post(ctx, string(run), "", e); err != nil {
			p.t.Fatal(err)
		}
	}
	return p.unproven(ctx, p.repo, p.spec, p.waiting)
}

func TestAProtectedEnvironmentTakesOnlyWhatATrustedRunIsProvenToHaveMade(t *testing.T) {
	t.Parallel()
	zero := pipeline.Digest("sha256:" + strings.Repeat("0", 64))
	for name, c := range map[string]struct {
		change func(*proving)
		want   string // of the reason; empty is open
	}{
		"all is well":                    {func(*proving) {}, ""},
		"only another environment first": {func(p *proving) { p.spec = pipeline.Environment{Name: "next", Artifact: "site", After: "staging"} }, ""},
		"no provenance":                  {func(p *proving) { p.signer = nil }, "has no provenance"},
		"an unprotected environment":     {func(p *proving) { p.signer, p.spec.Approve = nil, nil }, ""},
		"a provenance that is lost":      {func(p *proving) { p.kept = zero }, "not on hand"},
		"a run of another artifact":      {func(p *proving) { p.spec.Artifact = "shop" }, "has no provenance"},
		"a run that is not known":        {func(p *proving) { p.waiting.Run = "run/7/other" }, "has no provenance"},
		"a fork's build":                 {func(p *proving) { p.claim.Trust, p.trust = pipeline.Allowed, pipeline.Allowed }, "T1 allowed, and must be T2 writer"},
		"a fork's build in a good run":   {func(p *proving) { p.claim.Trust = pipeline.Outside }, "T0 outside, and must be T2 writer"},
		"another artifact":               {func(p *proving) { p.claim.Digest = zero }, "the artifact is"},
		"another builder":                {func(p *proving) { p.claim.Builder += ".evil" }, "the builder is"},
		"another repository":             {func(p *proving) { p.claim.RepoID = 8 }, "the repository's number is"},
		"another commit":                 {func(p *proving) { p.claim.Commit = pipeline.Commit(strings.Repeat("f", 40)) }, "the commit is"},
		"another plan":                   {func(p *proving) { p.claim.Plan = zero }, "the plan is"},
		"another run":                    {func(p *proving) { p.claim.Run = "run/7/other" }, "the run is"},
		"another step":                   {func(p *proving) { p.claim.Step = "evil" }, "the step is"},
		"another key": {func(p *proving) {
			other, err := provenance.Open(filepath.Join(p.t.TempDir(), "other.key"))
			if err != nil {
				p.t.Fatal(err)
			}
			p.signer = other
		}, "a key that is not trusted here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProving(t)
			c.change(p)
			why, err := p.asked()
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && why != "" || !strings.Contains(why, c.want) {
				t.Errorf("it says %q, and not %q", why, c.want)
			}
		})
	}
}

// deaf is a journal that does not answer.
type deaf struct{ journal.Journal }

func (deaf) Read(context.Context, string, int64) ([]journal.Record, error) {
	return nil, errors.New("no answer")
}

func TestAProtectedEnvironmentStaysShutWhileNothingCanBeFoundOut(t *testing.T) {
	t.Parallel()
	p := newProving(t)
	p.journal = deaf{p.journal}
	if why, err := p.asked(); err == nil {
		t.Errorf("it is decided: %q", why)
	}
}
