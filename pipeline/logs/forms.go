package logs

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
)

// shortest is the length in bytes below which a secret cannot be masked without tearing holes into everything else.
const shortest = 4

// longest keeps the bytes that wait for the rest of a secret, and the work of building the search, within bounds.
const longest = 64 << 10

// Validate tells whether the secrets can be masked at all. Ask it when a secret is saved, not when the step runs. The
// error names a secret by its place, never by its value.
func Validate(secrets []string) error {
	for i, s := range secrets {
		if len(strings.TrimSpace(s)) < shortest {
			return fmt.Errorf("logs: secret %d is too short to be masked; give it at least %d characters", i+1, shortest)
		}
		if len(s) > longest {
			return fmt.Errorf("logs: secret %d is too long to be masked; keep it below %d bytes", i+1, longest)
		}
	}
	return nil
}

// forms lists every text that gives one of the secrets away, without repetition: the value and what common tools make
// of it, for the whole and, when it has several lines, for each of them.
func forms(secrets []string) []string {
	seen := make(map[string]bool)
	var all []string
	add := func(form string) {
		if len(form) >= shortest && !seen[form] {
			seen[form] = true
			all = append(all, form)
		}
	}
	for _, s := range secrets {
		addForms(s, add)
		if trimmed := strings.TrimSpace(s); trimmed != s {
			addForms(trimmed, add)
		}
		if strings.ContainsAny(s, "\r\n") {
			// Programs print a key line by line, indented, or with a time before each line.
			for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
				if line = strings.TrimSpace(line); len(line) >= shortest {
					addForms(line, add)
				}
			}
		}
	}
	return all
}

func addForms(s string, add func(string)) {
	add(s)
	add(reversed(s))
	add(hex.EncodeToString([]byte(s)))
	add(strings.ToUpper(hex.EncodeToString([]byte(s))))
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, once := range base64Forms(e, s) {
			add(once)
			for _, twice := range base64Forms(e, once) { // "| base64 | base64" is how masks were dodged before
				add(twice)
			}
		}
	}
	urlForms(s, add)
	jsonForms(s, add)
	shellForms(s, add)
}

// base64Forms are the texts that stand for s wherever it starts within what was encoded. The characters at its edges
// that also depend on its neighbours are left out; each tells at most four bits. Where s is the end of what was
// encoded, the last character depends on s alone, and is in.
func base64Forms(e *base64.Encoding, s string) []string {
	var all []string
	bare := e.WithPadding(base64.NoPadding)
	for before, edge := range []int{0, 2, 3} { // bytes before s in its group → characters they have a part in
		encoded := bare.EncodeToString(append(make([]byte, before), s...))[edge:]
		if (before+len(s))%3 == 0 {
			all = append(all, encoded)
			continue
		}
		all = append(all, encoded[:len(encoded)-1], encoded)
		all = append(all, encoded+strings.Repeat("=", 3-(before+len(s))%3))
	}
	return all
}

func urlForms(s string, add func(string)) {
	component := url.QueryEscape(s)
	spaced := strings.ReplaceAll(component, "+", "%20")
	// JavaScript leaves more characters alone than Go does.
	script := strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(spaced)
	whole := strings.NewReplacer("%3B", ";", "%2C", ",", "%2F", "/", "%3F", "?", "%3A", ":", "%40", "@", "%26", "&",
		"%3D", "=", "%2B", "+", "%24", "$", "%23", "#").Replace(script)
	for _, form := range []string{component, spaced, script, whole, url.PathEscape(s), (&url.URL{Path: s}).EscapedPath(),
		url.UserPassword("", s).String()[1:]} {
		add(form)
		add(lowerEscapes(form))
	}
}

// lowerEscapes writes %2F as %2f, as many tools do.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

func jsonForms(s string, add func(string)) {
	for _, html := range []bool{true, false} {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(s); err != nil {
			continue // a string always encodes
		}
		form := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
		add(form)
		add(strings.ReplaceAll(form, "/", `\/`))
		add(asciiOnly(form))
		add(strings.ReplaceAll(strings.ReplaceAll(form, `\`, `\\`), `"`, `\"`)) // JSON inside JSON
	}
}

// asciiOnly writes other characters as \u00e9, as Python's and Ruby's encoders do.
func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// shellForms are how shells print a word that must be quoted, without the outer quotes: with -x, with declare -p, with
// printf %q.
func shellForms(s string, add func(string)) {
	add(strings.ReplaceAll(s, `'`, `'\''`))
	add(strings.ReplaceAll(s, `'`, `'"'"'`))
	add(escapeAny(s, "\"\\$`"))
	add(escapeAny(s, " \t!\"#$&'()*,;<>?[\\]^`{|}~"))                                                           // bash's %q, ~ and # wherever they stand
	add(escapeAny(s, " \t!\"$&'()*,;<>?[\\]^`{|}"))                                                             // and where they need no escape
	add(strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "\x1b", `\E`).Replace(s)) // $'…'
}

func escapeAny(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func reversed(s string) string {
	b := []rune(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}
