package report

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escape is a terminal's escape sequence: colours, moves, titles. It never reaches over a "<", so that a sequence that
// was cut off takes no part of an XML tag with it.
var escape = regexp.MustCompile(`\x1b(?:\[[0-9;:?]*[!-/]?[@-~]|\][^\x07\x1b\n<]{0,500}(?:\x07|\x1b\\)|[@-Z\\-_])`)

// harmless makes text valid UTF-8 without escape sequences, control characters and marks that turn the direction of
// writing around. Line breaks become \n, tabs stay.
func harmless(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.Contains(s, "\r") {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
	}
	if strings.Contains(s, "\x1b") {
		s = escape.ReplaceAllString(s, "")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff', r >= '\ufffe' && r <= '\uffff':
			return -1
		}
		return r
	}, s)
}

// cut shortens text to a number of bytes, at a whole character, and shows that it did.
func cut(s string, most int) string {
	const mark = "…"
	if len(s) <= most {
		return s
	}
	if most < len(mark) {
		return ""
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// oneLine is text for a title.
func oneLine(s string, most int) string {
	return cut(strings.Join(strings.Fields(harmless(s)), " "), most)
}
