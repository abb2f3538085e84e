package targettest

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func sorted(c Content) []string { return slices.Sorted(maps.Keys(c)) }

func whatIsDeployedIsServed(t *testing.T, b *bench) {
	d := b.Deployment("staging", 1, 1)
	if err := b.Deploy(t.Context(), d, Site(1).Files); err != nil {
		t.Fatal(err)
	}
	b.serves(t, "staging", 1)
	said(t, d)
	if got := b.Serves("staging", "assets/app.1.js"); got != "run(1)" {
		t.Fatalf("a file in a folder is served as %q", got)
	}
}

func nothingIsToldOfNothing(t *testing.T, b *bench) { b.serves(t, "staging", 0) }

func theSameDeploymentIsFinished(t *testing.T, b *bench) {
	for range 3 {
		b.deploy(t, "staging", 1, 1)
		b.serves(t, "staging", 1)
	}
	b.deploy(t, "staging", 1, 2) // by a successor, under its own token
	b.serves(t, "staging", 1)
}

func anOlderArtifactCanBePutBack(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	b.deploy(t, "staging", 2, 2)
	back := b.Deployment("staging", 1, 3)
	back.ID += "-back"
	if err := b.Deploy(t.Context(), back, Site(1).Files); err != nil {
		t.Fatal(err)
	}
	b.serves(t, "staging", 1)
}

func nothingOfTheOldIsLeft(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	b.deploy(t, "staging", 2, 1)
	if got := b.Serves("staging", "assets/app.1.js"); got != "" {
		t.Fatalf("a file of the version before is still served: %q", got)
	}
}

func aLowerTokenIsRefused(t *testing.T, b *bench) {
	b.deploy(t, "staging", 2, 5)
	asked := false
	err := b.Deploy(t.Context(), b.Deployment("staging", 1, 4), func(context.Context, pipeline.Digest, string) error {
		asked = true
		return nil
	})
	fenced(t, "Deploy", err)
	if asked {
		t.Fatal("the files of a fenced deployment were asked for")
	}
	fenced(t, "Remove", b.Remove(t.Context(), b.removal("staging", 4)))
	b.serves(t, "staging", 2)
}

func aTokenIsRememberedOverARestart(t *testing.T, b *bench) {
	b.deploy(t, "staging", 2, 5)
	again := b.Open()
	fenced(t, "Deploy", again.Deploy(t.Context(), b.Deployment("staging", 1, 4), Site(1).Files))
	b.serves(t, "staging", 2)
}

func aTokenCountsWhenItsDeploymentFails(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	if err := b.Deploy(t.Context(), b.Deployment("staging", 3, 3), broken); err == nil {
		t.Fatal("a deployment without files is told as done")
	}
	fenced(t, "Deploy", b.Deploy(t.Context(), b.Deployment("staging", 2, 2), Site(2).Files))
	b.serves(t, "staging", 1)
}

var errBroken = errors.New("the disk of the artifact store is gone")

func broken(context.Context, pipeline.Digest, string) error { return errBroken }

func filesThatFailLeaveTheOldRelease(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	if err := b.Deploy(t.Context(), b.Deployment("staging", 2, 2), broken); !errors.Is(err, errBroken) {
		t.Fatalf("Deploy = %v, want the store's own error inside", err)
	}
	b.serves(t, "staging", 1)
	b.deploy(t, "staging", 2, 2)
	b.serves(t, "staging", 2)
}

func halfTheFilesLeaveTheOldRelease(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	err := b.Deploy(t.Context(), b.Deployment("staging", 2, 2), func(_ context.Context, _ pipeline.Digest, dir string) error {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("half"), 0o644); err != nil {
			return err
		}
		return errBroken
	})
	if !errors.Is(err, errBroken) {
		t.Fatalf("Deploy = %v", err)
	}
	b.serves(t, "staging", 1)
	b.deploy(t, "staging", 2, 2) // the half that was laid out is not in the way, nor taken for the whole
	b.serves(t, "staging", 2)
}

