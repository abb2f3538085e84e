// Package provenance lets a verifier that is not ours judge what Conveyor signs: Sigstore's own library, in a module of its
// own.
package provenance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/provenance"
	"github.com/conveyor-ci/conveyor/pipeline/provenance/provenancetest"
)

func digest(c string) pipeline.Digest { return pipeline.Digest("sha256:" + strings.Repeat(c, 64)) }

// verifier builds the other verifier.
func verifier(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sigstore")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = "../sigstore"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build test/sigstore: %v\n%s", err, out)
	}
	return program
}

// judge has the other verifier say something of each bundle.
func judge(t *testing.T, program, key string, d pipeline.Digest, bundles ...[]byte) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-key", key, "-digest", strings.TrimPrefix(string(d), "sha256:")}
	for i, b := range bundles {
		name := filepath.Join(dir, fmt.Sprintf("%03d.json", i))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%v: %s", err, out)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(words) != len(bundles) {
		t.Fatalf("%d bundles, %d words:\n%s", len(bundles), len(words), out)
	}
	return words
}

func TestSigstoreBelievesWhatConveyorSignsAndRefusesWhatItRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "provenance.key")
	key, err := provenance.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 2, 12, 0, 1, 1, time.UTC)
	good, err := key.Sign(provenance.Claim{
		Artifact: "site", Digest: digest("a"), Files: []provenance.File{{Path: "index <é>.html", Digest: digest("b")}},
		Builder: "https://conveyor.example.com", Repository: "https://github.com/octo/shop", RepoID: 7, Event: pipeline.Push, Ref: "refs/heads/main",
		Commit: pipeline.Commit(strings.Repeat("e", 40)), PlanCommit: pipeline.Commit(strings.Repeat("e", 40)), Plan: digest("d"),
		Trust: pipeline.Writer, Isolation: "ns", Run: "run/7/guid", Step: "site", Attempt: 1, Started: at, Finished: at.Add(time.Second),
	})
	if err != nil {
		t.Fatal(err)
	}
	program := verifier(t)
	for _, d := range []string{"a", "b"} {
		if words := judge(t, program, provenance.PublicFile(file), digest(d), good); words[0] != "ok" {
			t.Errorf("Sigstore does not believe it of %s: %s", digest(d), words[0])
		}
	}
	if words := judge(t, program, provenance.PublicFile(file), digest("c"), good); words[0] == "ok" {
		t.Error("Sigstore believes it of what it is not about")
	}
	stranger := filepath.Join(t.TempDir(), "stranger.key")
	if _, err := provenance.Open(stranger); err != nil {
		t.Fatal(err)
	}
	if words := judge(t, program, provenance.PublicFile(stranger), digest("a"), good); words[0] == "ok" {
		t.Error("Sigstore believes it by another key")
	}

	var names []string
	var bundles [][]byte
	for _, m := range provenancetest.Mutations(t, good) {
		if _, err := provenance.Verify(m.Bundle, key.Trusted()); err == nil {
			t.Errorf("%s: Conveyor believes it", m.Name)
		}
		if !m.OnlyOurs {
			names, bundles = append(names, m.Name), append(bundles, m.Bundle)
		}
	}
	if len(bundles) < 25 {
		t.Errorf("only %d mutations", len(bundles))
	}
	for i, word := range judge(t, program, provenance.PublicFile(file), digest("a"), bundles...) {
		if word == "ok" {
			t.Errorf("%s: Sigstore believes it", names[i])
		}
	}
	t.Logf("%d mutations refused by both", len(bundles))
}
