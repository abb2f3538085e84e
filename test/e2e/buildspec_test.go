package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/github"
)

// brought is a repository that brings its buildspec along.
func brought(spec string, more ...string) map[string]string {
	text := "version: 1\non: {push: {branches: [main]}, pull_request: {}}\nstages:\n  - name: build\n    steps:\n      - name: shop\n        buildspec: buildspec.yml\n"
	return map[string]string{".github/conveyor.yml": text + strings.Join(more, "\n"), "buildspec.yml": spec, "page.html": "brought along"}
}

// results are what the steps of a commit's run have come to, as a stopped server's journal says it.
func (h *house) results(sha string) map[string]pipeline.Result {
	h.t.Helper()
	h.quiet()
	h.stop()
	j := h.journal()
	defer func() {
		if err := j.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	found := map[string]pipeline.Result{}
	for _, records := range h.records(j, "run/") {
		var s pipeline.State
		for _, r := range records {
			e := must(pipeline.Decode(r.Kind, r.Data))(h.t)
			if e != nil {
				s = pipeline.Apply(s, e)
			}
		}
		for _, st := range s.Steps {
			if string(s.Trigger.Commit) == sha {
				found[st.Name] = st.Result
			}
		}
	}
	return found
}

func TestABuildspecIsRunUnchangedAndItsArtifactIsDeployed(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", brought(`
version: 0.2
env:
  variables: {GREETING: "hello"}
  exported-variables: [TAG]
phases:
  install:
    runtime-versions: {python: 3.11}
    commands:
      - mkdir -p out/site && cd out
  build:
    commands:
      - TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-7)
      - cp "$CODEBUILD_SRC_DIR/page.html" site/index.html
      - echo map > site/index.html.map
    finally:
      - echo "$GREETING from $(basename "$PWD"), build $CODEBUILD_BUILD_ID of $CODEBUILD_WEBHOOK_TRIGGER"
  post_build:
    commands:
      - test "$CODEBUILD_BUILD_SUCCEEDING" = 1
      - mkdir ../reports
      - echo '<testsuite><testcase name="a"/><testcase name="b"/></testsuite>' > ../reports/unit.xml
      - echo one > ../shop-$TAG.txt; mkdir -p ../deep/er; echo two > ../deep/er/two.txt
reports:
  unit: {files: ['*.xml'], base-directory: reports}
artifacts:
  files: ['**/*']
  base-directory: out/site
  exclude-paths: ['**/*.map']
  name: shop-$(date +%Y-%m-%d)
  secondary-artifacts:
    Flat:
      files: [shop-$TAG.txt, 'deep/**/*']
      discard-paths: yes
cache:
  paths: ['node_modules/**/*']
`,
		"        artifact: {name: site}",
		"environments:",
		"  staging: {on: {branch: main}, artifact: site, target: {static: staging}}",
		"  other: {on: {branch: main}, artifact: flat, target: {static: other}}",
	))
	run := h.concluded(sha, "conveyor / build")
	if run.Conclusion != "success" {
		t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	for _, words := range []string{"PRE_BUILD succeeded", "Artifact **site**", "Artifact **flat**", "0 of 2 tests failed"} {
		if !strings.Contains(run.Summary, words) {
			t.Errorf("the check does not say %q:\n%s", words, run.Summary)
		}
	}
	h.deployed("staging", sha)
	h.deployed("other", sha)
	h.serves("staging", "brought along")
	for path, want := range map[string]string{
		filepath.Join(h.site("other"), "shop-"+sha[:7]+".txt"): "one\n", filepath.Join(h.site("other"), "two.txt"): "two\n",
		filepath.Join(h.site("staging"), "index.html.map"): "",
	} {
		if got, err := os.ReadFile(path); string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s is %q: %v", path, got, err)
		}
	}
	results := h.results(sha)
	if got := results["shop"].Exported["TAG"]; got != sha[:7] {
		t.Errorf("the exported variable is %q", got)
	}
	log := strings.Join(h.attempts("shop"), "")
	for _, words := range []string{
		"buildspec.yml:8:24: runtime-versions cannot choose python 3.11", "cache: nothing is kept for key ", "Entering phase INSTALL\n", "hello from out, build shop-shop:",
		" of branch/main\n", "Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED\n", "The artifact site would be called shop-20", "Exported variables: TAG\n",
	} {
		if !strings.Contains(log, words) {
			t.Errorf("the log does not say %q", words)
		}
	}
	if t.Failed() {
		t.Log(log)
	}
}

func TestAFailureOfABuildspecIsToldByItsPhase(t *testing.T) {
	t.Parallel()
	h := open(t)
	sha := h.push("main", "author", "first", brought(`
version: 0.2
phases:
  build:
    commands:
      - echo before > trace
      - exit 7
      - echo never > never
  post_build:
    commands:
      - echo "post $CODEBUILD_BUILD_SUCCEEDING" >> trace
      - false
artifacts: {files: [trace, never]}
`))
	run := h.concluded(sha, "conveyor / build")
	if run.Conclusion != "failure" || !strings.Contains(run.Title, "BUILD failed: exit status 7 of exit 7") {
		t.Errorf("%s: %s", run.Conclusion, run.Title)
	}
	r := h.results(sha)["shop"]
	var phases []string
	for _, p := range r.Phases {
		if phases = append(phases, p.Name); p.Failed {
			phases[len(phases)-1] += " failed"
		}
	}
	if got := strings.Join(phases, ", "); got != "INSTALL, PRE_BUILD, BUILD failed, POST_BUILD failed" || r.ExitCode != 7 {
		t.Errorf("exit code %d of %s", r.ExitCode, got)
	}
	if r.Artifact == nil || r.Artifact.Files != 1 {
		t.Errorf("the artifact of the failed build is %+v", r.Artifact)
	}
}

func TestAMistakeInABuildspecIsShownOnTheBuildspec(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	pull := h.pull("typo", brought("version: 0.2\nenv:\n  parameter-store: {LOGIN: /shop/login}\nphases:\n  pre-build: {commands: [make]}\n"))
	run := h.concluded(pull.HeadSHA, "conveyor / plan")
	if run.Conclusion != "failure" || len(run.Annotations) != 1 {
		t.Fatalf("%s with %d annotations", run.Conclusion, len(run.Annotations))
	}
	a := run.Annotations[0]
	if a.Path != "buildspec.yml" || a.StartLine != 5 || !strings.Contains(a.Message, `did you mean "pre_build"`) || run.Title != "buildspec.yml has a mistake" {
		t.Fatalf("%s: the annotation is %+v", run.Title, a)
	}
	h.push("typo", "author", "mended", brought("version: 0.2\nenv:\n  parameter-store: {LOGIN: /shop/login}\nphases:\n  build: {commands: ['test \"$LOGIN\" = given']}\n"))
	h.wait("the second mistake", func(v *github.View) bool {
		p, _ := v.Pull(repo, pull.Number)
		run, _ := v.CheckRun(repo, p.HeadSHA, "conveyor / plan")
		return run.Status == "completed" && len(run.Annotations) == 1 && p.HeadSHA != pull.HeadSHA && strings.Contains(run.Annotations[0].Message, "LOGIN comes from the parameter-store of AWS")
	})
	sha := h.push("typo", "author", "given", brought("version: 0.2\nenv:\n  parameter-store: {LOGIN: /shop/login}\nphases:\n  build: {commands: ['test \"$LOGIN\" = given']}\n", "        env: {LOGIN: given}"))
	if run := h.concluded(sha, "conveyor / build"); run.Conclusion != "success" {
		t.Errorf("%s\n%s", run.Title, run.Summary)
	}
	sha = h.push("typo", "author", "missing", brought("version: 0.2\nphases: {build: {commands: [make]}}\n", "      - {name: b, buildspec: none/buildspec.yml}"))
	if run := h.concluded(sha, "conveyor / plan"); len(run.Annotations) != 1 || run.Annotations[0].Path != ".github/conveyor.yml" || run.Annotations[0].StartLine != 8 {
		t.Errorf("%+v", run.Annotations)
	}
}

func TestABatchBecomesAStepForEachBuild(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := brought(`
version: 0.2
batch:
  build-list:
    - identifier: one
      env: {variables: {WHICH: first}}
    - identifier: Two
      buildspec: other/buildspec.yml
phases: {build: {commands: ['test "$WHICH $CODEBUILD_BATCH_BUILD_IDENTIFIER" = "first one"']}}
`)
	files["other/buildspec.yml"] = "version: 0.1\nphases: {build: {commands: ['cd other', 'test -d other']}}\n"
	sha := h.push("main", "author", "first", files)
	run := h.concluded(sha, "conveyor / build")
	if run.Conclusion != "success" || run.Title != "2 of 2 steps passed" || !strings.Contains(run.Summary, "| shop-two | passed |") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
}

func TestValidateReadsABuildspecAndThoseOfAPlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		file, text string
		code       int
		says       string
	}{
		{"buildspec.yml", "version: 0.2\nphases:\n  build:\n    commands: [make]\n  post-build: {}\n", 1, "buildspec.yml:5:3: there is no phase \"post-build\"; did you mean \"post_build\"?\n     5 |   post-build: {}\n       |   ^\n"},
		{"buildspec.yml", "version: 0.2\nrun-as: root\nphases:\n  build: {commands: [make]}\n", 0, "buildspec.yml:2:9: warning: run-as: root has no effect"},
		{"other.yaml", "version: 0.2\nphases:\n  build: {commands: [make]}\n", 0, "other.yaml is good: version 0.2, 1 command, 0 artifacts, 0 warnings."},
		{".github/conveyor.yml", brought("")[".github/conveyor.yml"], 0, "is good: 1 stage, 1 step, 0 environments."},
		{".github/conveyor.yml", brought("", "      - {name: b, buildspec: none.yml}")[".github/conveyor.yml"], 1, "conveyor.yml:8:30: there is no file none.yml, which the step b names"},
		{"buildspec.yml", "version: 0.2\nenv: {secrets-manager: {KEY: a}}\nphases:\n  build: {commands: [make]}\n", 0, "KEY comes from the secrets-manager of AWS"},
		{".github/conveyor.yml", brought("")[".github/conveyor.yml"], 1, "buildspec.yml:2:25: KEY comes from the secrets-manager of AWS, which is not asked; give the step shop a value for it in env, or remove it here"},
	} {
		code, out := say(t, nil, "conveyor", "validate", write(c.file, c.text))
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s\n%s: exit code %d and\n%s\nwant %d and %s", c.file, c.text, code, out, c.code, c.says)
		}
	}
}

func TestABuildspecOfAStrangerIsTheOneOfTheBase(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := brought("version: 0.2\nphases: {build: {commands: ['cp page.html out.html', 'cat out.html']}}\nartifacts: {files: [out.html]}\n")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "pull_request: {}", "pull_request: {outside: run}", 1)
	h.push("main", "author", "first", files)
	h.quiet()
	pull := h.stranger(map[string]string{"buildspec.yml": "version: 0.2\nphases: {build: {commands: [echo taken over, exit 9]}}\n", "page.html": "a stranger's page\n"})
	run := h.concluded(pull.HeadSHA, "conveyor / build")
	if run.Conclusion != "success" {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	if r := h.results(pull.HeadSHA)["shop"]; r.Artifact != nil {
		t.Errorf("a stranger's artifact is kept: %+v", r.Artifact)
	}
	shows(t, "the log", strings.Join(h.attempts("shop"), ""), "a stranger's page", "is not kept: the code comes from outside.")
}
