package report

import (
	"path"
	"strings"
)

// Tree knows the files of the commit. Nothing else is ever asked about a path that a report names: no file is opened.
type Tree interface {
	// Has reports whether there is a file of exactly this path.
	Has(path string) bool
	// Ending is the only file whose path ends like this one, as whole parts; false when there is none, or several.
	Ending(path string) (at string, only bool)
}

// Files are a tree as a list of paths.
type Files struct {
	there map[string]bool
	named map[string][]string // by a path's last part
}

// NewFiles takes a list of paths in.
func NewFiles(paths []string) *Files {
	f := &Files{there: make(map[string]bool, len(paths)), named: map[string][]string{}}
	for _, p := range paths {
		f.there[p] = true
		f.named[path.Base(p)] = append(f.named[path.Base(p)], p)
	}
	return f
}

// Has implements Tree.
func (f *Files) Has(p string) bool { return f.there[p] }

// maxAlike is how many files of one name are compared.
const maxAlike = 2_000

// Ending implements Tree. A report that was written elsewhere may name more folders than the tree has, or fewer.
func (f *Files) Ending(p string) (at string, only bool) {
	alike := f.named[path.Base(p)]
	if len(alike) > maxAlike {
		return "", false
	}
	for _, known := range alike {
		if known != p && !strings.HasSuffix(known, "/"+p) && !(strings.Contains(known, "/") && strings.HasSuffix(p, "/"+known)) {
			continue
		}
		if at != "" {
			return "", false
		}
		at = known
	}
	return at, at != ""
}
