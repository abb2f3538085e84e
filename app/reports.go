package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
	"github.com/conveyor-ci/conveyor/pipeline/report"
)

// How much of a step's reports is read, and how many annotations are kept: GitHub shows no more, and they are kept in the
// journal.
const (
	maxReports     = 200 // files of one form
	maxAnnotations = 200
	maxSARIF       = 32 << 20  // bytes of a file
	maxRead        = 512 << 20 // bytes of all reports
	maxUnread      = 5
)

// readReports turns the reports that a step has written into annotations and figures. All of it was written by the build:
// files are opened without leaving the workspace, and paths count only when the commit holds them. A report that cannot be
// read is the step's affair, and never fails it.
func (a *App) readReports(ctx context.Context, s pipeline.State, spec pipeline.Step, attempt int, dir string, words logs.Words, r *pipeline.Result) {
	if spec.Reports == (pipeline.Reports{}) {
		return
	}
	paths, err := a.source.All(ctx, s.Trigger.Repo, s.Trigger.Commit)
	if err != nil {
		a.log.Warn("no annotations: the tree could not be listed", "stream", s.Run, "step", spec.Name, "err", err)
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		a.log.Warn("no annotations: the workspace could not be opened", "stream", s.Run, "step", spec.Name, "err", err)
		return
	}
	defer func() { _ = root.Close() }() // it was only read
	read := reading{result: r, tested: &pipeline.Tested{}, words: words}
	left := int64(maxRead)
	for _, form := range forms(spec.Reports, report.NewFiles(paths), moduleOf(root)) {
		names, err := doublestar.Glob(root.FS(), form.glob, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
		if err != nil || len(names) == 0 {
			read.unread(form.name, form.glob, errors.New("no file matches"))
		}
		for _, name := range names[:min(len(names), maxReports)] {
			found, err := readReport(root, name, func(in io.Reader) (report.Findings, error) {
				return form.read(&rationed{ctx: ctx, in: in, left: &left})
			})
			if err == nil && found.Truncated {
				read.unread(form.name, name, errors.New("it is too long; only its beginning was read"))
			}
			if err != nil {
				a.log.Info("a report could not be read", "stream", s.Run, "step", spec.Name, "err", err)
				read.unread(form.name, name, err)
			}
			read.take(found)
			if form.name == "sarif" && err == nil {
				if !read.silent(root, name) {
					read.unread(form.name, name, errors.New("it holds the value of a secret, so it is not passed on to GitHub"))
					continue
				}
				a.keepSARIF(ctx, s, dir, name, &read)
			}
		}
	}
	a.compareTests(s, spec.Name, attempt, &read)
	if read.coverage != nil {
		a.compareCoverage(ctx, s, &read)
	}
	r.Tested = read.tested
}

// rationed ends the reading when the step has nothing left to be read, or nobody waits for it any more.
type rationed struct {
	ctx  context.Context
	in   io.Reader
	left *int64
}

func (r *rationed) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if *r.left <= 0 {
		return 0, fmt.Errorf("the step has more than %d MiB of reports", maxRead>>20)
	}
	n, err := r.in.Read(p[:min(int64(len(p)), *r.left)])
	*r.left -= int64(n)
	return n, err
}

// form is one form of reports, and how it is read.
type form struct {
	name, glob string
	read       func(io.Reader) (report.Findings, error)
}

// forms are those that a step declares.
func forms(r pipeline.Reports, tree *report.Files, module string) (declared []form) {
	limits := func(read func(io.Reader, report.Tree, report.Limits) (report.Findings, error), l report.Limits) func(io.Reader) (report.Findings, error) {
		return func(in io.Reader) (report.Findings, error) { return read(in, tree, l) }
	}
	plain := func(read func(io.Reader, report.Tree) (report.Findings, error)) func(io.Reader) (report.Findings, error) {
		return func(in io.Reader) (report.Findings, error) { return read(in, tree) }
	}
	for _, f := range []form{
		{"junit", r.JUnit, limits(report.JUnit, report.Limits{})},
		{"go", r.Go, func(in io.Reader) (report.Findings, error) { return report.Go(in, module, tree, report.Limits{}) }},
		{"trx", r.TRX, limits(report.TRX, report.Limits{})},
		{"cucumber", r.Cucumber, limits(report.Cucumber, report.Limits{})},
		{"sarif", r.SARIF, limits(report.SARIF, report.Limits{Bytes: maxSARIF})},
		{"cobertura", r.Cobertura, plain(report.Cobertura)},
		{"jacoco", r.JaCoCo, plain(report.JaCoCo)},
		{"lcov", r.LCOV, plain(report.LCOV)},
	} {
		if f.glob != "" {
			declared = append(declared, f)
		}
	}
	return declared
}

// reading gathers what the reports of one step say.
type reading struct {
	result   *pipeline.Result
	tested   *pipeline.Tested
	tests    []report.Test
	coverage *report.Coverage
	words    logs.Words // masks the step's secrets: what is read here leaves the server
}

func (r *reading) unread(form, name string, err error) {
	if len(r.tested.Unread) < maxUnread {
		r.tested.Unread = append(r.tested.Unread, outside(r.words.Masked(fmt.Sprintf("%s (%s): %s", name, form, strings.TrimPrefix(err.Error(), "report: "))), 300))
	}
}

func (r *reading) take(found report.Findings) {
	r.result.Tests += found.Summary.Tests
	r.result.TestsFailed += found.Summary.Failed
	r.tested.Skipped += found.Summary.Skipped
	r.tested.Unplaced += found.Dropped
	r.tested.Beyond += found.Cut
	for _, t := range found.Tests {
		t.Name = r.words.Masked(t.Name)
		r.tests = append(r.tests, t)
	}
	if found.Alerts != (report.Alerts{}) {
		sum := pipeline.Alerts(found.Alerts)
		if before := r.tested.Alerts; before != nil {
			sum.Failures, sum.Warnings, sum.Notices = sum.Failures+before.Failures, sum.Warnings+before.Warnings, sum.Notices+before.Notices
		}
		r.tested.Alerts = &sum
	}
	if found.Coverage != nil {
		if r.coverage == nil {
			r.coverage = &report.Coverage{}
		}
		r.coverage.Add(found.Coverage)
	}
	for _, at := range found.Annotations {
		if len(r.result.Annotations) == maxAnnotations {
			r.tested.Beyond++
			continue
		}
		r.result.Annotations = append(r.result.Annotations, pipeline.Annotation{Path: at.Path, Line: at.Line, Level: at.Level, Title: r.words.Masked(at.Title), Message: r.words.Masked(at.Message)})
	}
}

// silent reports whether a file that is passed on as it is holds no secret of the step.
func (r *reading) silent(root *os.Root, name string) bool {
	if r.words == (logs.Words{}) {
		return true
	}
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxSARIF+1))
	return err == nil && len(text) <= maxSARIF && r.words.Masked(string(text)) == string(text)
}

func readReport(root *os.Root, name string, read func(io.Reader) (report.Findings, error)) (report.Findings, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return report.Findings{}, err
	}
	if !info.Mode().IsRegular() {
		return report.Findings{}, fmt.Errorf("%q is not a file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return report.Findings{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return read(f)
}

var moduleLine = regexp.MustCompile(`(?m)^module[ \t]+"?([^\s"]+)"?`)

// moduleOf is the Go module that the workspace's top folder declares, empty when there is none.
func moduleOf(root *os.Root) string {
	f, err := root.Open("go.mod")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return ""
	}
	if m := moduleLine.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}
