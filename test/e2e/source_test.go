package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/github"
)

// from is a plan of one step that says what its workspace holds.
func from(source, script string) map[string]string {
	files := plan(script)
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "stages:", "source: "+source+"\nstages:", 1)
	return files
}

// second makes another private repository of the installation, which the author may read.
func (h *house) second(name string, files map[string]string) (sha string) {
	h.t.Helper()
	must(h.gh.CreateRepo("octo", name, true))(h.t)
	sha = must(h.gh.Commit("octo/"+name, "main", "maintainer", "first", files))(h.t)
	if err := h.gh.ChangeRepos(h.at.ID, []string{name}, nil); err != nil {
		h.t.Fatal(err)
	}
	if err := h.gh.Grant("octo/"+name, "author", "read"); err != nil {
		h.t.Fatal(err)
	}
	return sha
}

// recorded are the events of a run of one kind.
func recorded[E pipeline.Event](h *house, run github.CheckRun) (all []E) {
	h.t.Helper()
	h.stop()
	j := h.journal()
	defer func() {
		if err := j.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	stream, _, _ := strings.Cut(run.ExternalID, " ")
	for _, r := range must(j.Read(context.Background(), stream, 0))(h.t) {
		if e, ok := must(pipeline.Decode(r.Kind, r.Data))(h.t).(E); ok {
			all = append(all, e)
		}
	}
	return all
}

func (h *house) passes(run github.CheckRun, log ...string) {
	h.t.Helper()
	if run.Conclusion != "success" {
		h.t.Fatalf("%s: %s\n%s\n%s", run.Conclusion, run.Title, run.Summary, h.below(run, "/log/unit/1"))
	}
	shows(h.t, "the log", h.below(run, "/log/unit/1"), log...)
}

func (h *house) failsWith(run github.CheckRun, words ...string) {
	h.t.Helper()
	if run.Conclusion != "failure" {
		h.t.Fatalf("%s: %s", run.Conclusion, run.Title)
	}
	shows(h.t, "the check", run.Title+run.Summary+run.Text, words...)
}

func TestSubmodulesAndFilesInGitLFSAreThereForTrustedCodeOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	large := strings.Repeat("large\n", 1000)
	deep := h.second("deep", map[string]string{"deep.txt": "deep\n"})
	lib := h.second("lib", map[string]string{
		".gitmodules": "[submodule \"deep\"]\n\tpath = deep\n\turl = " + strings.TrimSuffix(h.gh.URL(), "/") + "/octo/deep.git\n",
		"deep":        github.Submodule(deep), "lib.txt": "lib\n",
	})
	files := from("{submodules: true, lfs: true}", "cat libs/lib/lib.txt libs/lib/deep/deep.txt\ntest $(wc -l < big.bin) = 1000\ntest ! -e .git")
	files[".gitmodules"], files["libs/lib"] = "[submodule \"lib\"]\n\tpath = libs/lib\n\turl = ../lib.git\n", github.Submodule(lib)
	files[".gitattributes"], files["big.bin"] = "*.bin filter=lfs diff=lfs merge=lfs -text\n", h.gh.StoreLarge(large)
	first := h.concluded(h.push("main", "author", "with submodules", files), "conveyor / test")
	h.passes(first, "libs/lib is octo/lib at "+lib, "libs/lib/deep is octo/deep at "+deep)

	// The maintainer of an organisation may read them all; one who may not read a submodule does not get it by a plan.
	h.gh.AddUser("newcomer")
	h.grant("newcomer", "write")
	h.failsWith(h.concluded(h.push("other", "newcomer", "same", ofABranch(h, "other", "newcomer")), "conveyor / test"), "octo/lib is private", "@newcomer")

	// Code from outside, which is let run, gets neither.
	pull := h.stranger(map[string]string{"hello.txt": "hello\n"})
	h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	outside := h.becomes(pull.HeadSHA, "conveyor / test", "failure")
	shows(t, "the log", h.below(outside, "/log/unit/1"), "Submodules are left empty", "stay pointers")

	resolved := recorded[pipeline.SourceResolved](h, first)
	if len(resolved) != 1 || len(resolved[0].Parts) != 3 || string(resolved[0].Parts[1].Commit) != lib {
		t.Errorf("recorded: %+v", resolved)
	}
}

// ofABranch opens a pull request of a branch, and returns what is pushed to it next.
func ofABranch(h *house, branch, who string) map[string]string {
	h.push(branch, who, "a branch", map[string]string{"x": "1\n"})
	must(h.gh.OpenPull(repo, who, "a branch", branch, "main"))(h.t)
	return map[string]string{"x": "2\n"}
}

func TestASubmoduleThatCannotBeHadIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	h := open(t)
	for url, want := range map[string]string{
		"https://elsewhere.example.com/octo/lib": "another host", "ext::sh -c touch% pwned": "is ever fetched", "../nowhere.git": "is not there",
	} {
		files := from("{submodules: true}", "true")
		files[".gitmodules"], files["lib"] = "[submodule \"lib\"]\n\tpath = lib\n\turl = "+url+"\n", github.Submodule(strings.Repeat("1", 40))
		run := h.concluded(h.push("main", "author", "hostile", files), "conveyor / test")
		h.failsWith(run, want)
	}
	h.quiet()
}

