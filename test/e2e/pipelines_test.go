package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// three are a repository of three pipelines, without the usual file: one that delivers a site, one that looks at the docs
// when they change, and one with a mistake. Beside them is a file that is none, but used by one.
func three(page string) map[string]string {
	return map[string]string{
		"page.html": page,
		".github/conveyor/deliver.yml": `version: 1
on: {push: {branches: [main]}, pull_request: {}}
stages:
  - uses: ./.github/conveyor/shared.yml
  - name: build
    steps:
      - {name: site, run: mkdir dist && cp page.html dist/index.html, artifact: {name: site, paths: [dist/**]}}
environments:
  staging: {on: {branch: main}, artifact: site, target: {static: staging}}
  production: {after: staging, artifact: site, target: {static: production}, approve: {by: [maintain]}}
`,
		".github/conveyor/shared.yml": "stages: [{name: test, steps: [{name: unit, run: test -f page.html}]}]\n",
		".github/conveyor/docs.yml": `version: 1
name: prose
on: {push: {branches: [main], paths: [docs/**]}, pull_request: {paths: [docs/**]}}
stages:
  - name: spell
    steps:
      - {name: site, run: "mkdir dist && echo prose > dist/index.html", artifact: {name: site, paths: [dist/**]}}
`,
		".github/conveyor/broken.yml": "version: 1\non: {push: {}, pull_request: {}}\nstages:\n  - name: test\n    stesp: []\n",
	}
}

// named are the checks of a commit by their names.
func (h *house) named(sha string) (names []string) {
	h.gh.Look(func(v *github.View) {
		for _, run := range v.CheckRuns(repo, sha) {
			names = append(names, run.Name)
		}
	})
	return names
}

func TestThePipelinesOfARepositoryGoTheirOwnWays(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", three("one"))
	h.deployed("staging", first)
	for _, name := range []string{"deliver / test", "deliver / build"} {
		if run := h.concluded(first, name); run.Conclusion != "success" {
			t.Errorf("%s ended as %s: %s", name, run.Conclusion, run.Summary)
		}
	}
	wrong := h.concluded(first, "broken / plan")
	if wrong.Conclusion != "failure" || len(wrong.Annotations) == 0 || wrong.Annotations[0].Path != ".github/conveyor/broken.yml" || wrong.Annotations[0].StartLine != 5 {
		t.Errorf("the mistake is told as %s, %+v", wrong.Conclusion, wrong.Annotations)
	}
	h.quiet()
	if names := h.named(first); len(names) != 3 {
		t.Errorf("the push has the checks %q", names)
	}

	// What another pipeline calls by the same name is never deployed.
	second := h.push("main", "author", "second", map[string]string{"docs/a.md": "a\n", "page.html": "two"})
	h.concluded(second, "prose / spell")
	h.deployed("staging", second)
	h.quiet()
	if got := string(must(os.ReadFile(filepath.Join(h.site("staging"), "index.html")))(t)); got != "two" {
		t.Errorf("staging shows %q", got)
	}

	// A pull request whose paths a filter leaves out has its checks all the same, skipped.
	pull := h.pull("change", map[string]string{"page.html": "three"})
	if run := h.concluded(pull.HeadSHA, "prose / spell"); run.Conclusion != "skipped" {
		t.Errorf("the docs were looked at: %s", run.Conclusion)
	}
	h.row(pull, "checks of deliver | [success]")
	h.row(pull, "checks of prose | [not run: the plan does not want it here]")
	h.row(pull, "checks of broken | [failure]")
	h.comment(pull, "author", "/test deliver")
	h.completed(pull.HeadSHA, "deliver / build", 2)
	h.comment(pull, "author", "/test spell")
	h.answered(pull, "It is not run, because none of the 1 changed files")
	h.comment(pull, "author", "/test nothing")
	h.answered(pull, "There are `broken`, `deliver`, `prose`.")
	h.comment(pull, "author", "/why unit")
	h.answered(pull, "The run of deliver")

	// GitHub's button for all checks runs all pipelines again, but for what a filter leaves out.
	if err := h.gh.RerequestSuite(repo, pull.HeadSHA, h.gh.AppSlugs()[0], "author"); err != nil {
		t.Fatal(err)
	}
	h.completed(pull.HeadSHA, "deliver / build", 3)
	h.completed(pull.HeadSHA, "broken / plan", 2)

	h.comment(pull, "maintainer", "/approve production@"+second)
	h.deployed("production", second) // whose provenance names the file
	h.quiet()
}

func TestAPipelineThatAStrangerAddsIsNeverRead(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", three("one"))
	h.concluded(first, "deliver / build")
	evil := three("evil")
	evil[".github/conveyor/evil.yml"] = "version: 1\non: {push: {}, pull_request: {outside: run}}\nstages: [{name: test, steps: [{name: unit, run: \"true\"}]}]\n"
	evil[".github/conveyor/broken.yml"] = evil[".github/conveyor/evil.yml"]
	evil[".github/conveyor/deliver.yml"] = strings.Replace(evil[".github/conveyor/deliver.yml"], "pull_request: {}", "pull_request: {outside: run}", 1)
	pull := h.stranger(evil)
	h.becomes(pull.HeadSHA, "deliver / test", "action_required")
	h.becomes(pull.HeadSHA, "broken / plan", "failure")
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	h.answered(pull, "is tested: its checks run: ")
	h.becomes(pull.HeadSHA, "deliver / test", "success")
	h.quiet()
	for _, name := range h.named(pull.HeadSHA) {
		if strings.HasPrefix(name, "evil") {
			t.Errorf("the stranger's own pipeline was read: %s", name)
		}
	}
}

func TestAPushSupersedesWithinOnePipelineOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	slow := func(name string) string {
		return "version: 1\nname: " + name + "\nconcurrency: supersede\non: {push: {branches: [main]}}\nstages: [{name: go, steps: [{name: " + name + ", run: \"true\"}]}]\n"
	}
	sha := h.push("main", "author", "both", map[string]string{".github/conveyor/a.yml": slow("left"), ".github/conveyor/b.yml": slow("right")})
	for _, name := range []string{"left / go", "right / go"} {
		if run := h.concluded(sha, name); run.Conclusion != "success" {
			t.Errorf("%s ended as %s: %s", name, run.Conclusion, run.Title)
		}
	}
	h.quiet()
}
