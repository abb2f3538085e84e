package artifact

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// globs are the declared paths of an artifact, ready to match.
type globs struct {
	patterns []string
	bases    []string // each pattern's leading folders without wildcards, "" for the top
}

// parseGlobs checks the declared paths. They may come from a stranger's plan, so that their cost is bounded, too:
// alternatives multiply.
func parseGlobs(declared []string) (globs, error) {
	var g globs
	if len(declared) > 100 {
		return g, fmt.Errorf("%d paths are declared, allowed are 100", len(declared))
	}
	for _, p := range declared {
		p = strings.TrimPrefix(p, "./")
		switch {
		case p == "" || len(p) > 512:
			return g, fmt.Errorf("the path %.80q must have 1 to 512 characters", p)
		case !doublestar.ValidatePattern(p):
			return g, fmt.Errorf("the path %q is not a valid pattern; use *, **, ?, [abc] and {a,b}", p)
		case strings.Count(p, "{") > 4 || strings.Count(p, ",") > 16:
			return g, fmt.Errorf("the path %q has too many alternatives; declare several paths instead", p)
		}
		base, _ := doublestar.SplitPattern(p)
		if base == "." {
			base = ""
		}
		for name := range strings.SplitSeq(p, "/") {
			if name == "" || name == "." || name == ".." {
				return g, fmt.Errorf("the path %q must be relative, without . or .. in it", p)
			}
		}
		if base != "" && !fs.ValidPath(base) {
			return g, fmt.Errorf("the path %q must be relative, without . or .. in it", p)
		}
		g.patterns = append(g.patterns, p)
		g.bases = append(g.bases, base)
	}
	return g, nil
}

func (g globs) match(path string) bool {
	for i, p := range g.patterns {
		if below(path, g.bases[i]) && doublestar.MatchUnvalidated(p, path) {
			return true
		}
	}
	return false
}

// enter tells whether anything below a folder could match.
func (g globs) enter(folder string) bool {
	for _, base := range g.bases {
		if below(folder, base) || below(base, folder) {
			return true
		}
	}
	return false
}

// below tells whether path is base or lies below it.
func below(path, base string) bool {
	return base == "" || strings.HasPrefix(path, base) && (len(path) == len(base) || path[len(base)] == '/')
}
