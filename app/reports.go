package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/report"
)

// How many report files of one step are read, and how many annotations are kept: GitHub shows no more, and they are
// kept in the journal.
const (
	maxReports     = 200
	maxAnnotations = 200
)

// readReports turns the reports that a step has written into annotations. All of it was written by the build: files are
// opened without leaving the workspace, and paths count only when the commit holds them. A report that cannot be read is
// the step's affair, and never fails it.
func (a *App) readReports(ctx context.Context, s pipeline.State, spec pipeline.Step, dir string, r *pipeline.Result) {
	if spec.Reports == (pipeline.Reports{}) {
		return
	}
	exists, err := a.source.Paths(ctx, s.Trigger.Repo, s.Trigger.Commit)
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
	module := moduleOf(root)
	for _, kind := range []struct {
		glob string
		read func(io.Reader) (report.Findings, error)
	}{
		{spec.Reports.JUnit, func(in io.Reader) (report.Findings, error) { return report.JUnit(in, exists, report.Limits{}) }},
		{spec.Reports.Go, func(in io.Reader) (report.Findings, error) {
			return report.Go(in, module, exists, report.Limits{})
		}},
	} {
		if kind.glob == "" {
			continue
		}
		names, err := doublestar.Glob(root.FS(), kind.glob, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
		if err != nil {
			a.log.Info("a report could not be found", "stream", s.Run, "step", spec.Name, "err", err)
		}
		for _, name := range names[:min(len(names), maxReports)] {
			found, err := readReport(root, name, kind.read)
			if err != nil {
				a.log.Info("a report could not be read", "stream", s.Run, "step", spec.Name, "err", err)
				continue
			}
			note(r, found)
		}
	}
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

func note(r *pipeline.Result, found report.Findings) {
	r.Tests += found.Summary.Tests
	r.TestsFailed += found.Summary.Failed
	for _, at := range found.Annotations {
		if len(r.Annotations) == maxAnnotations {
			return
		}
		r.Annotations = append(r.Annotations, pipeline.Annotation{Path: at.Path, Line: at.Line, Level: at.Level, Title: at.Title, Message: at.Message})
	}
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
