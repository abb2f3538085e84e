// Package targettest is the contract of target.Target as tests. An adapter that passes is a target; one that has not
// passed is not used.
//
// Where the contract leaves a choice, the suite holds the one all adapters share: a token counts as seen when a
// deployment or removal with it begins, even if that fails afterwards; tokens outlive Remove and the process; the same
// token again is the same owner.
//
// Start reading at Run.
package targettest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Place is somewhere to deploy to, new and empty for each test.
type Place struct {
	Open     func() target.Target // a new adapter over the same place, as after a restart
	Settings map[string]string

	// Serves is the content of a file that the place serves for an environment, "" when there is none.
	Serves func(environment, path string) string
}

// Run holds an adapter to the contract.
func Run(t *testing.T, open func(*testing.T) Place) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"what is deployed is served and told", whatIsDeployedIsServed},
		{"nothing is told of a place where nothing is", nothingIsToldOfNothing},
		{"the same deployment again is finished", theSameDeploymentIsFinished},
		{"an older artifact can be put back", anOlderArtifactCanBePutBack},
		{"a file that the newer artifact lacks is gone", nothingOfTheOldIsLeft},
		{"a lower token is refused", aLowerTokenIsRefused},
		{"a token is remembered over a restart", aTokenIsRememberedOverARestart},
		{"a token counts even when its deployment fails", aTokenCountsWhenItsDeploymentFails},
		{"files that fail leave the old release", filesThatFailLeaveTheOldRelease},
		{"half the files leave the old release", halfTheFilesLeaveTheOldRelease},
		{"a cancelled deployment leaves the old release", aCancelledDeploymentLeavesTheOldRelease},
		{"a deployment that was cancelled can be done later", aCancelledDeploymentCanBeDoneLater},
		{"removing twice is no error", removingTwiceIsNoError},
		{"removing what never was is no error", removingWhatNeverWasIsNoError},
		{"a late deployment does not bring a removed place back", aRemovedPlaceStaysFenced},
		{"a removed place can be deployed to again", aRemovedPlaceCanBeUsedAgain},
		{"environments do not touch each other", environmentsAreApart},
		{"of concurrent deployments the highest token wins", theHighestTokenWins},
		{"a newer deployment overtakes one that is stuck", aNewerOvertakesOneThatIsStuck},
		{"the same deployment may run twice at once", theSameDeploymentTwiceAtOnce},
		{"settings that name nothing are refused", emptySettingsAreRefused},
		{"a deployment that does not say what it is is refused", aSenselessDeploymentIsRefused},
		{"a deployment without a log works", aLogMayBeMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			c.test(t, &bench{Place: p, Target: p.Open()})
		})
	}
}

// bench is a place and an adapter over it.
type bench struct {
	Place
	target.Target
}

// Content is an artifact of a few files, by path.
type Content map[string]string

// Digest names the content.
func (c Content) Digest() pipeline.Digest {
	h := sha256.New()
	for _, path := range sorted(c) {
		fmt.Fprintf(h, "%d %s %d %s\n", len(path), path, len(c[path]), c[path])
	}
	return pipeline.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// Files lays the content out, as an artifact store would.
func (c Content) Files(ctx context.Context, digest pipeline.Digest, dir string) error {
	if digest != c.Digest() {
		return fmt.Errorf("targettest: there is no artifact %s", digest)
	}
	for _, path := range sorted(c) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		at := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(at, []byte(c[path]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Site is the content of version n.
func Site(n int) Content {
	return Content{"index.html": fmt.Sprintf("<p>version %d</p>", n), fmt.Sprintf("assets/app.%d.js", n): fmt.Sprintf("run(%d)", n)}
}

// Commit is the n-th commit.
func Commit(n int) pipeline.Commit { return pipeline.Commit(fmt.Sprintf("%040x", n)) }

// Deployment is version n on its way to an environment.
func (p Place) Deployment(environment string, n int, token int64) target.Deployment {
	return target.Deployment{
		ID: fmt.Sprintf("7/%s#%d", environment, n), Token: token,
		Repo:        pipeline.Repo{ID: 7, Owner: "acme", Name: "shop", Installation: 3, Branch: "main"},
		Environment: environment, Commit: Commit(n), Digest: Site(n).Digest(), Settings: p.Settings, Log: new(bytes.Buffer),
	}
}

// removal is what takes an environment down. It names no artifact.
func (p Place) removal(environment string, token int64) target.Deployment {
	d := p.Deployment(environment, 0, token)
	d.Commit, d.Digest = "", ""
	return d
}

func (b *bench) deploy(t *testing.T, environment string, n int, token int64) {
	t.Helper()
	if err := b.Deploy(t.Context(), b.Deployment(environment, n, token), Site(n).Files); err != nil {
		t.Fatalf("deploying version %d with token %d: %v", n, token, err)
	}
}

// serves checks what the place says it runs, and what it really serves. Version 0 is none.
func (b *bench) serves(t *testing.T, environment string, n int) {
	t.Helper()
	var digest pipeline.Digest
	var index string
	if n > 0 {
		digest, index = Site(n).Digest(), Site(n)["index.html"]
	}
	got, err := b.Probe(t.Context(), b.Deployment(environment, 99, 1))
	if err != nil {
		t.Fatalf("Probe: %v", err)
	}
	if got != digest {
		t.Fatalf("%s says that it runs %q, want version %d, %q", environment, got, n, digest)
	}
	if got := b.Serves(environment, "index.html"); got != index {
		t.Fatalf("%s serves %q, want %q", environment, got, index)
	}
}

func fenced(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, target.ErrFenced) {
		t.Fatalf("%s with a lower token: %v, want ErrFenced", what, err)
	}
}

// said fails when a log has no line about what was done.
func said(t *testing.T, d target.Deployment) {
	t.Helper()
	if log := d.Log.(*bytes.Buffer).String(); strings.TrimSpace(log) == "" || !strings.HasSuffix(log, "\n") {
		t.Fatalf("the log for people is %q, want whole lines", log)
	}
}
