package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Span is how long something that a person asks for lasts.
type Span = pipeline.Duration

const day = 24 * time.Hour

// spanOf is what was asked for, or the usual time when nothing was. Times that are too short or too long come with the
// sentence that says so.
func spanOf(asked Span, usual, most time.Duration) (span time.Duration, problem string) {
	switch d := asked.Std(); {
	case d == 0:
		return usual, ""
	case d < time.Minute || d > most:
		return 0, fmt.Sprintf("It can last from a minute to %s, and %s was asked for.", spanWords(most), spanWords(d))
	default:
		return d, ""
	}
}

// spanWords is a time as it is typed: 90s, 45m, 2h, 7d.
func spanWords(d time.Duration) string {
	switch {
	case d >= day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// clock is a time as people read it. It names its zone, because readers live in many.
func clock(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }

// quote shows a text from outside as code, where it links nothing, mentions nobody, and ends no cell of a table.
func quote(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "/", "\n", " ", "\r", " ").Replace(text) + "`"
}

// because is the end of a sentence that gives a reason, when there is one.
func because(reason string) string {
	if strings.TrimSpace(reason) == "" {
		return ""
	}
	return ": " + quote(reason)
}
