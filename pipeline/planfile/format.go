package planfile

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// maxShown is how many characters of a source line are shown, around the mistake.
const maxShown = 100

// Format writes problems for the terminal: file, line and column, what is wrong, the line itself and a mark below the
// place. Control characters of the file never reach the terminal.
func Format(name string, src []byte, problems []pipeline.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		file, other := name, p.Path != "" && !strings.HasSuffix(filepath.ToSlash(name), p.Path)
		if other { // its lines are not at hand
			file = p.Path
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", file, p.Line, p.Column, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(&b, "; %s", p.Hint)
		}
		b.WriteString("\n")
		if line, caret := excerpt(src, p); !other && strings.TrimSpace(line) != "" {
			fmt.Fprintf(&b, "%6d | %s\n%6s | %s^\n", p.Line, line, "", strings.Repeat(" ", caret))
		}
	}
	return b.String()
}

// excerpt is the part of the line that is shown, and how far the mark is indented below it.
func excerpt(src []byte, p pipeline.Problem) (line string, caret int) {
	line = strings.ToValidUTF8(strings.TrimPrefix(lineOf(src, p.Line), "\ufeff"), "\ufffd")
	runes := []rune(strings.Map(shown, line))
	caret = min(max(p.Column-1, 0), len(runes))
	if len(runes) <= maxShown {
		return string(runes), caret
	}
	from := min(max(caret-maxShown/2, 0), len(runes)-maxShown)
	before, after := "", ""
	if from > 0 {
		before = "…"
	}
	if from+maxShown < len(runes) {
		after = "…"
	}
	return before + string(runes[from:from+maxShown]) + after, caret - from + utf8.RuneCountInString(before)
}

// shown replaces what a terminal might obey or draw with another width.
func shown(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsControl(r), !unicode.IsPrint(r) && r != ' ':
		return '\ufffd'
	}
	return r
}
