package report

import (
	"io/fs"
	"path"
	"strings"
)

// collector gathers findings within the limits.
type collector struct {
	limits Limits
	tree   Tree
	asked  map[string]bool
	ending map[string]string
	seen   map[Annotation]bool
	found  Findings
}

func newCollector(tree Tree, limits Limits) *collector {
	return &collector{limits: limits.orDefault(), tree: tree, asked: map[string]bool{}, ending: map[string]string{}, seen: map[Annotation]bool{}}
}

// place is the first of the paths that is a file of the tree. Nothing but a clean, relative path is asked for.
func (c *collector) place(paths ...string) (string, bool) {
	for _, p := range paths {
		if !sane(p) {
			continue
		}
		known, asked := c.asked[p]
		if !asked && len(c.asked) < maxAsked && c.tree != nil {
			known = c.tree.Has(p)
			c.asked[p] = known
		}
		if known {
			return p, true
		}
	}
	return "", false
}

// sane reports whether a path can be one of the tree's at all.
func sane(p string) bool {
	return p != "." && len(p) <= maxPath && fs.ValidPath(p) && !strings.ContainsAny(p, "\\\n\t") && p != ".git" && !strings.HasPrefix(p, ".git/")
}

// placeAlike is place, and where none of the paths is a file of the tree, the only file that one of them can mean by its
// end.
func (c *collector) placeAlike(paths ...string) (string, bool) {
	if at, ok := c.place(paths...); ok || c.tree == nil {
		return at, ok
	}
	for _, p := range paths {
		if !sane(p) {
			continue
		}
		at, asked := c.ending[p]
		if !asked && len(c.ending) < maxAsked {
			at, _ = c.tree.Ending(p)
			c.ending[p] = at
		}
		if at != "" && sane(at) {
			return at, true
		}
	}
	return "", false
}

// failure adds one failure, with its place when that is known. The same failure twice is one.
func (c *collector) failure(at string, line int, title, message string) {
	c.note(Failure, at, line, title, message)
}

// note adds what is to be said of a line, at one of the levels.
func (c *collector) note(level, at string, line int, title, message string) {
	a := Annotation{Path: at, Line: line, EndLine: line, Level: level, Title: oneLine(title, maxTitle), Message: c.message(message)}
	if a.Message == "" {
		a.Message = "failed without a message"
	}
	list := &c.found.Annotations
	if at == "" {
		a.Line, a.EndLine, list = 0, 0, &c.found.Unplaced
	}
	known := c.seen[a]
	if at == "" && !known {
		c.found.Dropped++
	}
	switch {
	case known:
	case len(*list) >= c.limits.Annotations:
		c.found.Cut++
	default:
		c.seen[a] = true
		*list = append(*list, a)
	}
}

// message bounds the lines and the whole of a message.
func (c *collector) message(s string) string {
	s = cut(s, 4*c.limits.Message) // nothing beyond it can be shown; what follows costs less
	var b strings.Builder
	for line := range strings.SplitSeq(strings.Trim(harmless(s), "\n"), "\n") {
		if b.Len() > c.limits.Message {
			break
		}
		b.WriteString(cut(strings.TrimRight(line, " \t"), c.limits.Line))
		b.WriteString("\n")
	}
	return cut(strings.TrimRight(b.String(), "\n"), c.limits.Message)
}

// lineNumber reads a line's number. What no file can have is line 1: the file is still right.
func lineNumber(digits string) int {
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' || n > maxLine {
			return 1
		}
		n = n*10 + int(d-'0')
	}
	if n < 1 || n > maxLine {
		return 1
	}
	return n
}

// inTree are the paths that an absolute path of the sandbox can mean in the tree: where the workspace stood there is
// not known. Files of tools and of libraries mean none.
func inTree(file string) (paths []string) {
	file = strings.TrimPrefix(file, "file://")
	clean := path.Clean(file)
	for _, foreign := range []string{"/usr/", "/opt/", "/lib/", "/lib64/", "/nix/", "/proc/", "/dev/"} {
		if strings.HasPrefix(clean, foreign) {
			return nil
		}
	}
	for _, foreign := range []string{"node_modules", "site-packages", "dist-packages", ".venv", "internal:"} {
		if strings.Contains(clean, foreign) {
			return nil
		}
	}
	if !strings.HasPrefix(clean, "/") {
		return []string{clean}
	}
	for rest := strings.TrimLeft(clean, "/"); rest != "" && len(paths) < 20; {
		paths = append(paths, rest)
		_, after, more := strings.Cut(rest, "/")
		if !more {
			break
		}
		rest = after
	}
	return paths
}
