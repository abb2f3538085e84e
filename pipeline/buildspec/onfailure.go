package buildspec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// OnFailure is what follows when a phase fails. The zero value is AWS's default: the transitions of State.
type OnFailure struct {
	Word    string `json:"word,omitempty"`    // Abort, Continue or Retry
	Count   int    `json:"count,omitempty"`   // of Retry: how often it is tried again, at most
	Pattern string `json:"pattern,omitempty"` // of Retry: what the error must match, everything when empty
}

// The words of on-failure.
const (
	Abort    = "ABORT"
	Continue = "CONTINUE"
	Retry    = "RETRY"
)

// defaultRetries is how often RETRY without a number tries again.
const defaultRetries = 3

const onFailureForms = "write ABORT, CONTINUE, RETRY, RETRY-2, RETRY-regex or RETRY-2-regex"

var retryCount = regexp.MustCompile(`^([0-9]{1,9})(?:-(.*))?$`)

// parseOnFailure reads the forms that AWS documents:
// https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.phases
func parseOnFailure(text string) (o OnFailure, message, hint string) {
	word, rest, more := strings.Cut(text, "-")
	switch word {
	case Abort, Continue:
		if more {
			return o, fmt.Sprintf("on-failure cannot be %s", quote(text)), onFailureForms
		}
		return OnFailure{Word: word}, "", ""
	case Retry:
	default:
		hint := onFailureForms
		if meant := near(word, []string{Abort, Continue, Retry}); meant != "" {
			hint = fmt.Sprintf("did you mean %s?", quote(strings.Replace(text, word, meant, 1)))
		}
		return o, fmt.Sprintf("on-failure cannot be %s", quote(text)), hint
	}
	o = OnFailure{Word: Retry, Count: defaultRetries}
	if !more {
		return o, "", ""
	}
	if m := retryCount.FindStringSubmatch(rest); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 100 {
			return OnFailure{}, fmt.Sprintf("on-failure cannot retry %s times", m[1]), "write a number from 0 to 100"
		}
		o.Count, rest = n, m[2]
	}
	if rest == "" {
		return o, "", ""
	}
	if _, err := posix(rest); err != nil {
		return OnFailure{}, fmt.Sprintf("on-failure has a pattern that cannot be used: %s", err), "write a regular expression without lookaround and back references, for example RETRY-2-.*timed out.*"
	}
	o.Pattern = rest
	return o, "", ""
}