// cancelMidway deploys version n and is called off when its files are there.
func (b *bench) cancelMidway(t *testing.T, d target.Deployment, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := b.Deploy(ctx, d, func(ctx context.Context, digest pipeline.Digest, dir string) error {
		err := Site(n).Files(ctx, digest, dir)
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled deployment returned %v, want context.Canceled", err)
	}
}

func aCancelledDeploymentLeavesTheOldRelease(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	b.cancelMidway(t, b.Deployment("staging", 2, 2), 2)
	b.serves(t, "staging", 1)
}

func aCancelledDeploymentCanBeDoneLater(t *testing.T, b *bench) {
	b.cancelMidway(t, b.Deployment("staging", 1, 1), 1)
	b.serves(t, "staging", 0)
	b.deploy(t, "staging", 1, 2)
	b.serves(t, "staging", 1)
}

func removingTwiceIsNoError(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	b.deploy(t, "staging", 2, 1)
	for range 2 {
		if err := b.Remove(t.Context(), b.removal("staging", 2)); err != nil {
			t.Fatal(err)
		}
		b.serves(t, "staging", 0)
	}
}

func removingWhatNeverWasIsNoError(t *testing.T, b *bench) {
	if err := b.Remove(t.Context(), b.removal("staging", 1)); err != nil {
		t.Fatal(err)
	}
	b.serves(t, "staging", 0)
}

func aRemovedPlaceStaysFenced(t *testing.T, b *bench) {
	b.deploy(t, "preview/pr-12", 1, 1)
	if err := b.Remove(t.Context(), b.removal("preview/pr-12", 3)); err != nil {
		t.Fatal(err)
	}
	fenced(t, "Deploy", b.Open().Deploy(t.Context(), b.Deployment("preview/pr-12", 2, 2), Site(2).Files))
	b.serves(t, "preview/pr-12", 0)
}

func aRemovedPlaceCanBeUsedAgain(t *testing.T, b *bench) {
	b.deploy(t, "preview/pr-12", 1, 1)
	if err := b.Remove(t.Context(), b.removal("preview/pr-12", 2)); err != nil {
		t.Fatal(err)
	}
	b.deploy(t, "preview/pr-12", 1, 3)
	b.serves(t, "preview/pr-12", 1)
}

func environmentsAreApart(t *testing.T, b *bench) {
	b.deploy(t, "preview/pr-1", 1, 9)
	b.deploy(t, "preview/pr-12", 2, 3)
	b.serves(t, "preview/pr-1", 1)
	b.serves(t, "preview/pr-12", 2)
	if err := b.Remove(t.Context(), b.removal("preview/pr-1", 9)); err != nil {
		t.Fatal(err)
	}
	b.serves(t, "preview/pr-1", 0)
	b.serves(t, "preview/pr-12", 2)
}

func emptySettingsAreRefused(t *testing.T, b *bench) {
	d := b.Deployment("staging", 1, 1)
	d.Settings = nil
	if err := b.Deploy(t.Context(), d, Site(1).Files); !errors.Is(err, target.ErrRefused) {
		t.Fatalf("Deploy = %v, want ErrRefused", err)
	}
	if _, err := b.Probe(t.Context(), d); !errors.Is(err, target.ErrRefused) {
		t.Fatalf("Probe = %v, want ErrRefused", err)
	}
	if err := b.Remove(t.Context(), d); !errors.Is(err, target.ErrRefused) {
		t.Fatalf("Remove = %v, want ErrRefused", err)
	}
}

func aSenselessDeploymentIsRefused(t *testing.T, b *bench) {
	for name, spoil := range map[string]func(*target.Deployment){
		"no id":        func(d *target.Deployment) { d.ID = "" },
		"no token":     func(d *target.Deployment) { d.Token = 0 },
		"no digest":    func(d *target.Deployment) { d.Digest = "" },
		"short commit": func(d *target.Deployment) { d.Commit = "1a2b3c4" },
		"odd commit":   func(d *target.Deployment) { d.Commit = "../../../../etc/cron.d/0000000000000000000" },
	} {
		d := b.Deployment("staging", 1, 1)
		spoil(&d)
		if err := b.Deploy(t.Context(), d, Site(1).Files); err == nil {
			t.Errorf("%s: Deploy = nil, want an error", name)
		}
	}
	b.serves(t, "staging", 0)
}

func aLogMayBeMissing(t *testing.T, b *bench) {
	d := b.Deployment("staging", 1, 1)
	d.Log = nil
	if err := b.Deploy(t.Context(), d, Site(1).Files); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}
