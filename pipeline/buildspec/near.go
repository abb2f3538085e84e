package buildspec

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// near is the known word that someone may have meant, or nothing: at most a third of its letters are wrong.
func near(word string, known []string) string {
	folded := fold(word)
	best, least := "", max(1, len(folded)/3)+1
	if len(folded) > 60 {
		return ""
	}
	for _, k := range known {
		if d := distance(folded, fold(k)); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// fold drops what people write now this way, now that way: pre-build, preBuild and pre_build are one word.
func fold(s string) []rune {
	return []rune(strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s)))
}

// distance counts the letters that are wrong, missing or too many.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		corner := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := corner
			if a[i-1] != b[j-1] {
				cost++
			}
			corner = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// quote puts a text of the file into a message: on one line, without control characters, not endless.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return strconv.Quote(s)
}
