package github

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cutBytes is s in valid UTF-8 and at most n bytes, ending in "…" when something is missing. GitHub counts bytes in some
// places and characters in others; bytes are the smaller measure. https://github.com/github/docs/issues/35252
func cutBytes(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return boundary(s, n-len("…")) + "…"
}

func boundary(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// cutMarkdown is cutBytes for a whole text: it ends with a sentence, outside of any code block that was cut through.
func cutMarkdown(s string, n int) string {
	const more = "\n\n… the rest is cut off here."
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) <= n {
		return s
	}
	s = boundary(s, n-len(more)-64)
	if fence := openFence(s); fence != "" {
		s += "\n" + fence
	}
	return s + more
}

// openFence is what closes the code block that s ends in; empty when it ends in none.
func openFence(s string) (open string) {
	for line := range strings.SplitSeq(s, "\n") {
		text := strings.TrimLeft(line, " ")
		if len(line)-len(text) > 3 {
			continue
		}
		mark := fenceMark(text)
		switch {
		case open == "":
			open = cutFence(mark)
		case len(mark) >= len(open) && mark[0] == open[0] && strings.TrimSpace(text[len(mark):]) == "":
			open = ""
		}
	}
	return open
}

func fenceMark(text string) string {
	for _, c := range []string{"`", "~"} {
		if rest := strings.TrimLeft(text, c); len(text)-len(rest) >= 3 {
			return text[:len(text)-len(rest)]
		}
	}
	return ""
}

// cutFence keeps the closing mark small enough for the room that cutMarkdown leaves; a longer opening is no code of ours.
func cutFence(mark string) string { return mark[:min(len(mark), 60)] }

// visible takes out what a person cannot see but a page obeys: control characters other than line breaks and tabs, and
// the format characters that reorder or hide text. Joiners stay, which some scripts and emoji need.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d':
			return r
		case r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case unicode.Is(unicode.C, r) || r == '\u034f' || r == '\u115f' || r == '\u1160' || r == '\u3164' || r == '\uffa0':
			return -1
		}
		return r
	}, strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n"))
}
