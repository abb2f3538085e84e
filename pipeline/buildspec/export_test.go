package buildspec

import "regexp"

// For the tests: the forms of on-failure, and what a pattern becomes.
var (
	ParseOnFailure = parseOnFailure
	Posix          = posix
)

// CompiledPattern is what a pattern means in Go, nil when it is none.
func CompiledPattern(pattern string) *regexp.Regexp {
	r, err := regexp.Compile(pattern)
	if err != nil {
		return nil
	}
	return r
}
