package report

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// trace is a panic and the stacks that Go prints after it.
type trace struct {
	message []string
	stacks  bool   // the stacks have begun
	call    string // the function whose file comes next
	frames  []frame
}

type frame struct{ function, file, line string }

var (
	panicStart = regexp.MustCompile(`^(panic: |fatal error: )`)
	goroutine  = regexp.MustCompile(`^goroutine \d+ .*\[.*\]:$`)
	function   = regexp.MustCompile(`^([^\s(][^\s]*)\(.*\)$`)
	location   = regexp.MustCompile(`^\t(.+\.go):(\d+)(?: \+0x[0-9a-f]+)?$`)
)

// panicLine takes a line of a panic, and tells whether it was one.
func (b *block) panicLine(line string) bool {
	if b.trace == nil {
		if !panicStart.MatchString(line) || len(b.traces) >= 100 {
			return false
		}
		b.trace = &trace{message: []string{line}}
		b.traces = append(b.traces, b.trace)
		return true
	}
	t := b.trace
	switch {
	case !t.stacks && logged.MatchString(line):
		b.trace = nil // someone printed the word, and the test goes on
		return false
	case goroutine.MatchString(line):
		t.stacks, t.call = true, ""
	case !t.stacks && len(t.message) < 50:
		t.message = append(t.message, line)
	case strings.HasPrefix(line, "created by "):
		t.call = ""
	case location.MatchString(line):
		m := location.FindStringSubmatch(line)
		if t.call != "" && len(t.frames) < 5000 {
			t.frames = append(t.frames, frame{t.call, m[1], m[2]})
		}
		t.call = ""
	default:
		t.call = ""
		if m := function.FindStringSubmatch(line); m != nil {
			t.call = m[1]
		}
	}
	return true
}

// hasFailed tells it of a package whose last line is missing.
func (b *block) hasFailed() bool {
	return slices.ContainsFunc(b.traces, func(t *trace) bool { return t.stacks }) ||
		slices.ContainsFunc(b.order, func(t *goTest) bool { return t.result == "fail" })
}

// panics reports the panics of a package that failed, and tells which tests they explain.
func (g *goOutput) panics(b *block, pkg string) map[string]bool {
	told := map[string]bool{}
	for _, t := range b.traces {
		if !t.stacks || !b.failed {
			continue // someone printed the word
		}
		at, line, title := "", 0, "panic"
		message := t.message
		for _, f := range t.frames {
			owner, name := split(f.function)
			if _, inside := g.folder(strings.TrimSuffix(owner, "_test")); !inside {
				continue
			}
			if where, ok := g.file(owner, f.file); ok {
				if at == "" {
					at, line = where, lineNumber(f.line)
				}
				if len(message) < 70 {
					message = append(message, where+":"+f.line+": "+name)
				}
			}
			if test, _, _ := strings.Cut(name, "."); title == "panic" && strings.HasPrefix(test, "Test") {
				title = "panic in " + test
				told[test] = true
				if unnamed := b.test(test); unnamed != nil && unnamed.result == "" {
					unnamed.result = "fail"
				}
			}
		}
		if title == "panic" && pkg != "" {
			title = "panic in " + pkg
		}
		for _, test := range b.order {
			if base, _, _ := strings.Cut(test.name, "/"); told[base] {
				told[test.name] = true
			}
		}
		g.failure(at, line, title, strings.Join(message, "\n"))
	}
	return told
}

// split takes "example.com/shop/price.(*Basket).Add" apart into the package's path and the rest. The runtime writes
// dots in the last part of a path as %2e.
func split(function string) (pkg, name string) {
	slash := strings.LastIndexByte(strings.SplitN(function, "(", 2)[0], '/')
	before, after, _ := strings.Cut(function[slash+1:], ".")
	pkg = function[:slash+1] + before
	if plain, err := url.PathUnescape(pkg); err == nil {
		pkg = plain
	}
	return pkg, after
}
