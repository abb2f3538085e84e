package report

import (
	"path"
	"regexp"
	"strings"
)

var (
	javaFrame   = regexp.MustCompile(`\bat (?:[\w.@-]+/)?([\w.$]+)\(([\w$]+\.(?:java|kt|groovy|scala)):(\d{1,7})\)`)
	pythonFrame = regexp.MustCompile(`File "([^"\n]{1,500})", line (\d{1,7})`)
	spot        = regexp.MustCompile(`((?:file://)?[\w@+.$/~-]{1,500}\.[A-Za-z]{1,6}):(\d{1,7})\b`)
)

// maxSpots is how many places in one failure's text are looked at.
const maxSpots = 200

// failurePlace finds the line that a failure speaks of. A line in the failure's text is nearer to what went wrong than the
// attributes, which name the line where the test begins.
func (j *junit) failurePlace(t testcase, f failure) (at string, line int) {
	file, number := f.file, f.line
	if file == "" {
		file, number = t.file, t.line
	}
	declared, known := "", false
	if file != "" {
		declared, known = j.placeAlike(inTree(file)...)
	}
	first, firstLine := "", 0
	for _, s := range spots(f.text + "\n" + f.message) {
		where, ok := j.place(s.candidates(t.class)...)
		if !ok {
			continue
		}
		if known && where == declared || !known {
			return where, lineNumber(s.line)
		}
		if first == "" {
			first, firstLine = where, lineNumber(s.line)
		}
	}
	switch {
	case known && number == "" && first != "":
		return first, firstLine
	case known && strings.HasSuffix(declared, ".py"):
		return declared, lineNumber(number) + zeroBased(number)
	case known:
		return declared, lineNumber(number)
	}
	for _, s := range spots(f.text + "\n" + f.message) {
		if where, ok := j.placeAlike(s.candidates(t.class)...); ok {
			return where, lineNumber(s.line)
		}
	}
	return "", 0
}

// zeroBased is 1 where pytest counts lines from 0 (https://docs.pytest.org/en/stable/reference/reference.html#pytest.Item.location).
func zeroBased(number string) int {
	if number == "" || number == "0" {
		return 0 // lineNumber has made it line 1 already
	}
	return 1
}

// place in a failure's text; function is known of Java's frames only.
type mention struct{ file, line, function string }

func spots(text string) (found []mention) {
	text = cut(text, 64<<10)
	for _, m := range javaFrame.FindAllStringSubmatch(text, maxSpots) {
		found = append(found, mention{m[2], m[3], m[1]})
	}
	if len(found) > 0 {
		return found
	}
	for _, m := range pythonFrame.FindAllStringSubmatch(text, maxSpots) {
		found = append(found, mention{m[1], m[2], ""})
	}
	for _, m := range spot.FindAllStringSubmatch(text, maxSpots) {
		found = append(found, mention{m[1], m[2], ""})
	}
	return found
}

// candidates are the paths that a mention can mean in the tree.
func (m mention) candidates(class string) []string {
	if m.function != "" {
		return javaFile(m)
	}
	paths := inTree(m.file)
	if !strings.Contains(m.file, "/") && strings.Contains(class, "/") {
		// Go's reports name the package in the class, and the file without its folder.
		for folder := strings.Trim(path.Clean(class), "/"); len(paths) < 20; {
			paths = append(paths, path.Join(folder, m.file))
			_, after, more := strings.Cut(folder, "/")
			if !more {
				break
			}
			folder = after
		}
		paths = append(paths[1:], paths[0])
	}
	return paths
}

// javaFile finds com.acme.PriceTest.total(PriceTest.java:31) where Maven and Gradle keep sources.
func javaFile(m mention) (paths []string) {
	parts := strings.Split(m.function, ".")
	folder := ""
	if len(parts) > 2 {
		folder = strings.Join(parts[:len(parts)-2], "/") // without the class and the method
	}
	for _, root := range []string{"src/test/java", "src/main/java", "src/test/kotlin", "src/main/kotlin", "src/test/groovy", "src/test/scala", "src/main/scala", "src", "test", ""} {
		paths = append(paths, path.Join(root, folder, m.file))
	}
	return paths
}
