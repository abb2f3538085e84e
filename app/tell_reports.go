package app

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// reportSummary is what the reports of a check's steps say, as Markdown: a table of tests, which failures are new, what is
// flaky and what is slow, coverage and alerts. Names come from the build, and are nothing but text here.
func reportSummary(steps []pipeline.StepState) string {
	var b strings.Builder
	testTable(&b, steps)
	for _, st := range steps {
		if t := st.Result.Tested; st.Phase == pipeline.Done && t != nil {
			testedStep(&b, st, *t)
		}
	}
	return b.String()
}

func testTable(b *strings.Builder, steps []pipeline.StepState) {
	begun := false
	for _, st := range steps {
		t := st.Result.Tested
		if st.Phase != pipeline.Done || t == nil || st.Result.Tests == 0 {
			continue
		}
		if !begun {
			b.WriteString("\n| tests of | passed | failed | new | skipped |\n|---|---|---|---|---|\n")
			begun = true
		}
		fresh := "?" // there is nothing to compare with
		if t.Compared != "" || st.Result.TestsFailed == 0 {
			fresh = fmt.Sprint(t.New)
		}
		fmt.Fprintf(b, "| %s | %d | %d | %s | %d |\n", st.Name, st.Result.Tests-st.Result.TestsFailed-t.Skipped, st.Result.TestsFailed, fresh, t.Skipped)
	}
}

func testedStep(b *strings.Builder, st pipeline.StepState, t pipeline.Tested) {
	if len(t.Failures) > 0 {
		fmt.Fprintf(b, "\n| failed in %s | |\n|---|---|\n", st.Name)
		for _, f := range t.Failures {
			fmt.Fprintf(b, "| %s | %s |\n", github.Literal(f.Name), failureWords(f, t))
		}
		if more := st.Result.TestsFailed - len(t.Failures); more > 0 {
			fmt.Fprintf(b, "\nAnd %d more.\n", more)
		}
	}
	if len(t.Flaky) > 0 {
		fmt.Fprintf(b, "\n| flaky in %s | failed |\n|---|---|\n", st.Name)
		for _, f := range t.Flaky {
			fmt.Fprintf(b, "| %s | %s |\n", github.Literal(f.Name), flakyWords(f))
		}
	}
	if len(t.Slowest) > 0 {
		fmt.Fprintf(b, "\n| slowest in %s | time |\n|---|---|\n", st.Name)
		for _, s := range t.Slowest {
			fmt.Fprintf(b, "| %s | %s |\n", github.Literal(s.Name), duration(s.Took))
		}
	}
	if c := t.Coverage; c != nil {
		fmt.Fprintf(b, "\nCoverage of **%s**: %s\n", st.Name, coverageWords(*c, t.Compared))
	}
	if a := t.Alerts; a != nil {
		fmt.Fprintf(b, "\nAnalyses of **%s**: %d errors, %d warnings, %d notes.\n", st.Name, a.Failures, a.Warnings, a.Notices)
	}
	if t.Unplaced > 0 {
		fmt.Fprintf(b, "\n%d findings of **%s** name no file of this commit, or a file that could be several. They are not annotated; the report has them.\n", t.Unplaced, st.Name)
	}
	if t.Beyond > 0 {
		fmt.Fprintf(b, "\n%d findings of **%s** are beyond what is kept.\n", t.Beyond, st.Name)
	}
	for _, why := range t.Unread {
		fmt.Fprintf(b, "\nA report of **%s** could not be read: %s\n", st.Name, github.Literal(why))
	}
}

func failureWords(f pipeline.TestFail, t pipeline.Tested) string {
	for _, other := range t.Flaky {
		if other.Name == f.Name {
			return "flaky: " + flakyWords(other)
		}
	}
	switch {
	case f.New:
		return "**new**, not in the last run of " + github.Literal(t.Compared)
	case t.Compared != "":
		return "failed in the last run of " + github.Literal(t.Compared) + ", too"
	}
	return ""
}

func flakyWords(f pipeline.Flaky) string {
	return fmt.Sprintf("%d of %d runs of %s", f.Failed, f.Runs, github.Literal(f.Branch))
}

// coverageWords say how much is covered, and how that has changed.
func coverageWords(c pipeline.Coverage, compared string) string {
	all := pipeline.Ratio{Lines: c.Lines, Covered: c.Covered}
	words := fmt.Sprintf("%s of %d lines", percent(all), c.Lines)
	if c.Was != nil && c.Was.Lines > 0 && c.Lines > 0 {
		words += fmt.Sprintf(" (%+.1f points against the last run of %s)", share(all)-share(*c.Was), github.Literal(compared))
	}
	switch {
	case c.Changed != nil && c.Changed.Lines > 0:
		words += fmt.Sprintf("; of the changed lines %s, %d of %d", percent(*c.Changed), c.Changed.Covered, c.Changed.Lines)
	case c.Changed != nil:
		words += "; no changed line can be covered"
	case c.Unknown != "":
		words += "; of the changed lines nothing is known: " + c.Unknown
	}
	if c.Outside > 0 {
		words += fmt.Sprintf(". %d files of the report are not in this commit, and do not count", c.Outside)
	}
	return words + "."
}

func share(r pipeline.Ratio) float64 { return 100 * float64(r.Covered) / float64(max(r.Lines, 1)) }

func percent(r pipeline.Ratio) string {
	if r.Lines == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%.1f%%", share(r))
}
