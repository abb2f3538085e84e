package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// stranger forks the shop and opens a pull request of one change.
func (h *house) stranger(files map[string]string) github.Pull {
	h.t.Helper()
	h.gh.AddUser("stranger")
	must(h.gh.Fork(repo, "stranger"))(h.t)
	must(h.gh.Commit("stranger/shop", "main", "stranger", "hello", files))(h.t)
	return must(h.gh.OpenPull(repo, "stranger", "hello", "stranger:main", "main"))(h.t)
}

// becomes waits until the newest check run of a commit has a conclusion.
func (h *house) becomes(sha, name, conclusion string) (run github.CheckRun) {
	h.t.Helper()
	h.wait(fmt.Sprintf("%s of %s as %s", name, sha[:7], conclusion), func(v *github.View) bool {
		run, _ = v.CheckRun(repo, sha, name)
		return run.Conclusion == conclusion
	})
	return run
}

// stepLogs are the logs of all attempts that were ever begun.
func (h *house) stepLogs() []string {
	return must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", "*", "*.log")))(h.t)
}

// shows wants words in a text that people see.
func shows(t *testing.T, what, text string, words ...string) {
	t.Helper()
	text = strings.NewReplacer(`\`, "", "\u200b", "").Replace(text)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, text)
		}
	}
}

func (h *house) panel(n int64) (body string) {
	h.gh.Look(func(v *github.View) {
		for _, c := range v.Comments(repo, n) {
			if strings.HasPrefix(c.Body, "<!-- conveyor:conveyor/panel -->") {
				body = c.Body
			}
		}
	})
	return body
}

func TestAStrangersCommitRunsOnAWritersWordAndAPushVoidsIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := withSites("base")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "mkdir dist", "sh check.sh; mkdir dist", 1)
	files["check.sh"] = "exit 3\n"
	first := h.push("main", "author", "first", files)
	h.concluded(first, "conveyor / test")
	h.quiet()
	before := len(h.stepLogs())

	// The stranger's own plan lets itself run, and is never read.
	evil := plan("exit 4")
	evil[".github/conveyor.yml"] = strings.Replace(evil[".github/conveyor.yml"], "pull_request: {}", "pull_request: {outside: run}", 1)
	evil["check.sh"], evil["package.json"], evil["notes.md"] = "true\n", "{}\n", "@maintainer look\n"
	pull := h.stranger(evil)
	line := "/ok-to-test " + pull.HeadSHA
	run := h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.quiet()
	whole := []string{line, "T0", "3 of 4 changed files", "The step unit names it", "- package.json: ", "- .github/conveyor.yml: ", "/octo/shop/compare/" + first + "..." + pull.HeadSHA}
	shows(t, "the check", run.Summary, whole...)
	shows(t, "the panel", h.panel(pull.Number), whole...)

	h.comment(pull, "reader", line)
	h.answered(pull, "needs the role write")
	h.comment(pull, "stranger", line)
	h.answered(pull, "@stranger has")
	h.comment(pull, "author", "/ok-to-test")
	h.answered(pull, "then type `"+line+"`")
	h.comment(pull, "author", "/ok-to-test "+first)
	h.answered(pull, "speaks of "+first[:7])
	h.comment(pull, "author", "/retest")
	h.answered(pull, "run again")
	h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.quiet()
	if n := len(h.stepLogs()); n != before {
		t.Fatalf("without a word, %d steps ran", n-before)
	}

	h.comment(pull, "author", line)
	run = h.becomes(pull.HeadSHA, "conveyor / test", "success")
	shows(t, "the check", run.Summary, "T1", "by the plan of the base, "+first[:7], "Withheld")
	h.quiet()
	h.comment(pull, "maintainer", "/deploy preview")
	h.answered(pull, "No successful run has made an artifact")
	h.quiet()
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deployments(repo, "") {
			if d.SHA == pull.HeadSHA {
				t.Errorf("a stranger's build was deployed to %s", d.Environment)
			}
		}
	})

	// Another push: the word was not for this one.
	ran := len(h.stepLogs())
	next := must(h.gh.Commit("stranger/shop", "main", "stranger", "more", map[string]string{"check.sh": "touch x\n", "new.sh": "true\n"}))(t)
	run = h.becomes(next, "conveyor / test", "action_required")
	h.quiet()
	since := []string{"/ok-to-test " + next, "Since " + pull.HeadSHA[:7] + ", which author allowed**, 2 files differ", "/octo/shop/compare/" + pull.HeadSHA + "..." + next, "- new.sh"}
	shows(t, "the check", run.Summary, since...)
	shows(t, "the panel", h.panel(pull.Number), since...)
	h.comment(pull, "author", line)
	h.answered(pull, "then type `/ok-to-test "+next+"`")
	h.comment(pull, "author", "/retest")
	h.quiet()
	if n := len(h.stepLogs()); n != ran {
		t.Errorf("after the push, %d steps ran", n-ran)
	}
	h.comment(pull, "author", "/ok-to-test "+next[:9])
	h.becomes(next, "conveyor / test", "success")
	h.quiet()
	h.harmless(filepath.Join(t.TempDir(), "pwned"))
}

func TestAPushThatNobodyToldOfIsNotCoveredByTheWordForTheHeadBefore(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	h.quiet()
	before := len(h.stepLogs())
	pull := h.stranger(map[string]string{"a.sh": "true\n"})
	h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.gh.InjectHook(github.HookFault{Event: "pull_request.synchronize", Lose: true})
	next := must(h.gh.Commit("stranger/shop", "main", "stranger", "more", map[string]string{"a.sh": "false\n"}))(t)
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	h.answered(pull, "then type `/ok-to-test "+next+"`")
	h.quiet()
	if n := len(h.stepLogs()); n != before {
		t.Errorf("%d steps ran", n-before)
	}
}

func TestTheBasesPlanLetsAStageRunWithoutAWordAndNoMore(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := plan("sh check.sh; ! grep -q . /proc/net/route || [ $(wc -l < /proc/net/route) -le 1 ]",
		"        artifact: {name: proof, paths: [check.sh]}", "  - name: build", "    steps: [{name: site, run: sh build.sh}]")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "pull_request: {}", "pull_request: {outside: [test]}", 1)
	files["check.sh"], files["build.sh"] = "false\n", "true\n"
	first := h.push("main", "author", "first", files)
	h.concluded(first, "conveyor / test")
	h.quiet()
	before := len(h.stepLogs())

	pull := h.stranger(map[string]string{"check.sh": "true\n", "build.sh": "touch built\n"})
	run := h.becomes(pull.HeadSHA, "conveyor / test", "success")
	shows(t, "the check that ran", run.Summary, "T0", "lets the stages `test` run", "the stages `build`", "nothing of it can be deployed")
	run = h.becomes(pull.HeadSHA, "conveyor / build", "action_required")
	shows(t, "the check that was withheld", run.Summary, "T0", "/ok-to-test "+pull.HeadSHA)
	h.quiet()
	h.comment(pull, "author", "/retest")
	h.answered(pull, "run again")
	h.quiet()
	h.comment(pull, "author", "/test build")
	h.quiet()
	for _, log := range h.stepLogs()[before:] {
		if strings.Contains(log, "/site/") {
			t.Errorf("a stage that was withheld ran: %s", log)
		}
	}
	if kept := must(filepath.Glob(filepath.Join(h.config.DataDir, "artifacts", "packs", "*")))(t); len(kept) != 0 {
		t.Errorf("what code from outside made is kept: %q", kept)
	}
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	h.becomes(pull.HeadSHA, "conveyor / build", "success")
	h.quiet()
}

// Where a branch lies says nothing of whose code it is: the author's role does, and of a fork also who pushed.
func TestNoPullRequestIsTrustedByItsShape(t *testing.T) {
	t.Parallel()
	for name, opens := range map[string]func(h *house) string{
		"a reader opens one between two branches of the repository": func(h *house) string {
			h.push("fix", "author", "change", map[string]string{"a": "1"})
			return must(h.gh.OpenPull(repo, "reader", "hello", "fix", "main"))(h.t).HeadSHA
		},
		"a stranger opens one of a writer's branch": func(h *house) string {
			h.gh.AddUser("stranger")
			h.push("fix", "maintainer", "change", map[string]string{"a": "1"})
			return must(h.gh.OpenPull(repo, "stranger", "hello", "fix", "main"))(h.t).HeadSHA
		},
		"someone else pushes to a writer's fork": func(h *house) string {
			h.gh.AddUser("stranger")
			must(h.gh.Fork(repo, "author"))(h.t)
			must(h.gh.Commit("author/shop", "main", "author", "hello", map[string]string{"a": "1"}))(h.t)
			pull := must(h.gh.OpenPull(repo, "author", "hello", "author:main", "main"))(h.t)
			h.concluded(pull.HeadSHA, "conveyor / test")
			h.quiet()
			return must(h.gh.Commit("author/shop", "main", "stranger", "more", map[string]string{"a": "2"}))(h.t)
		},
		"a bot opens one between two branches of the repository": func(h *house) string {
			updates := must(h.gh.RegisterApp("octo", github.Manifest{Name: "Updates", URL: "http://updates.example", DefaultPermissions: map[string]string{"contents": "write", "pull_requests": "write"}}))(h.t)
			must(h.gh.InstallApp(updates.Slug, "octo", "shop"))(h.t)
			h.push("updates/left-pad", "author", "change", map[string]string{"a": "1"})
			return must(h.gh.OpenPull(repo, updates.Slug+"[bot]", "hello", "updates/left-pad", "main"))(h.t).HeadSHA
		},
		"one who was a writer opens one": func(h *house) string {
			h.push("fix", "author", "change", map[string]string{"a": "1"})
			h.grant("author", "read")
			return must(h.gh.OpenPull(repo, "author", "hello", "fix", "main"))(h.t).HeadSHA
		},
		"GitHub refuses to say what the author may do": func(h *house) string {
			h.push("fix", "author", "change", map[string]string{"a": "1"})
			h.gh.Inject(github.Fault{Method: "GET", Route: "/repos/{owner}/{repo}/collaborators/{username}/permission", Status: 403})
			return must(h.gh.OpenPull(repo, "author", "hello", "fix", "main"))(h.t).HeadSHA
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			h.push("main", "author", "first", plan("true"))
			h.quiet()
			sha := opens(h)
			h.becomes(sha, "conveyor / test", "action_required")
			h.quiet()
			h.gh.Look(func(v *github.View) {
				for _, run := range v.CheckRuns(repo, sha) {
					if run.Conclusion != "action_required" {
						t.Errorf("%s ended as %s", run.Name, run.Conclusion)
					}
				}
			})
		})
	}
}

func TestWhileGitHubDoesNotAnswerNobodyIsTrusted(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	h.quiet()
	h.gh.Inject(github.Fault{Method: "GET", Route: "/repos/{owner}/{repo}/collaborators/{username}/permission", Status: 502, Times: 2})
	pull := h.pull("change", plan("true", "# changed"))
	h.becomes(pull.HeadSHA, "conveyor / test", "success")
	h.ends()
}

func TestARunOfAWriterWhoIsNoneAnyMoreIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	pull := h.pull("change", plan("true", "# changed"))
	h.becomes(pull.HeadSHA, "conveyor / test", "success")
	h.quiet()
	before := len(h.stepLogs())
	h.grant("author", "read")
	h.comment(pull, "maintainer", "/retest")
	h.answered(pull, "then type `/ok-to-test "+pull.HeadSHA+"`")
	h.quiet()
	if n := len(h.stepLogs()); n != before {
		t.Errorf("%d steps ran", n-before)
	}
}
