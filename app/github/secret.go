package github

import (
	"regexp"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

const redacted = "[secret]"

// Secret is a word that must not be seen: every way of printing, logging or encoding it shows "[secret]". The zero value
// is no secret.
type Secret = secret.Value

// NewSecret wraps a secret that came from elsewhere.
func NewSecret(value string) Secret { return secret.New(value) }

// tokenForm is what GitHub's tokens and our own JWTs look like. Since 2026 installation tokens are long and hold dots.
var tokenForm = regexp.MustCompile(`gh[a-z]_[A-Za-z0-9._-]{16,}|github_pat_[A-Za-z0-9_]{16,}|eyJ[A-Za-z0-9._-]{16,}`)

// tidy makes words that came from the other side fit for an error: one line, short, without anything like a token.
func tidy(s string) string {
	s = tokenForm.ReplaceAllString(s, redacted)
	return cutBytes(strings.Join(strings.Fields(visible(s)), " "), 300)
}
