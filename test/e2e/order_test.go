package e2e

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// planned is a plan with these stages, and a few files beside it.
func planned(text string) map[string]string {
	return map[string]string{
		".github/conveyor.yml": "version: 1\non: {push: {branches: [main]}, pull_request: {}}\n" + text,
		"web/index.html":       "web\n", "README.md": "shop\n",
	}
}

func TestStepsRunInTheirOrderAndHandWordsOn(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "order", planned(`
env: {WHO: file, LEVEL: file}
stages:
  - name: test
    env: {LEVEL: stage}
    steps:
      - name: unit
        run: |
          echo "go=$MATRIX_GO os=$MATRIX_OS level=$LEVEL who=$WHO"
        matrix: {go: [1.21, 1.22], os: [linux, alpine], exclude: [{go: 1.21, os: alpine}]}
      - name: version
        dir: web
        run: |
          test "$(basename "$PWD")" = web && cat index.html
          echo 'version=1.2; $(exit 9)' >> "$CONVEYOR_OUTPUT"
      - name: flaky
        run: test "$CONVEYOR_ATTEMPT" = 2
        retries: 2
      - name: lint
        run: exit 3
        allow_failure: true
      - name: py
        shell: python3
        run: |
          import os
          print("python", 6 * 7)
  - name: build
    steps:
      - name: site
        needs: [version, unit]
        env: {VERSION: {from: steps.version.outputs.version}}
        run: |
          test ! -e .conveyor-output
          mkdir dist && printf '%s' "$VERSION" > dist/index.html
        artifact: {name: site, paths: [dist/**]}
      - name: shell-less
        shell: [no-such-shell]
        run: "true"
        allow_failure: true
environments:
  staging: {on: {branch: main}, artifact: site, target: {static: staging}}
`))
	test := h.concluded(sha, "conveyor / test")
	if test.Conclusion != "success" || test.Title != "6 of 7 steps passed, 1 of them at a later attempt, 1 failed and may" {
		t.Errorf("test ended as %s: %s\n%s", test.Conclusion, test.Title, test.Summary)
	}
	for _, want := range []string{"unit (go 1.21, linux)", "unit (go 1.22, alpine)", "failed, and may", "passed at attempt 2"} {
		if !strings.Contains(test.Summary, want) {
			t.Errorf("the check does not say %q:\n%s", want, test.Summary)
		}
	}
	if page := get(t, test.DetailsURL); !strings.Contains(page, "unit (go 1.22, alpine)") {
		t.Errorf("the run's page does not name the matrix' steps:\n%s", page)
	}
	if log := get(t, test.DetailsURL+"/log/"+url.PathEscape("unit (go 1.22, alpine)")+"/1"); log != "go=1.22 os=alpine level=stage who=file\n" {
		t.Errorf("its log is %q", log)
	}
	build := h.concluded(sha, "conveyor / build")
	if build.Conclusion != "success" || !strings.Contains(build.Summary, "This step's shell is not installed where steps run: no-such-shell") {
		t.Errorf("build ended as %s:\n%s", build.Conclusion, build.Summary)
	}
	h.deployed("staging", sha)
	h.serves("staging", "1.2; $(exit 9)")
	h.quiet()
}

func TestAStepThatAsksForMoreThanTheServerHasIsAMistakeInThePlan(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "greedy", planned(`stages:
  - name: test
    steps:
      - {name: unit, run: make, resources: {memory: 4000G}}
`))
	h.wait("the mistake", func(v *github.View) bool {
		run, ok := v.CheckRun(repo, sha, "conveyor / plan")
		return ok && run.Conclusion == "failure" && strings.Contains(run.Summary, "line 6, column 53")
	})
}

// get is what a page says.
func get(t *testing.T, address string) string {
	t.Helper()
	response := must(http.Get(address))(t)
	defer func() { _ = response.Body.Close() }() // it was read to its end
	body := must(io.ReadAll(response.Body))(t)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", address, response.Status)
	}
	return string(body)
}

func TestConditionsAreAskedOfTheEventAndOfWhatRanBefore(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "begin", map[string]string{"README.md": "shop\n"})
	sha := h.push("main", "author", "conditions", planned(`stages:
  - name: test
    steps:
      - {name: unit, run: exit 3}
      - {name: web, run: "true", if: 'changed.exists(p, p.startsWith("web/"))'}
      - {name: docs, run: "true", if: 'changed.exists(p, p.startsWith("docs/"))'}
      - {name: words, run: "true", needs: [docs]}
  - name: pulls
    if: event == "pull_request" && always()
    steps:
      - {name: only, run: "true"}
  - name: after
    steps:
      - {name: tell, run: "true", if: 'failure() && steps.unit.outcome == "failed"'}
      - {name: usual, run: "true"}
  - name: wrong
    steps:
      - {name: missing, run: "true", if: 'steps.unit.outputs.version == "1" || failure()', retries: 1}
`))
	after := h.concluded(sha, "conveyor / after")
	for _, want := range []string{"| tell | passed |", "| usual | not run |"} {
		if !strings.Contains(after.Summary, want) {
			t.Errorf("want %q in:\n%s", want, after.Summary)
		}
	}
	test := h.concluded(sha, "conveyor / test")
	for _, want := range []string{"| web | passed |", "| docs | left out", "| words | left out"} {
		if !strings.Contains(test.Summary, want) {
			t.Errorf("want %q in:\n%s", want, test.Summary)
		}
	}
	for name, want := range map[string]string{"pulls": "skipped", "test": "failure", "after": "cancelled", "wrong": "success"} {
		if run := h.concluded(sha, "conveyor / "+name); run.Conclusion != want {
			t.Errorf("%s ended as %s, and not as %s: %s", name, run.Conclusion, want, run.Title)
		}
	}
	h.quiet()
}

func TestPathsOfAPullRequestThatNobodyAsksForAreSkippedAndNotMissing(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := planned("stages: [{name: test, steps: [{name: unit, run: \"true\"}]}]\n")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "{push: {branches: [main]}, pull_request: {}}",
		"{push: {branches: [main], paths: [web/**]}, pull_request: {paths: [web/**], paths_ignore: [\"**/*.md\"]}}", 1)
	h.push("main", "author", "begin", files)
	web := h.pull("web", map[string]string{"web/index.html": "new\n"})
	docs := h.pull("docs", map[string]string{"web/README.md": "new\n", "docs/a": "new\n"})
	if run := h.concluded(web.HeadSHA, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("a change of a file that counts ended as %s", run.Conclusion)
	}
	if run := h.concluded(docs.HeadSHA, "conveyor / test"); run.Conclusion != "skipped" || !strings.Contains(run.Title, "none of the 2 changed files") {
		t.Errorf("a change of files that do not count ended as %s: %s", run.Conclusion, run.Title)
	}
	sha := h.push("main", "author", "docs", map[string]string{"docs/b": "new\n"})
	h.quiet()
	h.gh.Look(func(v *github.View) {
		if _, ok := v.CheckRun(repo, sha, "conveyor / test"); ok {
			t.Error("a push that no path asks for has a check")
		}
	})
}
