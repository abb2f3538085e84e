package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// tested is a plan whose step writes reports: what they say stands in the commit, below said/.
func tested(junit, lcov, sarif string) map[string]string {
	files := plan("cp said/* .", "        reports: {junit: junit.xml, lcov: lcov.info, sarif: \"*.sarif\"}")
	files["said/junit.xml"], files["said/lcov.info"], files["said/lint.sarif"] = junit, lcov, sarif
	files["src/price.js"] = "let a = 1\nlet b = 2\nlet c = 3\n"
	return files
}

const analysis = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "lint"}}, "results": [
	{"ruleId": "R1", "level": "warning", "message": {"text": "@everyone look <b>here</b>"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/price.js"}, "region": {"startLine": 3}}}]},
	{"ruleId": "R2", "level": "error", "message": {"text": "elsewhere"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "/etc/passwd"}, "region": {"startLine": 1}}}]}]}]}`

// shown is a check's summary without the marks that keep text from mentioning anyone.
func shown(run github.CheckRun) string { return strings.ReplaceAll(run.Summary, "\u200b", "") }

func TestAPullRequestShowsWhatIsNewAgainstItsBase(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) {
		h.config.CodeScanning = true
		h.rights = map[string]string{"security_events": "write"}
	})
	old := `<testcase classname="shop" name="old" time="2.5"><failure message="src/price.js:1 was never right"/></testcase>`
	sha := h.push("main", "author", "first", tested(`<testsuite>`+old+`<testcase classname="shop" name="fresh" time="0.25"/></testsuite>`,
		"SF:src/price.js\nDA:1,1\nDA:2,0\nend_of_record\n", analysis))
	run := h.concluded(sha, "conveyor / test")
	if got := shown(run); !strings.Contains(got, "| unit | 1 | 1 | ? | 0 |") || strings.Contains(got, "**new**") || !strings.Contains(got, "50.0% of 2 lines") {
		t.Errorf("the first run has nothing to be compared with:\n%s", got)
	}

	files := tested(`<testsuite>`+old+`<testcase classname="shop" name="fresh | @mona" time="0"/><testcase classname="shop" name="fresh" time="0.5"><failure message="src/price.js:3 broke"/></testcase>`+
		`<testcase classname="shop" name="lost"><failure message="/etc/passwd:1 root"/></testcase></testsuite>`,
		"SF:/builds/7/src/price.js\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,0\nend_of_record\n", analysis)
	files["src/price.js"] = "let a = 1\nlet b = 2\nlet d = 3\nlet e = 4\n"
	sha = h.push("change", "author", "change", files)
	must(h.gh.OpenPull(repo, "author", "change", "change", "main"))(t)
	run = h.concluded(sha, "conveyor / test")
	got := shown(run)
	for _, want := range []string{
		"| unit | 1 | 3 | 2 | 0 |",
		`| shop › fresh | **new**, not in the last run of main |`,
		`| shop › old | failed in the last run of main, too |`,
		"| slowest in unit | time |", "| shop › old | 2.5s |",
		`75.0% of 4 lines (+25.0 points against the last run of main); of the changed lines 50.0%, 1 of 2.`,
		"1 errors, 1 warnings, 0 notes", "2 findings of **unit** name no file of this commit",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the summary lacks %q:\n%s", want, got)
		}
	}
	if len(run.Annotations) != 3 {
		t.Errorf("%+v", run.Annotations)
	}
	for _, a := range run.Annotations {
		if a.Path != "src/price.js" {
			t.Errorf("%+v", a)
		}
	}
	h.quiet()
	h.gh.Look(func(v *github.View) {
		if all := v.Analyses(repo, sha); len(all) != 1 || !strings.HasPrefix(all[0].Ref, "refs/pull/") || string(all[0].SARIF) != analysis {
			t.Errorf("code scanning has %+v", all)
		}
	})
}

func TestWithoutTheOperatorsWordNoAnalysisIsPassedOn(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.rights = map[string]string{"security_events": "write"} })
	sha := h.push("main", "author", "first", tested("<testsuite/>", "", analysis))
	h.concluded(sha, "conveyor / test")
	h.quiet()
	h.gh.Look(func(v *github.View) {
		if all := v.Analyses(repo, sha); len(all) != 0 {
			t.Errorf("code scanning has %+v", all)
		}
	})
}

func TestAnAnalysisThatMayNotBeUploadedHoldsNothingUp(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.CodeScanning = true }) // and the App lacks the permission
	sha := h.push("main", "author", "first", tested("<testsuite/>", "", analysis))
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Error(run.Conclusion)
	}
	h.quiet()
	if said := h.log.String(); !strings.Contains(said, "GitHub will not show this analysis") {
		t.Error("nobody was told that the permission is missing")
	}
}
