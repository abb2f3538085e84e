package webhook

import (
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/conveyor-ci/conveyor/deploy"
)

const (
	maxCommands = 10       // that one comment may hold
	maxComment  = 16 << 10 // bytes of a comment in which commands are looked for
)

// worthALook is how a line begins that may be a command. Most comments have none, and are not parsed.
var worthALook = regexp.MustCompile(`(?m)^/[A-Za-z]`)

// ParseComment finds the commands of a comment: lines of its top-level paragraphs that begin with a slash. What stands
// in code, quotes, lists, tables, headings or HTML is talk about commands, and never one.
//
// In a comment longer than 16 KiB nothing is looked for: some texts take a Markdown parser a time that grows with the
// square of their length, and everyone may comment.
func ParseComment(body string) (commands []deploy.Command) {
	if len(body) > maxComment {
		return nil
	}
	body = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body)
	if !worthALook.MatchString(body) {
		return nil
	}
	source := []byte(body)
	markdown := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Footnote)) // as GitHub has them
	inside := 0                                                                            // how many HTML elements are open
	for n := markdown.Parser().Parse(text.NewReader(source)).FirstChild(); n != nil; n = n.NextSibling() {
		if n.Kind() == ast.KindParagraph && inside == 0 {
			for _, line := range plainLines(n, source) {
				c, ok := parseLine(line)
				if !ok {
					continue
				}
				if commands = append(commands, c); len(commands) == maxCommands {
					return commands
				}
			}
		}
		inside = max(0, inside+opened(n, source))
	}
	return commands
}

// plainLines are the lines of a paragraph that begin with a slash in its own text: not in the middle of a code span, a
// link or an emphasis that began on a line before, and not behind an indent.
func plainLines(paragraph ast.Node, source []byte) (lines []string) {
	for i := range paragraph.Lines().Len() {
		at := paragraph.Lines().At(i)
		if at.Len() == 0 || source[at.Start] != '/' || at.Start > 0 && source[at.Start-1] != '\n' {
			continue
		}
		for n := paragraph.FirstChild(); n != nil; n = n.NextSibling() {
			if t, ok := n.(*ast.Text); ok && t.Segment.Start <= at.Start && at.Start < t.Segment.Stop {
				lines = append(lines, strings.TrimRight(string(at.Value(source)), " \t\n"))
				break
			}
		}
	}
	return lines
}

var (
	remark  = regexp.MustCompile(`(?s)<!--.*?-->`)
	tagForm = regexp.MustCompile(`<(/?)([A-Za-z][A-Za-z0-9-]*)[^<>]*?(/?)>`)
	void    = regexp.MustCompile(`^(?i:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)$`)
)

// opened is how many HTML elements a block opens more than it closes. Markdown below <details> or <blockquote> is shown
// inside of it, and is no more a command than a quote is. An element that is never closed hides all commands after it:
// whoever is in doubt writes a new comment.
func opened(block ast.Node, source []byte) (n int) {
	_ = ast.Walk(block, func(node ast.Node, entering bool) (ast.WalkStatus, error) { // our own function never fails
		if !entering {
			return ast.WalkContinue, nil
		}
		var html strings.Builder
		switch node := node.(type) {
		case *ast.HTMLBlock:
			for i := range node.Lines().Len() {
				at := node.Lines().At(i)
				html.Write(at.Value(source))
			}
			if node.HasClosure() {
				html.Write(node.ClosureLine.Value(source))
			}
		case *ast.RawHTML:
			for i := range node.Segments.Len() {
				at := node.Segments.At(i)
				html.Write(at.Value(source))
			}
		}
		for _, tag := range tagForm.FindAllStringSubmatch(remark.ReplaceAllString(html.String(), ""), -1) {
			switch {
			case tag[3] == "/" || void.MatchString(tag[2]):
			case tag[1] == "/":
				n--
			default:
				n++
			}
		}
		return ast.WalkContinue, nil
	})
	return n
}
