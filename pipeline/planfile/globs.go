package planfile

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Matches tells whether a filter lets a branch pass. "*" stands for anything without a slash, "**" for anything with
// slashes. A nil filter lets nothing pass, an empty one everything.
func Matches(f *pipeline.Filter, branch string) bool {
	if f == nil || among(f.Without, branch) {
		return false
	}
	return len(f.Branches) == 0 || among(f.Branches, branch)
}

// Concerns tells whether some changed path is one that a filter asks for.
func Concerns(f *pipeline.Filter, changed []string) bool {
	for _, path := range changed {
		if (len(f.Paths) == 0 || among(f.Paths, path)) && !among(f.Ignore, path) {
			return true
		}
	}
	return len(f.Paths) == 0 && len(f.Ignore) == 0
}

func among(globs []string, word string) bool {
	for _, glob := range globs {
		if ok, err := doublestar.Match(glob, word); err == nil && ok {
			return true
		}
	}
	return false
}

// branchGlob checks a glob of branches.
func branchGlob(glob string) (message, hint string) {
	switch {
	case strings.HasPrefix(glob, "!"):
		return fmt.Sprintf("cannot be %s", quote(glob)), "leave branches out with branches_ignore"
	case strings.HasPrefix(glob, "refs/"):
		return fmt.Sprintf("cannot be %s", quote(glob)), "write the branch's name only, for example main"
	}
	return soundGlob(glob)
}

// branchPattern checks a glob of the branch that an environment follows. The machine of environments matches with
// path.Match, which knows no "**" and no alternatives.
func branchPattern(glob string) (message, hint string) {
	if message, hint := branchGlob(glob); message != "" {
		return message, hint
	}
	if _, err := path.Match(glob, ""); err != nil || strings.Contains(glob, "**") || strings.ContainsAny(glob, "{}") {
		return fmt.Sprintf("cannot be %s", quote(glob)), "use *, ? and [abc] only, for example main or release/*"
	}
	return "", ""
}

// fileGlob checks a glob of files in the workspace. Its rules are those by which artifacts are gathered.
func fileGlob(glob string) (message, hint string) {
	relative := strings.TrimPrefix(glob, "./")
	switch {
	case strings.HasPrefix(glob, "!"):
		return fmt.Sprintf("cannot be %s", quote(glob)), "name what is meant; there is no way to leave some out"
	case strings.HasPrefix(glob, "/"):
		return fmt.Sprintf("cannot be %s: it is not relative", quote(glob)), "write it relative to the top of the repository"
	case strings.Contains(glob, `\`):
		return fmt.Sprintf("cannot be %s", quote(glob)), "put / between folders"
	case strings.HasSuffix(glob, "/"):
		return fmt.Sprintf("cannot be %s", quote(glob)), fmt.Sprintf("write %s for everything in the folder", relative+"**")
	}
	for name := range strings.SplitSeq(relative, "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Sprintf("cannot be %s: it may not leave the workspace", quote(glob)), "write it relative to the top of the repository, without . and .. in it"
		}
	}
	return soundGlob(relative)
}

// filePath checks the path of one file of the repository.
func filePath(name string) (message, hint string) {
	if strings.HasPrefix(name, "arn:") || strings.Contains(name, "://") {
		return fmt.Sprintf("cannot be %s", quote(name)), "commit the file to the repository and write its path"
	}
	if strings.ContainsAny(name, "*?[]{}") {
		return fmt.Sprintf("cannot be %s", quote(name)), "write the path of one file"
	}
	return fileGlob(name)
}

// soundGlob refuses what is no glob, and one whose cost grows: alternatives multiply.
func soundGlob(glob string) (message, hint string) {
	switch {
	case !doublestar.ValidatePattern(glob):
		return fmt.Sprintf("cannot be %s", quote(glob)), "use *, **, ?, [abc] and {a,b}"
	case strings.Count(glob, "{") > 4 || strings.Count(glob, ",") > 16:
		return fmt.Sprintf("cannot be %s: it has too many alternatives", quote(glob)), "write several patterns instead"
	}
	return "", ""
}
