package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// colour is an escape sequence whose first character is written as a reference.
var colour = regexp.MustCompile(`&#(?:x0*1[bB]|0*27);\[[0-9;:?]*[A-Za-z]`)

var reference = regexp.MustCompile(`&#(x[0-9A-Fa-f]{1,6}|[0-9]{1,7});`)

// withoutIllegal drops references to characters that XML does not allow. Tests print colours, and their runners write
// them into the report as they are; without this the whole report would be lost.
func withoutIllegal(text string) string {
	if !strings.Contains(text, "&#") {
		return text
	}
	return reference.ReplaceAllStringFunc(colour.ReplaceAllString(text, ""), func(ref string) string {
		digits, base := ref[2:len(ref)-1], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseInt(digits, base, 32)
		if err != nil || n < 0x20 && n != '\t' && n != '\n' && n != '\r' || n >= 0xD800 && n <= 0xDFFF || n == 0xFFFE || n == 0xFFFF || n > 0x10FFFF {
			return ""
		}
		return ref
	})
}

// maxTag is how many bytes a tag with its attributes may have. The XML parser needs many times that in memory.
const maxTag = 1 << 20

// bounded refuses XML with a tag that is longer than that.
func bounded(text string) error {
	for {
		start := strings.IndexByte(text, '<')
		if start < 0 {
			return nil
		}
		text = text[start:]
		end := 0
		switch {
		case strings.HasPrefix(text, "<![CDATA["):
			end = strings.Index(text, "]]>")
		case strings.HasPrefix(text, "<!--"):
			end = strings.Index(text, "-->")
		default:
			end = tagEnd(text)
			if end < 0 && len(text) > maxTag || end > maxTag {
				return fmt.Errorf("report: read a JUnit report: it has a tag of more than %d KiB", maxTag>>10)
			}
		}
		if end < 0 {
			return nil // it breaks off; the parser will say so
		}
		text = text[max(end, 1):]
	}
}

// tagEnd is where a tag ends, outside of quotes; -1 when it does not, or not within the limit.
func tagEnd(text string) int {
	quote := byte(0)
	for i := 0; i < len(text) && i <= maxTag+1; i++ {
		switch ch := text[i]; {
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case ch == '"' || ch == '\'':
			quote = ch
		case ch == '>':
			return i
		}
	}
	return -1
}
