// Package secret is what all rooms know of secrets: a value that no way of printing shows, its name, and its scope.
//
// Nothing here keeps a secret or decides who gets one. The store is age; folder is where a process on this machine finds
// those that it is given; who may have which is the app's. Start reading at Given.
package secret

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const redacted = "[secret]"

// Value is a word that must not be seen: every way of printing, logging or encoding it shows "[secret]". The zero value is
// no secret.
type Value struct{ value string }

// New wraps a secret that came from elsewhere.
func New(value string) Value { return Value{value} }

// Reveal is the secret itself, for the one place that needs it.
func (v Value) Reveal() string { return v.value }

// String hides the secret.
func (v Value) String() string { return redacted }

// Format hides the secret from every verb of fmt.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from encoders.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides the secret from JSON.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Given is a secret on its way to the one process tree that may have it.
type Given struct {
	Name  string // of the file that holds it, and of the variable
	Value Value
	Env   bool // also as a variable of the environment
}

// Dir is the variable that says in which folder a process finds the secrets that it was given.
const Dir = "CONVEYOR_SECRETS_DIR"

var (
	fileForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`)
	taken    = regexp.MustCompile(`^(PATH|ENV|BASH_ENV|LD_.*|GIT_.*|CONVEYOR_.*)$`)
)

// Taken reports whether a name is that of a variable that a step may not set.
func Taken(name string) bool { return taken.MatchString(name) }

// Check says what is wrong with secrets that are to be given: their names become files, variables and text of a shell.
func Check(all []Given) error {
	seen := map[string]bool{}
	for _, g := range all {
		switch {
		case !fileForm.MatchString(g.Name) || Taken(g.Name):
			return fmt.Errorf("secret: %q cannot be the name under which a secret is given", g.Name)
		case seen[g.Name]:
			return fmt.Errorf("secret: %s is given twice", g.Name)
		case g.Env && strings.ContainsRune(g.Value.value, 0):
			return fmt.Errorf("secret: %s holds a NUL byte, which no variable can hold; read it from its file", g.Name)
		}
		seen[g.Name] = true
	}
	return nil
}

// CheckName says what is wrong with a name in the store.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("secret: %.40q cannot be a secret's name; use letters, digits, - and _, a letter or digit first, 128 characters at most", name)
	}
	return nil
}

// Script is a shell's text that sets the variables of those that are given so. It is a secret itself.
func Script(all []Given) string {
	var b strings.Builder
	for _, g := range all {
		if g.Env {
			b.WriteString("export " + g.Name + "='" + strings.ReplaceAll(g.Value.value, "'", `'\''`) + "'\n")
		}
	}
	return b.String()
}

// Reveal are the bare values, for whoever masks them.
func Reveal(all []Given) (values []string) {
	for _, g := range all {
		values = append(values, g.Value.value)
	}
	return values
}
