package provenance_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/provenance"
	"github.com/conveyor-ci/conveyor/pipeline/provenance/provenancetest"
)

func open(t *testing.T, file string) *provenance.Key {
	t.Helper()
	k, err := provenance.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func digest(c string) pipeline.Digest { return pipeline.Digest("sha256:" + strings.Repeat(c, 64)) }

// claim is what a good run says, with a nanosecond in it and a name that JSON escapes.
func claim() provenance.Claim {
	at := time.Date(2026, 11, 2, 12, 0, 1, 1, time.UTC)
	return provenance.Claim{
		Artifact: "site", Digest: digest("a"), Files: []provenance.File{{Path: "a <b>&\u2028.html", Digest: digest("b")}, {Path: "index.html", Digest: digest("c")}},
		Builder: "https://conveyor.example.com", Repository: "https://github.com/octo/shop", RepoID: 7, Event: pipeline.Push, Ref: "refs/heads/main",
		Commit: pipeline.Commit(strings.Repeat("e", 40)), PlanCommit: pipeline.Commit(strings.Repeat("e", 40)), Plan: digest("d"),
		Trust: pipeline.Writer, Isolation: "ns, crun", Image: "node:20", ImageID: digest("1"), Run: "run/7/guid", Step: "site", StepDigest: digest("f"), Attempt: 1, Started: at, Finished: at.Add(time.Second),
	}
}

func TestASignedClaimComesBackAsItWas(t *testing.T) {
	t.Parallel()
	k := open(t, filepath.Join(t.TempDir(), "provenance.key"))
	signed, err := k.Sign(claim())
	if err != nil {
		t.Fatal(err)
	}
	got, err := provenance.Verify(append(signed, '\n'), k.Trusted())
	if err != nil {
		t.Fatal(err)
	}
	want := claim()
	if got.Digest != want.Digest || got.Run != want.Run || got.Trust != want.Trust || got.Plan != want.Plan || got.StepDigest != want.StepDigest ||
		!got.Finished.Equal(want.Finished) || len(got.Files) != 2 || got.Files[0] != want.Files[0] || got.RepoID != 7 || got.Isolation != want.Isolation || got.Image != want.Image || got.ImageID != want.ImageID {
		t.Errorf("%+v", got)
	}
	for _, d := range []pipeline.Digest{digest("a"), digest("b"), digest("c")} {
		if !got.Has(d) {
			t.Errorf("it does not speak of %s", d)
		}
	}
	if got.Has(digest("d")) {
		t.Error("it speaks of the plan as of something that was built")
	}
}

func TestEveryMutationOfABundleIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := open(t, filepath.Join(dir, "provenance.key"))
	signed, err := k.Sign(claim())
	if err != nil {
		t.Fatal(err)
	}
	all := provenancetest.Mutations(t, signed)
	if len(all) < 25 {
		t.Errorf("only %d mutations", len(all))
	}
	for _, m := range all {
		if bytes.Equal(m.Bundle, signed) {
			t.Errorf("%s: nothing was changed", m.Name)
		}
		if got, err := provenance.Verify(m.Bundle, k.Trusted()); err == nil {
			t.Errorf("%s: it passed, as %+v", m.Name, got)
		}
	}
	// Every single byte counts.
	for i := range signed {
		changed := bytes.Clone(signed)
		changed[i] ^= 1
		if _, err := provenance.Verify(changed, k.Trusted()); err == nil {
			t.Errorf("byte %d, %q, may be another one", i, signed[i])
		}
	}
	stranger := open(t, filepath.Join(dir, "stranger.key"))
	if _, err := provenance.Verify(signed, stranger.Trusted()); err == nil {
		t.Error("a key that has not signed it proves it")
	}
	if _, err := provenance.Verify(signed, nil); err == nil {
		t.Error("it needs no key")
	}
}

func TestAClaimIsComparedExactly(t *testing.T) {
	t.Parallel()
	c := claim()
	good := provenance.Want{
		Subject: digest("b"), Artifact: digest("a"), Builder: c.Builder, Repository: c.Repository, RepoID: 7, Commit: c.Commit, Plan: c.Plan, Run: c.Run, Step: c.Step, Trust: pipeline.Writer,
	}
	if err := good.Check(c); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*provenance.Want){
		"a digest of nothing":      func(w *provenance.Want) { w.Subject = digest("9") },
		"a file for the artifact":  func(w *provenance.Want) { w.Artifact = digest("b") },
		"a longer builder":         func(w *provenance.Want) { w.Builder += ".evil.example.com" },
		"a shorter builder":        func(w *provenance.Want) { w.Builder = strings.TrimSuffix(w.Builder, "m") },
		"a builder with a slash":   func(w *provenance.Want) { w.Builder += "/" },
		"an upper-case repository": func(w *provenance.Want) { w.Repository = strings.ToUpper(w.Repository) },
		"a repository as pattern":  func(w *provenance.Want) { w.Repository = "https://github.com/octo/.*" },
		"another repository":       func(w *provenance.Want) { w.RepoID = 8 },
		"a short commit":           func(w *provenance.Want) { w.Commit = w.Commit[:12] },
		"another plan":             func(w *provenance.Want) { w.Plan = digest("9") },
		"another run":              func(w *provenance.Want) { w.Run += "2" },
		"another step":             func(w *provenance.Want) { w.Step = "unit" },
		"a higher tier":            func(w *provenance.Want) { w.Trust = pipeline.Approved },
	} {
		want := good
		change(&want)
		if want.Check(c) == nil {
			t.Errorf("%s is good enough", name)
		}
	}
}

func TestAKeyThatWasReplacedStillProvesAndALostOneIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "p.key")
	first := open(t, file)
	old, err := first.Sign(claim())
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.key")
	open(t, other)
	if err := os.Rename(other, file); err != nil {
		t.Fatal(err)
	}
	second := open(t, file)
	if len(second.Trusted()) != 2 || second.Hint() == first.Hint() {
		t.Fatalf("%d keys are trusted", len(second.Trusted()))
	}
	if _, err := provenance.Verify(old, open(t, file).Trusted()); err != nil {
		t.Error("what the old key has signed is not proven any more:", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := provenance.Open(file); err == nil || !strings.Contains(err.Error(), "put the key back") {
		t.Errorf("a lost key was replaced: %v", err)
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.key")
	open(t, file)
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := provenance.Open(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}

func TestAClaimThatLacksSomethingIsNotSigned(t *testing.T) {
	t.Parallel()
	k := open(t, filepath.Join(t.TempDir(), "p.key"))
	for name, change := range map[string]func(*provenance.Claim){
		"no digest":      func(c *provenance.Claim) { c.Digest = "" },
		"no builder":     func(c *provenance.Claim) { c.Builder = "" },
		"a short commit": func(c *provenance.Claim) { c.Commit = "eeee" },
		"no plan":        func(c *provenance.Claim) { c.Plan = "" },
		"no image's id":  func(c *provenance.Claim) { c.ImageID = "" },
		"no run":         func(c *provenance.Claim) { c.Run = "" },
		"no such tier":   func(c *provenance.Claim) { c.Trust = 9 },
		"too many files": func(c *provenance.Claim) { c.Files = make([]provenance.File, provenance.MaxFiles+1) },
	} {
		c := claim()
		change(&c)
		if _, err := k.Sign(c); err == nil {
			t.Errorf("%s: it was signed", name)
		}
	}
}
