package image

import "log/slog"

// Login is what a registry wants to know of whoever asks it. It is for whoever speaks to the registry, and never printed.
type Login struct {
	Registry                     string
	User                         string
	Password                     string
	IdentityToken, RegistryToken string
}

// String hides it.
func (l Login) String() string { return "[login]" }

// GoString hides it from %#v.
func (l Login) GoString() string { return "[login]" }

// LogValue hides it from slog.
func (l Login) LogValue() slog.Value { return slog.StringValue("[login]") }
