package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// byHand is a repository with a pipeline that people start, which would make what staging gets.
func byHand() map[string]string {
	files := withSites("page")
	files[".github/conveyor/release.yml"] = `version: 1
on:
  manual:
    inputs:
      level: {type: choice, options: [low, high], required: true}
      note: {description: "Said in the log"}
      dry-run: {type: bool, default: true}
stages:
  - name: go
    steps:
      - name: say
        run: |
          test "$CONVEYOR_EVENT" = manual
          echo "level=$INPUT_LEVEL dry=$INPUT_DRY_RUN note=$INPUT_NOTE"
          mkdir dist && echo "$INPUT_LEVEL" > dist/index.html
        artifact: {name: site, paths: [dist/**]}
`
	return files
}

func TestAPersonStartsARunByAComment(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.deployed("staging", h.push("main", "author", "first", byHand()))
	pull := h.pull("change", map[string]string{"page.html": "two"})
	h.concluded(pull.HeadSHA, "conveyor / test")
	h.comment(pull, "reader", "/run release level=low")
	h.answered(pull, "`/run` needs the role write")
	h.comment(pull, "author", "/run release level=$(id)")
	h.answered(pull, "the input level must be one of low, high")
	h.comment(pull, "author", "/run release levle=low")
	h.answered(pull, "the input level is missing: write level=low|high; there is no input levle")
	h.comment(pull, "author", "/run conveyor")
	h.answered(pull, "has no on.manual")
	h.comment(pull, "author", "/run nothing")
	h.answered(pull, "there is no pipeline nothing; there are: conveyor, release")
	h.quiet()
	if names := h.named(pull.HeadSHA); len(names) != 1 {
		t.Fatalf("something was started: %q", names)
	}

	h.comment(pull, "author", "/run release level=high note=\"two; $(touch owned) words\"")
	run := h.concluded(pull.HeadSHA, "release / go (by hand)")
	h.answered(pull, "Nothing that it makes is deployed")
	h.quiet()
	if run.Conclusion != "success" {
		t.Fatalf("it ended as %s: %s", run.Conclusion, run.Summary)
	}
	shows(t, "the check", run.Summary, "Started by hand by author", "level: high", "dry-run: true", "note: two; &#36;(touch owned) words")
	logs := must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*.release", "*", "*.log")))(t)
	if len(logs) != 1 || !strings.Contains(string(must(os.ReadFile(logs[0]))(t)), "level=high dry=true note=two; $(touch owned) words") {
		t.Errorf("the logs are %q", logs)
	}
	if n := h.deployments("staging"); n != 1 {
		t.Errorf("staging has %d deployments", n)
	}
	shows(t, "the run's page", h.page(strings.TrimPrefix(run.DetailsURL, h.config.PublicURL)), "by hand", "Input level", "@author")
	h.comment(pull, "author", "/retest")
	h.completed(pull.HeadSHA, "conveyor / test", 2)
	h.quiet()
	if names := h.named(pull.HeadSHA); strings.Count(strings.Join(names, "\n"), "by hand") != 1 {
		t.Errorf("what was started by hand was tested again: %q", names)
	}
}

func TestTheOperatorStartsARunFromTheCommandLine(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", byHand())
	h.deployed("staging", sha)
	start := func(args ...string) (int, string) {
		return say(t, []string{"SUDO_USER=olga"}, "conveyor", append([]string{"start", "--data-dir", h.config.DataDir, "--repo", repo}, args...)...)
	}
	for want, args := range map[string][]string{
		"the input level must be one of low, high":            {"release", "--input", "level=loud"},
		"the input dry-run must be true or false":             {"release", "--input", "level=low", "--input", "dry-run=perhaps"},
		"there is no pipeline relaese":                        {"relaese", "--input", "level=low"},
		`octo/shop has no branch "nowhere"`:                   {"release", "--ref", "nowhere", "--input", "level=low"},
		"`.github/conveyor.yml` at " + sha[:7] + " has no on": {"conveyor"},
	} {
		if code, out := start(args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("%q: %d: %s, want %q", args, code, out, want)
		}
	}
	h.quiet()
	if names := h.named(sha); len(names) != 1 {
		t.Fatalf("something was started: %q", names)
	}
	code, out := start("release", "--ref", "main", "--input", "level=high", "--input", "note=a;b=c")
	if code != 0 || !strings.Contains(out, "The pipeline release runs at "+sha[:7]+": "+h.config.PublicURL+"/runs/") {
		t.Fatalf("%d: %s", code, out)
	}
	run := h.concluded(sha, "release / go (by hand)")
	shows(t, "the check", run.Summary, "Started by hand by olga from the command line of the server", "level: high", "note: a;b=c")
	h.quiet()
	if n := h.deployments("staging"); n != 1 {
		t.Errorf("staging has %d deployments", n)
	}
	h.stop()
	code, out = say(t, nil, "conveyor", "audit", "show", filepath.Join(h.config.DataDir, "audit.jsonl"))
	if code != 0 || !strings.Contains(out, "release at "+sha[:7]+" by olga (0)") || !strings.Contains(out, `level="high"`) {
		t.Errorf("the ledger says %d: %s", code, out)
	}
	if code, out := start("release", "--input", "level=low"); code != 1 || !strings.Contains(out, "no server runs on "+h.config.DataDir) {
		t.Errorf("without a server: %d: %s", code, out)
	}
}

// deployments counts those of an environment.
func (h *house) deployments(env string) (n int) {
	h.gh.Look(func(v *github.View) { n = len(v.Deployments(repo, env)) })
	return n
}
