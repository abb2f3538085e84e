package report

import (
	"encoding/json"
	"io"
	"path"
	"regexp"
	"strings"
)

// Go reads what `go test` printed: plain, with -v, or with -json, errors of the build among it. module is the module's
// path; a file is looked for in the folder that its package has below the top of the tree. Without a tree
// no place is known.
func Go(r io.Reader, module string, tree Tree, limits Limits) (Findings, error) {
	g := goOutput{collector: newCollector(tree, limits), module: strings.TrimSuffix(module, "/"), blocks: map[string]*block{}}
	text, err := g.read(r)
	if err != nil {
		return Findings{}, err
	}
	g.plain = g.newBlock()
	for line := range strings.SplitSeq(text, "\n") {
		if e, ok := event(line); ok {
			g.event(e)
		} else {
			g.line(line)
		}
	}
	g.plain.failed = g.plain.hasFailed()
	g.close(g.plain, "")
	for _, name := range g.order {
		g.flush(name)
		g.close(g.blocks[name], name)
	}
	return g.found, nil
}

// goOutput is the reading of one output.
type goOutput struct {
	*collector
	module string
	plain  *block            // plain output: of the package whose end has not come yet
	blocks map[string]*block // -json: by package
	order  []string
	build  build
}

// testEvent is one line of -json, https://pkg.go.dev/cmd/test2json.
type testEvent struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

func event(line string) (e testEvent, ok bool) {
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		return e, false
	}
	return e, e.Action != ""
}

const maxPackages = 5_000

func (g *goOutput) event(e testEvent) {
	e.Output = harmless(e.Output)
	if e.Action == "build-output" {
		g.line(strings.TrimSuffix(e.Output, "\n"))
		return
	}
	b := g.blocks[e.Package]
	if b == nil {
		if len(g.order) >= maxPackages {
			return
		}
		b = g.newBlock()
		g.blocks[e.Package] = b
		g.order = append(g.order, e.Package)
	}
	switch e.Action {
	case "run":
		b.test(e.Test)
	case "output":
		b.output(e.Test, e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			b.end(e.Test, e.Action, e.Elapsed)
		} else {
			b.failed = e.Action == "fail"
		}
	}
}

// maxPieces is how many bytes of a line that comes in pieces are kept; the end of a longer one is lost.
const maxPieces = 8 << 10

// output takes printed text of -json, where a line may come in pieces.
func (b *block) output(test, text string) {
	before := b.partial[test]
	if len(before) < maxPieces {
		text = before + text
	} else if _, after, ended := strings.Cut(text, "\n"); ended {
		text = before + "\n" + after
	} else {
		return
	}
	if !strings.HasSuffix(text, "\n") {
		b.partial[test] = text
		return
	}
	delete(b.partial, test)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		b.say(test, line)
	}
}

// flush takes the lines that never ended.
func (g *goOutput) flush(pkg string) {
	for test, text := range g.blocks[pkg].partial {
		g.blocks[pkg].say(test, text)
	}
}

// trailer ends a package's plain output: "FAIL\texample.com/shop/price\t0.031s", "ok  \t…", "?   \t…".
var trailer = regexp.MustCompile(`^(ok  |FAIL|\?   )\t(\S+)(?:\s.*)?$`)

// line takes one line of plain output.
func (g *goOutput) line(line string) {
	if g.buildLine(line) {
		return
	}
	if m := trailer.FindStringSubmatch(line); m != nil {
		g.plain.failed = m[1] == "FAIL"
		g.close(g.plain, m[2])
		g.plain = g.newBlock()
		return
	}
	g.plain.plainLine(line)
}

// folder is a package's folder in the tree.
func (g *goOutput) folder(pkg string) (string, bool) {
	if g.module == "" {
		return "", false
	}
	if pkg == g.module {
		return "", true
	}
	return strings.CutPrefix(pkg, g.module+"/")
}

// file is where a file of a package stands in the tree. An external test package has the folder of its package.
func (g *goOutput) file(pkg, file string) (string, bool) {
	base := path.Base(file)
	if folder, ok := g.folder(pkg); ok {
		if at, ok := g.place(path.Join(folder, base)); ok {
			return at, true
		}
	}
	if inner, external := strings.CutSuffix(pkg, "_test"); external {
		if folder, ok := g.folder(inner); ok {
			return g.place(path.Join(folder, base))
		}
	}
	return "", false
}
