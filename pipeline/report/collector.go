package report

import (
	"io/fs"
	"path"
	"strings"
)

// collector gathers findings within the limits.
type collector struct {
	limits Limits
	exists func(path string) bool
	asked  map[string]bool
	seen   map[Annotation]bool
	found  Findings
}

func newCollector(exists func(path string) bool, limits Limits) *collector {
	return &collector{limits: limits.orDefault(), exists: exists, asked: map[string]bool{}, seen: map[Annotation]bool{}}
}

// place is the first of the paths that is a file of the tree. Nothing but a clean, relative path is asked for.
func (c *collector) place(paths ...string) (string, bool) {
	for _, p := range paths {
		if p == "." || len(p) > maxPath || !fs.ValidPath(p) || strings.ContainsAny(p, "\\\n\t") || p == ".git" || strings.HasPrefix(p, ".git/") {
			continue
		}
		known, asked := c.asked[p]
		if !asked && len(c.asked) < maxAsked && c.exists != nil {
			known = c.exists(p)
			c.asked[p] = known
		}
		if known {
			return p, true
		}
	}
	return "", false
}

// failure adds one failure, with its place when that is known. The same failure twice is one.
func (c *collector) failure(at string, line int, title, message string) {
	a := Annotation{Path: at, Line: line, EndLine: line, Level: Failure, Title: oneLine(title, maxTitle), Message: c.message(message)}
	if a.Message == "" {
		a.Message = "failed without a message"
	}
	list := &c.found.Annotations
	if at == "" {
		a.Line, a.EndLine, list = 0, 0, &c.found.Unplaced
	}
	switch {
	case c.seen[a]:
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

// count takes one test into the summary.
func (c *collector) count(failed, skipped bool) {
	c.found.Summary.Tests++
	switch {
	case failed:
		c.found.Summary.Failed++
	case skipped:
		c.found.Summary.Skipped++
	}
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
