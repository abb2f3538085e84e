package github

import "strings"

const (
	maxLiteral = 500      // runes; a title, a name, a line of a message
	breaker    = "\u200b" // seen by nobody, and no part of any mention, reference or address
)

// Literal is text from outside made safe to stand inside a line of Markdown, a table cell included: it shows as it was
// written, on one line and not endlessly, and is nothing but text. It mentions nobody, refers to nothing, links nowhere.
//
// Escaping alone is not enough for that: GitHub finds mentions, references and addresses in the text that is left after
// the Markdown has been read, entities and escapes undone. So those are also broken by a character without width.
func Literal(text string) string {
	var b strings.Builder
	line := []rune(strings.Join(strings.Fields(visible(text)), " "))
	if len(line) > maxLiteral {
		line = append(line[:maxLiteral-1], '…')
	}
	for i, r := range line {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '|':
			b.WriteString("&#124;")
		case r == '$': // mathematics
			b.WriteString("&#36;" + breaker)
		case strings.ContainsRune("\\`*_{}[]()+-.!~=\"'^", r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
		if breaks(line, i) {
			b.WriteString(breaker)
		}
	}
	return b.String()
}

// breaks reports whether the rune at i is followed by a breaker: @name, #1, ://, www., GH-1, a@b and :emoji:.
func breaks(line []rune, i int) bool {
	switch line[i] {
	case '@', '＠', '#', '＃', ':':
		return true
	case 'w', 'W': // www.
		return i+1 < len(line) && line[i+1] == '.'
	case '-': // GH-1 and Jira-like references
		return i > 0 && i+1 < len(line) && line[i+1] >= '0' && line[i+1] <= '9'
	}
	return false
}

// Block is text from outside as a block of code: it keeps its lines, and nothing in it can end the block. It must begin
// on a line of its own. Like Literal it mentions nobody, as GitHub looks for nothing inside of code.
func Block(text string) string {
	text = strings.TrimRight(visible(text), "\n")
	longest, run := 2, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", min(longest, 50)+1)
	if longest > 50 { // nobody writes that for a reason
		text = strings.ReplaceAll(text, "`", "'")
	}
	return fence + "text\n" + text + "\n" + fence + "\n"
}
