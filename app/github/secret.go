package github

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const redacted = "[secret]"

// Secret is a word that must not be seen: every way of printing, logging or encoding it shows "[secret]". The zero value
// is no secret.
type Secret struct{ value string }

// NewSecret wraps a secret that came from elsewhere.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal is the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return s.value }

// String hides the secret.
func (s Secret) String() string { return redacted }

// Format hides the secret from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides the secret from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// tokenForm is what GitHub's tokens and our own JWTs look like. Since 2026 installation tokens are long and hold dots.
var tokenForm = regexp.MustCompile(`gh[a-z]_[A-Za-z0-9._-]{16,}|github_pat_[A-Za-z0-9_]{16,}|eyJ[A-Za-z0-9._-]{16,}`)

// tidy makes words that came from the other side fit for an error: one line, short, without anything like a token.
func tidy(s string) string {
	s = tokenForm.ReplaceAllString(s, redacted)
	return cutBytes(strings.Join(strings.Fields(visible(s)), " "), 300)
}
