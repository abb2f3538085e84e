package buildspec

import (
	_ "embed" // the driver
	"fmt"
	"strings"
)

//go:embed driver.sh
var driver string

// ResultsDir is the folder of the workspace in which a run leaves its record. It is there only once the last command is
// over, so that no command finds it.
const ResultsDir = ".conveyor-build"

// Script is the one script that runs a buildspec in a sandbox. given are the variables that the caller sets: they go
// before those of the buildspec, as a project of AWS does.
//
// Whatever of the file gets into the script is in single quotes. There is one exception: the words of artifacts and of
// their names, which AWS has a shell fill in, too; they are commands of the repository as much as its commands are.
func Script(s Spec, given map[string]string) string {
	parts := map[string][]string{
		"variables": {"cv_set() {", "\t:"}, "commands": nil, "after": nil, "retries": nil, "runtimes": nil, "words": nil,
		"run": {"set -a", `eval "$cv_cmd"`, "{ CODEBUILD_LAST_EXIT=$?; set +aefuvxC; unset IFS; cv_status=$CODEBUILD_LAST_EXIT; } 2>/dev/null"},
	}
	add := func(part, format string, args ...any) {
		parts[part] = append(parts[part], fmt.Sprintf(format, args...))
	}
	for _, v := range s.Vars {
		if _, theirs := given[v.Name]; !theirs {
			add("variables", "\texport %s=%s", v.Name, quoted(v.Value))
		}
	}
	add("variables", "}")
	if s.Shell == "bash" {
		add("run", "set +o pipefail; trap - ERR DEBUG")
	}
	if s.Version == "0.1" {
		parts["run"] = []string{`( cd "$CODEBUILD_SRC_DIR" && exec ` + s.Shell + ` -c "$cv_cmd" )`, "cv_status=$?"}
	}
	for _, p := range sections {
		section := s.Section(p)
		for i, command := range section.Commands {
			add("commands", "%s/commands/%d) cv_cmd=%s ;;", p, i+1, quoted(command))
		}
		for i, command := range section.Finally {
			add("commands", "%s/finally/%d) cv_cmd=%s ;;", p, i+1, quoted(command))
		}
		on := section.OnFailure
		label := "FAILED"
		if on.Word == Abort {
			label = "FAILED_WITH_ABORT"
		}
		add("after", "%s/SUCCEEDED) cv_next=%s cv_label=SUCCEEDED ;;", p, after(p, false, on))
		add("after", "%s/FAILED) cv_next=%s cv_label=%s ;;", p, after(p, true, on), label)
		if on.Word == Retry {
			match := ""
			if on.Pattern != "" {
				match, _ = posix(on.Pattern) // it was tried when the file was read
			}
			add("retries", "%s) cv_most=%d cv_match=%s ;;", p, on.Count, quoted(match))
		}
	}
	for _, v := range s.Runtimes {
		if ask := runtimes[strings.ToLower(v.Name)]; ask != "" {
			add("runtimes", `cv_say "Runtime "%s" is asked for; this machine has: $(if command -v %s >/dev/null; then %s 2>&1 | head -n 1; else echo none; fi)"`,
				quoted(v.Name+" "+v.Value), strings.Fields(ask)[0], ask)
		} else {
			add("runtimes", `cv_say "Runtime "%s" is asked for, and is not known here"`, quoted(v.Name+" "+v.Value))
		}
	}
	for i, word := range s.Words() {
		if strings.ContainsAny(word, "$`") {
			here := "cat <<CV_END\n" + strings.Join(strings.Fields(word), " ") + "\nCV_END"
			add("words", `( eval %s ) >"$cv_dir/word.%d"`, quoted(here), i)
		}
	}
	for _, name := range s.Exported {
		add("words", `if [ -n "${%s+x}" ]; then printf %%s "$%s" >"$cv_dir/exported.%s"; fi`, name, name, name)
	}
	return fill(driver, s.Shell, parts)
}

// runtimes are how the machine's own tools tell their version.
var runtimes = map[string]string{
	"nodejs": "node --version", "python": "python3 --version", "java": "java -version", "golang": "go version", "ruby": "ruby --version",
	"php": "php --version", "dotnet": "dotnet --version", "docker": "docker --version", "android": "sdkmanager --version",
}

// Words are what a shell fills in when the build is over, in one order: see Filled.
func (s Spec) Words() (words []string) {
	for _, a := range s.Artifacts {
		words = append(words, a.Name, a.Base)
		words = append(words, a.Files...)
		words = append(words, a.Exclude...)
	}
	return words
}

// Filled puts words that a shell has filled in into their places. What is not in filled stands as it was written.
func (s Spec) Filled(filled map[int]string) []Artifacts {
	i := -1
	next := func(word string) string {
		i++
		if w, ok := filled[i]; ok {
			return strings.TrimSpace(w)
		}
		return word
	}
	all := make([]Artifacts, 0, len(s.Artifacts))
	for _, a := range s.Artifacts {
		a.Name, a.Base = next(a.Name), next(a.Base)
		files, exclude := make([]string, 0, len(a.Files)), make([]string, 0, len(a.Exclude))
		for _, f := range a.Files {
			files = append(files, next(f))
		}
		for _, f := range a.Exclude {
			exclude = append(exclude, next(f))
		}
		a.Files, a.Exclude = files, exclude
		all = append(all, a)
	}
	return all
}

func fill(text, shell string, parts map[string][]string) string {
	text = strings.NewReplacer("#@shell", shell, "#@results", ResultsDir).Replace(text)
	var b strings.Builder
	for line := range strings.Lines(text) {
		mark := strings.TrimSpace(line)
		lines, ok := parts[strings.TrimPrefix(mark, "#@")]
		if !ok || !strings.HasPrefix(mark, "#@") {
			b.WriteString(line)
			continue
		}
		indent := line[:strings.Index(line, "#")]
		for _, l := range lines {
			b.WriteString(indent + l + "\n")
		}
	}
	return b.String()
}

// quoted is a text as one word of a shell, whatever it holds.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
