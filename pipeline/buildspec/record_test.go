package buildspec_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
)

func TestARecordThatDoesNotFollowTheTransitionsIsNone(t *testing.T) {
	t.Parallel()
	s, _ := buildspec.Parse("buildspec.yml", []byte("version: 0.2\nphases: {build: {on-failure: RETRY-1, commands: [make]}}\n"))
	const (
		install = "INSTALL 1 SUCCEEDED 0 10 11 0 - 0\n"
		pre     = "PRE_BUILD 1 SUCCEEDED 0 11 12 0 - 0\n"
		built   = "BUILD 1 SUCCEEDED 0 12 13 0 - 0\n"
		failed  = "BUILD 1 FAILED 1 12 13 2 commands 1\n"
		again   = "BUILD 2 FAILED 1 13 14 3 commands 1\n"
		post    = "POST_BUILD 1 SUCCEEDED 0 14 20 0 - 0\n"
	)
	for text, why := range map[string]string{
		install + pre + built + post:                           "",
		install + pre + failed + again + post:                  "BUILD failed: exit status 3 of make, after 2 tries",
		install + "PRE_BUILD 1 FAILED 1 11 12 1 finally 9\n":   "PRE_BUILD failed: exit status 1 of ",
		"INSTALL 1 FAILED 1 10 11 127 commands 1\n":            "INSTALL failed: exit status 127 of ",
		install + pre + built:                                  "none",
		install + pre + failed + post:                          "none",
		install + built + post:                                 "none",
		install + pre + built + post + post:                    "none",
		"":                                                     "none",
		"INSTALL\n":                                            "none",
		"SUBMITTED 1 SUCCEEDED 0 10 11 0 - 0\n":                "none",
		"SHIP 1 SUCCEEDED 0 10 11 0 - 0\n":                     "none",
		"INSTALL x SUCCEEDED 0 10 11 0 - 0\n":                  "none",
		strings.Repeat(install, 5_000):                         "none",
		install + pre + failed + again + again + post:          "none",
		"INSTALL 1 FAILED 1 10 11 1 commands 1\n" + pre + post: "none",
	} {
		r, err := buildspec.ReadRecord(s, text)
		switch {
		case why == "none" && err == nil:
			t.Errorf("%q is taken for a record", text)
		case why != "none" && (err != nil || r.Why() != why || r.State.Failed != (why != "")):
			t.Errorf("%q: %q, %v; want %q", text, r.Why(), err, why)
		}
	}
}

func TestAPatternMeansTheSameToTheSandbox(t *testing.T) {
	t.Parallel()
	lines := []string{"Error: timed out", "error 42", "a+b", "[x] (y) {z}", `back\slash`, "tab\there", "x-y^z]", "end", "", "aaa", "ümlaut", "a:b"}
	for _, pattern := range []string{
		".*", "Error: .*", "^error [0-9]+$", `\d{2}`, `a\+b`, `\[x\]`, `\{z\}$`, `back\\slash`, `\s`, `\S+\s\S+`, "[^a-z]", `[\]^-]`, "(timed|ran) out",
		"(?i)ERROR", "^$", "a{3}", "a{4,}", "^(a|end)+$", "x?nd", "[[:alpha:]]+:", `\w+ \d`, "ü", "[^ü]ml", "[.:=[]b?", "(?:a|b){2}", "[a-", "a**",
	} {
		on, message, _ := buildspec.ParseOnFailure("RETRY-" + pattern)
		want := buildspec.CompiledPattern(pattern)
		if (message != "") != (want == nil) {
			t.Errorf("%s: %q", pattern, message)
		}
		if want == nil {
			continue
		}
		extended, err := buildspec.Posix(on.Pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		for _, line := range lines {
			cmd := exec.Command("grep", "-Eq", "-e", extended)
			cmd.Stdin, cmd.Env = strings.NewReader(line+"\n"), []string{"LANG=C.UTF-8", "PATH=/usr/bin:/bin"}
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code > 1 {
				t.Fatalf("%s, as %s: %v", pattern, extended, err)
			}
			if (err == nil) != want.MatchString(line) {
				t.Errorf("%s, as %s, and %q: grep says %v", pattern, extended, line, err == nil)
			}
		}
	}
}

func TestABuildIsToldOfItsWorldInTheWordsOfAWS(t *testing.T) {
	t.Parallel()
	facts := buildspec.Facts{
		Run: "run/7/guid", Step: "shop", Attempt: 2, Requested: time.Unix(1_700_000_000, 0), Started: time.UnixMilli(1_700_000_001_500),
		RepoURL: "https://github.com/octo/shop.git", PageURL: "https://conveyor.example/runs/7",
		Trigger: pipeline.Trigger{Kind: pipeline.Push, Repo: pipeline.Repo{Name: "shop"}, Commit: pipeline.Commit(strings.Repeat("a", 40)),
			Ref: "refs/heads/main", Branch: "main", Before: pipeline.Commit(strings.Repeat("b", 40)), Actor: pipeline.Actor{ID: 5, Login: "ann"}},
	}
	has := func(env []string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !slices.Contains(env, w) {
				t.Errorf("%s is not among\n%s", w, strings.Join(env, "\n"))
			}
		}
	}
	push := buildspec.Environ(facts)
	has(push, "CODEBUILD_BUILD_NUMBER=1700000000", "CODEBUILD_START_TIME=1700000001500", "CODEBUILD_WEBHOOK_EVENT=PUSH", "CODEBUILD_WEBHOOK_TRIGGER=branch/main",
		"CODEBUILD_WEBHOOK_HEAD_REF=refs/heads/main", "CODEBUILD_WEBHOOK_PREV_COMMIT="+strings.Repeat("b", 40), "CODEBUILD_INITIATOR=conveyor/ann",
		"CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID=5", "CODEBUILD_RESOLVED_SOURCE_VERSION="+strings.Repeat("a", 40), "CODEBUILD_SOURCE_VERSION="+strings.Repeat("a", 40))
	if !slices.Equal(push, buildspec.Environ(facts)) {
		t.Error("two tellings of one attempt differ")
	}
	facts.Trigger.Kind, facts.Trigger.Pull, facts.Trigger.Base, facts.Trigger.Branch = pipeline.PullRequest, 7, "main", "change"
	facts.BatchID = "one"
	pull := buildspec.Environ(facts)
	has(pull, "CODEBUILD_WEBHOOK_EVENT=PULL_REQUEST_UPDATED", "CODEBUILD_WEBHOOK_TRIGGER=pr/7", "CODEBUILD_SOURCE_VERSION=pr/7",
		"CODEBUILD_WEBHOOK_BASE_REF=refs/heads/main", "CODEBUILD_WEBHOOK_HEAD_REF=refs/heads/change", "CODEBUILD_BATCH_BUILD_IDENTIFIER=one")
}
