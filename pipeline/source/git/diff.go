package git

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// mostDiff bounds a difference in bytes.
const mostDiff = 64 << 20

// Lines are lines of a file, both ends in it.
type Lines struct{ From, To int }

// ChangedLines are the lines that to has and from has not, by file, as they are numbered in to. Both commits must have been
// fetched. Like Changed, it goes by the files alone: compared with its base's head, a pull request also shows as changed
// what the base got in the meantime and it has not.
func (s *Source) ChangedLines(ctx context.Context, repo pipeline.Repo, from, to pipeline.Commit) (map[string][]Lines, error) {
	out, err := s.ask(ctx, repo, []pipeline.Commit{from, to}, call{limit: mostDiff,
		args: []string{"diff-tree", "-r", "-p", "--unified=0", "--inter-hunk-context=0", "--find-renames", "--no-color", "--no-ext-diff", "--no-textconv",
			"--src-prefix=a/", "--dst-prefix=b/", "--end-of-options", string(from), string(to), "--"}})
	if err != nil {
		return nil, err
	}
	changed, err := changedLines(out)
	if err != nil {
		return nil, fmt.Errorf("source: compare %s and %s of %s: %w", from.Short(), to.Short(), repo.Slug(), err)
	}
	return changed, nil
}

// changedLines reads a difference without context. Lines of a file may look like those that stand between files, so they
// are counted and passed over.
func changedLines(diff []byte) (map[string][]Lines, error) {
	changed := map[string][]Lines{}
	at := ""
	for len(diff) > 0 {
		line, rest, _ := bytes.Cut(diff, []byte{'\n'})
		diff = rest
		switch {
		case bytes.HasPrefix(line, []byte("diff --git ")):
			at = ""
		case bytes.HasPrefix(line, []byte("+++ ")):
			at = newName(string(line[len("+++ "):]))
		case bytes.HasPrefix(line, []byte("@@ -")):
			gone, from, come, ok := hunk(string(line))
			if !ok {
				return nil, fmt.Errorf("git wrote %.60q where lines are numbered", line)
			}
			if at != "" && come > 0 {
				changed[at] = append(changed[at], Lines{from, from + come - 1})
			}
			for left := gone + come; left > 0 && len(diff) > 0; left-- {
				_, diff, _ = bytes.Cut(diff, []byte{'\n'})
			}
		}
	}
	return changed, nil
}

// newName is the path of a file as it is now, empty when it was removed.
func newName(word string) string {
	word = strings.TrimSuffix(word, "\t") // behind names with blanks
	if strings.HasPrefix(word, `"`) {
		plain, err := strconv.Unquote(word)
		if err != nil {
			return ""
		}
		word = plain
	}
	name, ok := strings.CutPrefix(word, "b/")
	if !ok {
		return ""
	}
	return name
}

// hunk reads "@@ -7,2 +7,3 @@": how many lines went, where the new ones begin, and how many they are.
func hunk(line string) (gone, from, come int, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[2], "+") {
		return 0, 0, 0, false
	}
	part := func(text string) (start, count int, ok bool) {
		first, second, two := strings.Cut(text, ",")
		start, err := strconv.Atoi(first)
		count = 1
		if two && err == nil {
			count, err = strconv.Atoi(second)
		}
		return start, count, err == nil && start >= 0 && count >= 0 && start < mostDiff && count < mostDiff // as many lines as bytes
	}
	_, gone, ok1 := part(fields[1][1:])
	from, come, ok2 := part(fields[2][1:])
	return gone, from, come, ok1 && ok2
}
