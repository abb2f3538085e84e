package planfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Parse reads a pipeline file. It returns a plan without problems, or problems and the zero plan: a file with a mistake
// must not start, deploy or open anything. Problems are sorted by their place. The name is used in messages only.
func Parse(name string, data []byte) (pipeline.Plan, []pipeline.Problem) {
	return ParseFor(name, data, Options{})
}

// Options are what a file is read with.
type Options struct {
	Most pipeline.Resources // what a step may use on this server; zero values have no bound
	// Read reads a file of the same commit, named from the top of the repository. Its error is ErrNoFile, or one that the
	// caller keeps: the file that asked for it then has a mistake. Without it, a file can use no other one.
	Read func(path string) ([]byte, error)
}

// ErrNoFile says that the commit holds no such file.
var ErrNoFile = errors.New("planfile: there is no such file")

// ParseFor is Parse, with options.
func ParseFor(name string, data []byte, o Options) (pipeline.Plan, []pipeline.Problem) {
	var m mistakes
	root := read(name, data, &m)
	if root == nil {
		return pipeline.Plan{}, m.sorted()
	}
	others := &uses{read: o.Read, m: &m}
	if !others.expand(root, nil) {
		return pipeline.Plan{}, m.sorted()
	}
	check(root, grammar(), "", &m)
	makeSense(root, &m)
	withinSense(root, o.Most, &m)
	if len(m.found) > 0 {
		return pipeline.Plan{}, m.sorted()
	}
	p := decode(root)
	p.Uses = others.files
	return p, nil
}

// place is where something stands in a file. Lines and columns start at 1; columns count characters.
type place struct {
	line, column int
	file         string // one that is used; empty for the plan itself
}

// mistakes collects what is wrong. Reading goes on after a mistake, so that people hear of several at once.
type mistakes struct {
	found []pipeline.Problem
}

func (m *mistakes) add(at place, hint, format string, args ...any) {
	p := pipeline.Problem{Path: at.file, Line: max(at.line, 1), Column: max(at.column, 1), Message: fmt.Sprintf(format, args...), Hint: hint}
	m.found = append(m.found, p)
}

func (m *mistakes) sorted() []pipeline.Problem {
	slices.SortStableFunc(m.found, func(a, b pipeline.Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	all := slices.Compact(m.found)
	if cut := len(all) - maxProblems; cut > 0 {
		last := all[maxProblems]
		last.Message, last.Hint = fmt.Sprintf("there are %d more mistakes", cut), "mend these first"
		all = append(all[:maxProblems:maxProblems], last)
	}
	return all
}