func TestAPullRequestIsTestedAsItWouldBeOnceMerged(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := from("{pull_request: merge}", "cat base.txt head.txt; echo merge $CONVEYOR_MERGE_COMMIT; mkdir -p dist; cp head.txt dist")
	files[".github/conveyor.yml"] += "        artifact: {name: site, paths: [dist/**]}\nenvironments:\n  staging: {on: {branch: main}, artifact: site, target: {static: staging}}\n"
	files["base.txt"], files["head.txt"], files["both.txt"] = "first\n", "first\n", "1\n2\n3\n"
	h.push("main", "author", "first", files)
	h.push("change", "author", "change", map[string]string{"head.txt": "changed\n"})
	base := h.push("main", "author", "base moves on", map[string]string{"base.txt": "moved\n"})
	pull := must(h.gh.OpenPull(repo, "author", "change", "change", "main"))(t)
	run := h.concluded(pull.HeadSHA, "conveyor / test")
	h.passes(run, "moved", "changed", "testing the merge of "+pull.HeadSHA[:7], "is not kept")

	// Once the base has what the head changes in another way, there is nothing to test.
	h.push("main", "author", "clash", map[string]string{"both.txt": "one\n2\n3\n"})
	clash := h.push("change", "author", "clash too", map[string]string{"both.txt": "uno\n2\n3\n"})
	h.failsWith(h.concluded(clash, "conveyor / test"), "cannot be merged into main: resolve the conflicts in both.txt")
	// Another base is another merge, although the head has a run.
	h.push("release", "author", "release", map[string]string{"base.txt": "release\n", "both.txt": "1\n2\n3\n"})
	if err := h.gh.EditPull(repo, pull.Number, "author", "change", "", "release"); err != nil {
		t.Fatal(err)
	}
	h.becomes(clash, "conveyor / test", "success")
	h.quiet()
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deployments(repo, "staging") {
			if d.SHA == pull.HeadSHA {
				t.Error("what was made of a merge was deployed")
			}
		}
	})

	asked := recorded[pipeline.Requested](h, run)
	if len(asked) != 1 || asked[0].Merge == nil || string(asked[0].Merge.Base) != base || string(asked[0].Merge.Head) != pull.HeadSHA || !asked[0].Merge.Commit.Valid() {
		t.Errorf("recorded: %+v", asked)
	}
	for _, e := range recorded[pipeline.StepFinished](h, run) {
		if e.Result.Artifact != nil {
			t.Errorf("an artifact was kept: %+v", e.Result.Artifact)
		}
	}
}

func TestOtherRepositoriesAreLookedUpOnceInARun(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.second("tools", map[string]string{"version": "first\n", "tools.sh": "#!/bin/sh\necho tools\n"})
	files := from("{with: [{repository: octo/tools, ref: main, path: deps/tools}]}", "deps/tools/tools.sh; grep first deps/tools/version")
	run := h.concluded(h.push("main", "author", "with tools", files), "conveyor / test")
	h.passes(run, "deps/tools is octo/tools at "+first)
	must(h.gh.Commit("octo/tools", "main", "maintainer", "second", map[string]string{"version": "second\n"}))(t)
	h.failsWith(h.concluded(h.push("main", "author", "again", map[string]string{"x": "1\n"}), "conveyor / test"), "exit code 1")
	for source, want := range map[string]string{
		"{with: [{repository: octo/tools, ref: nowhere, path: deps/tools}]}": "has no branch, tag or commit nowhere",
		"{with: [{repository: octo/none, path: deps/tools}]}":                "is not there",
		"{with: [{repository: octo/tools, path: README.md}]}":                "the commit has something there",
		"{with: [{repository: octo/tools, path: README.md/x}]}":              "is no folder",
	} {
		h.failsWith(h.concluded(h.push("main", "author", fmt.Sprint("bad ", want), from(source, "true")), "conveyor / test"), want)
	}
	pull := h.stranger(map[string]string{"hello.txt": "hello\n"})
	h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	h.failsWith(h.becomes(pull.HeadSHA, "conveyor / test", "failure"), "code from outside is given none")
	if resolved := recorded[pipeline.SourceResolved](h, run); len(resolved) != 1 || string(resolved[0].Parts[0].Commit) != first {
		t.Errorf("recorded: %+v", resolved)
	}
}

func TestAStepThatWantsTheHistoryHasIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", from("{history: full}", "git log --format=%s; echo at $(git describe --tags --dirty)"))
	if err := h.gh.Tag(repo, "v1.0", "author", first); err != nil {
		t.Fatal(err)
	}
	second := h.push("main", "author", "second", map[string]string{"x": "1\n"})
	h.passes(h.concluded(second, "conveyor / test"), "first", "second", "at v1.0-1-g"+second[:7])

	pull := h.stranger(map[string]string{"hello.txt": "hello\n"}) // whoever reads the repository may see its history
	h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	h.passes(h.becomes(pull.HeadSHA, "conveyor / test", "success"), "at v1.0-2-g"+pull.HeadSHA[:7])
}

func TestAPrivateRepositoryIsGivenToWhoMayReadItOrByTheOperator(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		h := open(t, func(h *house) {
			if shared {
				h.config.SharedRepositories = []string{"octo/tools"}
			}
		})
		h.second("tools", map[string]string{"version": "first\n"})
		h.gh.AddUser("newcomer")
		h.grant("newcomer", "write")
		run := h.concluded(h.push("main", "newcomer", "with tools", from("{with: [{repository: octo/tools, path: tools}]}", "cat tools/version")), "conveyor / test")
		if shared {
			h.passes(run, "first")
			continue
		}
		h.failsWith(run, "octo/tools is private", "@newcomer", "CONVEYOR_SHARED_REPOSITORIES")
		if log := h.below(run, "/log/unit/1"); strings.Contains(log, "first") {
			t.Errorf("the step ran:\n%s", log)
		}
	}
}
