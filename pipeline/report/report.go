// Package report reads what tests have written about themselves, and finds the lines of the tree that it speaks of.
//
// Reports are written by the build, so that every byte of them is hostile: sizes and counts are bounded, control
// characters and escape sequences are dropped, and a path is only believed when the caller knows it in the tree. The
// package opens no file and runs nothing; all that it knows comes in as arguments.
//
// Start reading at Findings; there is one function for each form of report: JUnit, TRX, Cucumber, Go, SARIF, Cobertura,
// JaCoCo and LCOV.
package report

import (
	"cmp"
	"fmt"
	"io"
)

// Annotation points at lines of the tree.
type Annotation struct {
	Path    string // relative to the top of the repository
	Line    int    // starts at 1
	EndLine int
	Level   string // one of the levels below
	Title   string // one line: which test
	Message string // what is wrong
}

// The levels of annotations, in GitHub's words.
const (
	Failure = "failure"
	Warning = "warning"
	Notice  = "notice"
)

// Summary counts the tests that a report names. A test with subtests is not counted besides them. Plain `go test` names
// only those that failed.
type Summary struct {
	Tests   int
	Failed  int
	Skipped int
}

// Findings is what came of reading a report.
type Findings struct {
	Summary     Summary
	Tests       []Test // as many as are remembered
	Annotations []Annotation
	Unplaced    []Annotation // failures that are not known to belong to a file of the tree: without Path and lines
	Dropped     int          // findings that name no file of the tree, those beyond the limit among them
	Cut         int          // failures that are in neither list, because there were too many
	Coverage    *Coverage    // nil when it is no report of coverage
	Alerts      Alerts       // of an analysis
	Truncated   bool         // the report was longer than the limit: only its beginning was read
}

// Limits bound what a report may cost. A zero stands for the default.
type Limits struct {
	Bytes       int64 // of the report; 8 MiB
	Annotations int   // in each of the two lists; 200
	Line        int   // bytes of a message's line; 2,000
	Message     int   // bytes of a message; 8 KiB
}

// GitHub takes more in one message, but messages are kept in the journal, 200 of them for each step.
func (l Limits) orDefault() Limits {
	return Limits{
		Bytes:       cmp.Or(max(l.Bytes, 0), 8<<20),
		Annotations: cmp.Or(max(l.Annotations, 0), 200),
		Line:        cmp.Or(max(l.Line, 0), 2_000),
		Message:     cmp.Or(max(l.Message, 0), 8<<10),
	}
}

const (
	maxTitle = 255       // GitHub's limit, https://docs.github.com/rest/checks/runs
	maxTests = 50_000    // whose names are remembered while a report is read
	maxAsked = 5_000     // paths that the caller is asked about
	maxPath  = 1_000     // bytes
	maxLine  = 1_000_000 // no file has a line beyond it
)

// read takes the report's beginning, as text that is safe to look at.
func (c *collector) read(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, c.limits.Bytes+1))
	if err != nil {
		return "", fmt.Errorf("report: read the report: %w", err)
	}
	if int64(len(data)) > c.limits.Bytes {
		data = data[:c.limits.Bytes]
		c.found.Truncated = true
	}
	return harmless(string(data)), nil
}
