package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

func TestWhatAStepPutsOutIsTakenOnceAndOnlyWhenItIsFitToBeStored(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"version=1.2\nempty=\r\n\nversion=1.3\n": "",
		"a b=c\n":                                "line 1 of $CONVEYOR_OUTPUT is not name=value",
		"ok=1\nno\n":                             "line 2 of $CONVEYOR_OUTPUT is not name=value",
		"bad=\xff\n":                             "must be UTF-8 text",
		"nul=\x00\n":                             "must be UTF-8 text",
		"long=" + strings.Repeat("x", 40<<10):    "larger than 32 KiB",
		strings.Repeat("a", 70) + "=1":           "line 1 of $CONVEYOR_OUTPUT",
		"token=correct-horse-battery-staple\n":   "it holds a secret",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, outputFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := pipeline.Result{Outcome: pipeline.Passed}
		readOutputs(dir, logs.NewWords([]string{"correct-horse-battery-staple"}), &r)
		if want != "" && (r.Outcome != pipeline.Failed || !strings.Contains(r.Reason, want) || r.Outputs != nil) {
			t.Errorf("%.40q: %s, %q, %v; want %q", text, r.Outcome, r.Reason, r.Outputs, want)
		}
		if want != "" {
			continue
		}
		if r.Outcome != pipeline.Passed || r.Outputs["version"] != "1.3" || len(r.Outputs) != 2 {
			t.Errorf("%q: %+v", text, r)
		}
		if _, err := os.Lstat(filepath.Join(dir, outputFile)); err == nil {
			t.Error("the file is left in the workspace")
		}
	}
}

func TestALinkInThePlaceOfTheOutputIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, outputFile)); err != nil {
		t.Fatal(err)
	}
	r := pipeline.Result{Outcome: pipeline.Passed}
	if readOutputs(dir, logs.Words{}, &r); r.Outcome != pipeline.Failed || r.Outputs != nil {
		t.Errorf("%+v", r)
	}
}

func TestWhatAStepTakesFromOthersIsAPartOfWhatGoesIntoIt(t *testing.T) {
	t.Parallel()
	spec := pipeline.Step{Name: "site", Take: map[string]pipeline.Output{"VERSION": {Step: "version", Name: "version"}}}
	digest := func(version string) pipeline.Digest {
		s := pipeline.State{Steps: []pipeline.StepState{{Name: "version", Phase: pipeline.Done, Result: pipeline.Result{Outputs: map[string]string{"version": version}}}}}
		return pipeline.StepDigest(withTaken(s, spec), "tree", nil)
	}
	if digest("1") == digest("2") {
		t.Error("two steps that took different words have the same name")
	}
	if spec.Env != nil {
		t.Error("the plan's own step has changed")
	}
}
