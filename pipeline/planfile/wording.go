package planfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wording says which texts are allowed at a place.
type wording struct {
	pattern string   // a regular expression that JavaScript reads as Go does; empty allows everything
	never   string   // a regular expression of what is reserved
	oneOf   []string // the only words, in place of a pattern
	longest int      // characters, 0 stands for maxWord
	lines   bool     // may have several lines
	says    string   // what to write, for people
	taken   string   // why a reserved text is reserved
	check   func(text string) (message, hint string)

	compiled map[string]*regexp.Regexp
}

const maxWord = 512

// ok reports a text that is not allowed, and tells whether it is.
func (w *wording) ok(at place, subject, word string, m *mistakes) bool {
	message, hint := w.complaint(word)
	if message != "" {
		m.add(at, hint, "%s %s", subject, message)
	}
	return message == ""
}

func (w *wording) complaint(word string) (message, hint string) {
	switch {
	case strings.TrimSpace(word) == "" && w.needsText():
		return "is empty", w.says
	case utf8.RuneCountInString(word) > w.limit():
		return fmt.Sprintf("is longer than %d characters", w.limit()), w.says
	case strings.ContainsFunc(word, w.control):
		return "holds control characters or line breaks", "write it on one line, without control characters"
	case len(w.oneOf) > 0 && !slices.Contains(w.oneOf, word):
		if meant := near(word, w.oneOf); meant != "" {
			return fmt.Sprintf("cannot be %s", quote(word)), fmt.Sprintf("did you mean %s?", quote(meant))
		}
		return fmt.Sprintf("cannot be %s", quote(word)), w.says
	}
	if w.check != nil {
		if message, hint := w.check(word); message != "" {
			return message, hint
		}
	}
	switch {
	case w.never != "" && w.match(w.never, word):
		return fmt.Sprintf("cannot be %s: %s", quote(word), w.taken), "choose another name"
	case w.pattern != "" && !w.match(w.pattern, word):
		return fmt.Sprintf("cannot be %s", quote(word)), w.says
	}
	return "", ""
}

// match keeps the compiled pattern: a file may hold thousands of texts of one wording.
func (w *wording) match(pattern, word string) bool {
	if w.compiled == nil {
		w.compiled = map[string]*regexp.Regexp{}
	}
	if w.compiled[pattern] == nil {
		w.compiled[pattern] = regexp.MustCompile(pattern)
	}
	return w.compiled[pattern].MatchString(word)
}

func (w *wording) needsText() bool {
	return w.pattern != "" || w.check != nil || len(w.oneOf) > 0 || w.says != ""
}

func (w *wording) limit() int {
	if w.longest > 0 {
		return w.longest
	}
	return maxWord
}

func (w *wording) control(r rune) bool {
	if w.lines && (r == '\n' || r == '\t') {
		return false
	}
	return unicode.IsControl(r)
}

// quote puts a text from the file into a message: on one line, without control characters, not endless.
func quote(s string) string { return strconv.Quote(shorten(s, 60)) }

// shorten cuts a text at a whole character and replaces what a terminal might obey.
func shorten(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
