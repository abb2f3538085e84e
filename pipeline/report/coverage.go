package report

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// Coverage says of lines of the tree whether a test has run them. Several reports are added up: a line that one of them has
// seen run is covered.
type Coverage struct {
	files   map[string]map[uint32]bool
	Lines   int // that can be covered
	Covered int
	Outside int  // files that are not in the tree, and do not count
	Cut     bool // there were more lines than are remembered
}

// maxCovered is how many lines are remembered.
const maxCovered = 2_000_000

// Add takes one more report's coverage in.
func (c *Coverage) Add(more *Coverage) {
	if more == nil {
		return
	}
	c.Outside += more.Outside
	c.Cut = c.Cut || more.Cut
	for at, lines := range more.files {
		for line, hit := range lines {
			c.line(at, line, hit)
		}
	}
}

func (c *Coverage) line(at string, line uint32, hit bool) {
	lines := c.files[at]
	was, known := lines[line]
	switch {
	case known && (was || !hit):
		return
	case !known && c.Lines >= maxCovered:
		c.Cut = true
		return
	case lines == nil:
		lines = map[uint32]bool{}
		if c.files == nil {
			c.files = map[string]map[uint32]bool{}
		}
		c.files[at] = lines
	}
	lines[line] = hit
	if !known {
		c.Lines++
	}
	if hit {
		c.Covered++
	}
}

// Range is lines of a file, both ends in it.
type Range struct{ From, To int }

// Of counts those among the changed lines of a file that can be covered, and names those that no test has run.
func (c *Coverage) Of(changed map[string][]Range) (lines, covered int, missed map[string][]Range) {
	missed = map[string][]Range{}
	for at, ranges := range changed {
		known := c.files[at]
		if len(known) == 0 {
			continue
		}
		var not []int
		for line, hit := range known {
			if !slices.ContainsFunc(ranges, func(r Range) bool { return r.From <= int(line) && int(line) <= r.To }) {
				continue
			}
			lines++
			if hit {
				covered++
			} else {
				not = append(not, int(line))
			}
		}
		if slices.Sort(not); len(not) > 0 {
			missed[at] = together(not)
		}
	}
	return lines, covered, missed
}

// together makes ranges of sorted lines. A line between two of them, such as a blank one, is no reason for a second range.
func together(lines []int) (all []Range) {
	for _, line := range lines {
		if n := len(all); n > 0 && line <= all[n-1].To+2 {
			all[n-1].To = line
		} else {
			all = append(all, Range{line, line})
		}
	}
	return all
}

// Paths are the files of the tree that it speaks of, in order.
func (c *Coverage) Paths() []string { return slices.Sorted(maps.Keys(c.files)) }

// coverage is the reading of one report. The file that its lines belong to is found once.
type coverage struct {
	*collector
	at    string // the file that is open; empty when it is not in the tree
	roots []string
}

func newCoverage(tree Tree) *coverage {
	c := &coverage{collector: newCollector(tree, Limits{})}
	c.found.Coverage = &Coverage{}
	return c
}

// open begins a file. The folders that the report names its files below may be those of the tree, or of a machine.
func (c *coverage) open(file string) {
	c.at = ""
	if file = strings.ReplaceAll(file, `\`, "/"); file == "" || len(file) > maxPath {
		return
	}
	paths := inTree(file)
	for _, root := range c.roots {
		if !strings.HasPrefix(file, "/") {
			paths = append(paths, inTree(path.Join(root, file))...)
		}
	}
	if at, ok := c.placeAlike(paths...); ok {
		c.at = at
	} else {
		c.found.Coverage.Outside++
	}
}

func (c *coverage) line(number string, hit bool) {
	if c.at == "" || number == "" {
		return
	}
	n := 0
	for _, d := range number {
		if d < '0' || d > '9' || n > maxLine {
			return
		}
		n = n*10 + int(d-'0')
	}
	if n >= 1 && n <= maxLine {
		c.found.Coverage.line(c.at, uint32(n), hit)
	}
}

// some reports whether a count is more than nothing. Some tools write it as a fraction.
func some(count string) bool {
	return strings.Trim(count, "0.") != "" && !strings.HasPrefix(count, "-")
}
