package planfile

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const durationPattern = `^[1-9][0-9]{0,8}(s|m|h|d)$`

var duration = regexp.MustCompile(durationPattern)

// between is the wording of a duration with bounds.
func between(least, most time.Duration) *wording {
	return &wording{
		pattern: durationPattern,
		says:    "write a number and s, m, h or d: 90s, 5m, 24h, 7d",
		check: func(word string) (message, hint string) {
			d, ok := parseDuration(word)
			if !ok {
				return fmt.Sprintf("cannot be %s", quote(word)), oneUnit(word)
			}
			if d.Std() < least || d.Std() > most {
				return fmt.Sprintf("cannot be %s", word), fmt.Sprintf("write %s to %s", inUnits(least), inUnits(most))
			}
			return "", ""
		},
	}
}

// parseDuration reads "90s", "5m", "24h" or "7d".
func parseDuration(word string) (pipeline.Duration, bool) {
	if !duration.MatchString(word) {
		return 0, false
	}
	n, err := strconv.ParseInt(word[:len(word)-1], 10, 64)
	if err != nil {
		return 0, false
	}
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[word[len(word)-1]]
	if n > int64(100*365*24*time.Hour/unit) {
		n = int64(100 * 365 * 24 * time.Hour / unit) // beyond every bound, and no overflow
	}
	return pipeline.Duration(time.Duration(n) * unit), true
}

// oneUnit explains a duration that was not understood; Go's own form is turned into ours.
func oneUnit(word string) string {
	if d, err := time.ParseDuration(word); err == nil && d >= time.Second && d%time.Second == 0 {
		return "write one number with one unit: " + inUnits(d)
	}
	if n, err := strconv.Atoi(word); err == nil && n > 0 {
		return fmt.Sprintf("say the unit: %ds, %dm, %dh or %dd", n, n, n, n)
	}
	return "write a number and s, m, h or d: 90s, 5m, 24h, 7d"
}

// inUnits writes a duration in the largest unit that divides it.
func inUnits(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
