package report

import (
	"path"
	"regexp"
	"strings"
)

// build is the part of an output in which the compiler or vet speaks.
type build struct {
	pkg     string // of the header; empty outside
	file    string
	line    string
	message []string
}

var (
	buildHeader = regexp.MustCompile(`^# \[?([^\s\]]+)\]?(?: \[[^\]]*\])?$`)
	buildError  = regexp.MustCompile(`^(?:vet: )?(\.?[^\s:]+\.(?:go|s|c|h|cgo)):(\d+)(?::\d+)?: (.+)$`)
)

// buildLine takes a line of the compiler's output, and tells whether it was one.
func (g *goOutput) buildLine(line string) bool {
	if m := buildHeader.FindStringSubmatch(line); m != nil {
		g.buildError()
		g.build = build{pkg: m[1]}
		return true
	}
	if g.build.pkg == "" {
		return false
	}
	if m := buildError.FindStringSubmatch(line); m != nil {
		g.buildError()
		g.build.file, g.build.line, g.build.message = m[1], m[2], []string{m[3]}
		return true
	}
	if strings.HasPrefix(line, "\t") && g.build.file != "" && len(g.build.message) < 50 {
		g.build.message = append(g.build.message, line)
		return true
	}
	g.buildError()
	g.build = build{}
	return strings.HasPrefix(line, "too many errors")
}

// buildError reports the error that has been read. The compiler names files relative to the folder in which go was
// called; the package tells more.
func (g *goOutput) buildError() {
	b := &g.build
	if b.file == "" {
		return
	}
	at, ok := g.file(b.pkg, b.file)
	if !ok {
		at, ok = g.place(path.Clean(b.file))
	}
	message := strings.Join(b.message, "\n")
	if !ok {
		message = b.file + ":" + b.line + ": " + message
	}
	g.failure(at, lineNumber(b.line), b.pkg+" does not build", message)
	b.file, b.message = "", nil
}
