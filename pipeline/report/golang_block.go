package report

import (
	"regexp"
	"strings"
	"time"
)

// block is what the tests of one package say.
type block struct {
	tests   map[string]*goTest
	order   []*goTest
	partial map[string]string // -json: by test, lines that have not ended yet
	running []header          // plain: whose lines come now, the innermost last
	trace   *trace            // of a panic that is being printed
	traces  []*trace
	failed  bool
}

// goTest is one test and what it logged.
type goTest struct {
	name    string
	result  string // pass, fail or skip; empty while it runs
	took    time.Duration
	parent  bool // it has subtests
	entries []*entry
	open    *entry // whose further lines may come
}

// entry is one t.Log or t.Error.
type entry struct {
	file, line string
	indent     int
	message    []string
}

// header is a line that says whose lines follow: "--- FAIL: TestTotal (0.00s)" or, with -v, "=== RUN   TestTotal".
type header struct {
	indent int
	test   *goTest
}

// anywhere is the indent of a header below which any line is the test's own.
const anywhere = -1

var (
	result  = regexp.MustCompile(`^( *)--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+)s\)$`)
	running = regexp.MustCompile(`^=== (RUN|CONT|NAME|PAUSE)\s+(\S*)$`)
	logged  = regexp.MustCompile(`^( {4,})((?:[^\s:]+/)?[^\s:/]+\.go):(\d+): ?(.*)$`)
)

func (g *goOutput) newBlock() *block {
	return &block{tests: map[string]*goTest{}, partial: map[string]string{}}
}

// test is the test of a name; nil once there are too many.
func (b *block) test(name string) *goTest {
	t := b.tests[name]
	if t == nil && name != "" && len(b.tests) < maxTests {
		t = &goTest{name: name}
		b.tests[name] = t
		b.order = append(b.order, t)
	}
	return t
}

func (b *block) end(name, result string, elapsed float64) {
	if t := b.test(name); t != nil {
		t.result, t.open = result, nil
		if elapsed > 0 && elapsed < 1e7 {
			t.took = time.Duration(elapsed * float64(time.Second))
		}
		if result != "fail" {
			t.entries = nil
		}
	}
}

// say takes a line of -json, which says whose it is.
func (b *block) say(name, line string) {
	if running.MatchString(line) || result.MatchString(line) {
		b.trace = nil
		return
	}
	if b.panicLine(line) {
		return
	}
	b.test(name).log(line)
}

// plainLine takes a line of plain output. Whose it is depends on the lines before and on how far it is indented.
func (b *block) plainLine(line string) {
	if m := running.FindStringSubmatch(line); m != nil {
		b.trace, b.running = nil, nil
		if t := b.test(m[2]); t != nil && m[1] != "PAUSE" {
			b.running = []header{{anywhere, t}}
		}
		return
	}
	if m := result.FindStringSubmatch(line); m != nil {
		b.trace = nil
		b.end(m[3], strings.ToLower(m[2]), seconds(m[4]).Seconds())
		indent := len(m[1])
		for len(b.running) > 0 && b.running[len(b.running)-1].indent >= indent {
			b.running = b.running[:len(b.running)-1]
		}
		if t := b.test(m[3]); t != nil && len(b.running) < 100 {
			b.running = append(b.running, header{indent, t})
		}
		return
	}
	if b.panicLine(line) {
		return
	}
	if m := logged.FindStringSubmatch(line); m != nil {
		for i := len(b.running) - 1; i > 0 && b.running[i].indent+4 > len(m[1]); i-- {
			b.running = b.running[:i]
		}
	}
	if len(b.running) > 0 {
		b.running[len(b.running)-1].test.log(line)
	}
}

// log takes a line that the test has printed: the beginning of an entry, more of one, or something else.
func (t *goTest) log(line string) {
	if t == nil || t.result == "pass" || t.result == "skip" {
		return
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	blank := strings.TrimSpace(line) == ""
	if t.open != nil && (indent >= t.open.indent+4 || blank) {
		if len(t.open.message) < 200 {
			t.open.message = append(t.open.message, line[min(len(line), t.open.indent+4):])
		}
		return
	}
	t.open = nil
	if m := logged.FindStringSubmatch(line); m != nil && len(t.entries) < 1000 {
		t.open = &entry{file: m[2], line: m[3], indent: len(m[1]), message: []string{m[4]}}
		t.entries = append(t.entries, t.open)
	}
}

// close reports a package, now that its name is known.
func (g *goOutput) close(b *block, pkg string) {
	g.buildError()
	told := g.panics(b, pkg)
	for _, t := range b.order {
		for name := t.name; ; {
			cut := strings.LastIndexByte(name, '/')
			if cut < 0 {
				break
			}
			name = name[:cut]
			if above := b.tests[name]; above != nil {
				above.parent = true
				break
			}
		}
	}
	for _, t := range b.order {
		// A test without a result ran when its package came to its end.
		failed := t.result == "fail" || t.result == "" && b.failed
		if !t.parent {
			g.test(testID(pkg, t.name), t.took, failed, t.result == "skip")
		}
		if failed {
			g.testFailure(t, pkg, told[t.name])
		}
	}
}

// testID is the name under which a test's history is kept: packages have tests of the same names.
func testID(pkg, name string) string {
	if pkg == "" {
		return name
	}
	return pkg + "." + name
}

// testFailure reports a failed test: each entry whose file is in the tree, and with it the entries that follow and have
// no place of their own.
func (g *goOutput) testFailure(t *goTest, pkg string, told bool) {
	var lost []string
	type placed struct {
		at      string
		line    int
		message []string
	}
	var found []placed
	for _, e := range t.entries {
		if at, ok := g.file(pkg, e.file); ok {
			found = append(found, placed{at, lineNumber(e.line), e.message})
			continue
		}
		text := append([]string{e.file + ":" + e.line + ": " + e.message[0]}, e.message[1:]...)
		if len(found) > 0 {
			last := &found[len(found)-1]
			last.message = append(last.message, text...)
		} else {
			lost = append(lost, text...)
		}
	}
	for i, p := range found {
		if i == 0 {
			p.message = append(p.message, lost...)
		}
		g.failure(p.at, p.line, t.name, strings.Join(p.message, "\n"))
	}
	if len(found) == 0 && !told && (len(lost) > 0 || !t.parent) {
		g.failure("", 0, t.name, strings.Join(lost, "\n"))
	}
}
