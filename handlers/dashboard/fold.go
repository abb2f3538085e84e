package dashboard

import (
	"html/template"
	"regexp"
	"strings"

	terminal "github.com/buildkite/terminal-to-html/v3"
)

// A line that begins a group of lines, as GitHub and Buildkite have it, and one that ends it. What go test and diff print
// begins with the same dashes and is none. The script's lines.js folds in the same way.
var (
	groupStart  = regexp.MustCompile(`^(?:::group::|##\[group\])(.*)$|^(---|\+\+\+) (.+)$`)
	noGroup     = regexp.MustCompile(`^(?:(?:FAIL|PASS|SKIP|BENCH):|[ab]/|/dev/null)`)
	groupEnd    = regexp.MustCompile(`^(?:::endgroup::|##\[endgroup\])`)
	coloursOnly = regexp.MustCompile(`\x1b\[[0-9;:]{0,100}m`)
)

// folded is a log's text as markup: groups can be opened and closed, colours are as a terminal has them, and all else is
// text. It is for pages without scripts.
func folded(text string) template.HTML {
	var b strings.Builder
	var part []string
	open := false
	flush := func() {
		if len(part) > 0 {
			b.WriteString("<pre>" + coloured(strings.Join(part, "\n")) + "</pre>")
		}
		part = nil
	}
	end := func() {
		flush()
		if open {
			b.WriteString("</details>")
		}
		open = false
	}
	dashes := false
	for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n") {
		line = overwritten(line)
		bare := escapes.ReplaceAllString(line, "")
		m := groupStart.FindStringSubmatch(bare)
		switch {
		case m != nil && (m[2] == "" || !noGroup.MatchString(m[3])):
			end()
			title := strings.TrimSpace(plain(m[1] + m[3]))
			if title == "" {
				title = "group"
			}
			b.WriteString(map[bool]string{true: "<details open>", false: "<details>"}[m[2] == "+++"])
			b.WriteString("<summary>" + template.HTMLEscapeString(title) + "</summary>")
			open, dashes = true, m[2] != ""
		case open && !dashes && groupEnd.MatchString(bare):
			end()
		default:
			part = append(part, line)
		}
	}
	end()
	return template.HTML(b.String()) // every part of it was escaped here or by the terminal
}

// overwritten is a line as it is seen when a progress bar has written it several times.
func overwritten(line string) string {
	if at := strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r'); at >= 0 {
		return line[at+1:]
	}
	return strings.TrimRight(line, "\r")
}

// coloured is text as markup with colours. Nothing but colours reaches the terminal: it knows links, images and moves of the
// cursor, too, and those are left out.
func coloured(text string) string {
	all := strings.Split(strings.ToValidUTF8(text, "\ufffd"), "\n")
	for i, line := range all {
		var b strings.Builder
		from := 0
		for _, at := range coloursOnly.FindAllStringIndex(line, -1) {
			b.WriteString(plain(escapes.ReplaceAllString(strings.ReplaceAll(line[from:at[0]], "\t", "    "), "")))
			b.WriteString(line[at[0]:at[1]])
			from = at[1]
		}
		b.WriteString(plain(escapes.ReplaceAllString(strings.ReplaceAll(line[from:], "\t", "    "), "")))
		all[i] = b.String()
	}
	return terminal.Render([]byte(strings.Join(all, "\n")))
}
