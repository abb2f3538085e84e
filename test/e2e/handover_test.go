package e2e

import (
	"strings"
	"testing"
)

// handing is a plan whose second stage tests what its first one has made.
func handing(test string, more ...string) map[string]string {
	return map[string]string{"page.html": "made once", ".github/conveyor.yml": "version: 1\non: {push: {branches: ['*']}, pull_request: {outside: [build, test]}}\nstages:\n" +
		"  - name: build\n    steps: [{name: site, run: mkdir -p dist/deep && cp page.html dist/index.html && date +%N >dist/deep/when, artifact: {name: site, paths: [dist/**]}}]\n" +
		"  - name: test\n    steps:\n      - name: unit\n        input_artifacts: {site: in/put}\n        run: |\n          " + test + "\n" + strings.Join(more, "\n")}
}

func TestAStepTestsTheVeryBytesThatAreDeployed(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", handing(`cat in/put/index.html; echo; cat in/put/deep/when; stat -c '%u' in in/put in/put/deep/when; echo changed >in/put/index.html; touch in/put/new`,
		"environments:", "  staging: {on: {branch: main}, artifact: site, target: {static: staging}}"))
	run := h.concluded(sha, "conveyor / test")
	log := h.logOf("unit")
	if run.Conclusion != "success" {
		t.Fatalf("%s: %s\n%s\n%s", run.Conclusion, run.Title, run.Summary, log)
	}
	h.deployed("staging", sha)
	h.serves("staging", "made once")
	when := h.results(sha)["site"].Artifact
	shows(t, "the log", log, "artifact site is in in/put: 2 files, "+string(when.Digest), "made once", "1000\n1000\n1000\n")
}

func TestWhatCannotBeHandedOnFailsTheStepInWords(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, taken := range []string{"in/put/README", "in"} {
		files := handing("true")
		files[taken] = "of the commit"
		run := h.concluded(h.push("taken-"+strings.ReplaceAll(taken, "/", "-"), "author", "taken", files), "conveyor / test")
		if run.Conclusion != "failure" || !strings.Contains(run.Title+run.Summary, "the artifact site cannot be placed at in/put: the commit has something there") {
			t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
		}
	}
	files := handing("true")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "{name: site, run:", "{name: site, if: 'false', run:", 1)
	run := h.concluded(h.push("main", "author", "left out", files), "conveyor / test")
	if run.Conclusion == "success" || !strings.Contains(run.Title+run.Summary, "no step of this run has made it") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
}

func TestWhatCodeFromOutsideHandsOnIsNeverDeployed(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", handing("cat in/put/index.html",
		"environments:", "  preview: {on: pull_request, artifact: site, target: {static: preview}}"))
	h.quiet()
	p := h.stranger(map[string]string{"page.html": "from outside"})
	if run := h.concluded(p.HeadSHA, "conveyor / test"); run.Conclusion != "success" {
		t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	shows(t, "the log", h.logOf("unit"), "from outside")
	h.quiet()
	if n := h.deployments("preview/pr-1"); n != 0 {
		t.Errorf("it was deployed %d times", n)
	}
}
