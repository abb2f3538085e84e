package dashboard

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// took is a time as people read it: 0.4s, 12s, 2m 14s, 1h 3m. The script says it in the same way.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return ""
	}
	switch d := to.Sub(from); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1000_000)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1000_000_000)
}

// count is a number of things: "1 file", "3 files".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func ordinal(n int) string {
	switch n {
	case 2:
		return "second"
	case 3:
		return "third"
	}
	return fmt.Sprintf("%dth", n)
}

// list is "a", "a and b", "a, b and c".
func list(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}

// sentence ends text with a full stop.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}

// people are those whom a gate's rule names.
func people(by []string) string {
	var words []string
	for _, who := range by {
		team, isTeam := strings.CutPrefix(who, "team:")
		user, isUser := strings.CutPrefix(who, "user:")
		switch {
		case isTeam:
			words = append(words, "a member of the team "+team)
		case isUser:
			words = append(words, "@"+user)
		case pipeline.Role(who) == pipeline.Admin:
			words = append(words, "an admin")
		case who == pipeline.Codeowners:
			words = append(words, "an owner of the changed files")
		default:
			words = append(words, "someone with the role "+who)
		}
	}
	return list(words, "or")
}

// plain is text from outside on one line: without controls, and without the marks that turn the direction of the text
// around it. https://unicode.org/reports/tr9/#Directional_Formatting_Characters
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case turns(r):
			return -1
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, text)
}

func turns(r rune) bool {
	return r == 0x61c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// cut shortens text to a number of characters.
func cut(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
