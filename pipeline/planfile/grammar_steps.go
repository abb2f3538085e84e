package planfile

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

const (
	maxRetries = 5
	maxAxes    = 6
	maxValues  = 20
	maxMatrix  = 50  // steps that one matrix makes
	maxProduct = 256 // combinations before any is left out
)

// envRule is what may stand in env. Only a step can take what others put out.
func envRule(about string, from *rule) *rule {
	return &rule{
		about: about, example: `{"CGO_ENABLED": "0"}`,
		kind: mapping, most: 100, hint: "write names and values, for example env: {CGO_ENABLED: 0}", called: "the variable", names: &wording{
			pattern: `^[A-Za-z_][A-Za-z0-9_]*$`, longest: 128, says: "use letters, digits and _, and no digit first",
			never: `^(PATH|ENV|BASH_ENV|LD_.*|GIT_.*|CONVEYOR_.*)$`, taken: "PATH, ENV, BASH_ENV, LD_*, GIT_* and CONVEYOR_* are reserved",
		},
		rest: &rule{about: "The variable's value. Numbers, true and false are passed on as they are written.", example: `"0"`,
			kind: text, scalar: true, words: &wording{lines: true, longest: 32 << 10}, or: from},
	}
}

// outputForm is how a step's output is named.
const outputForm = `^steps\.[a-z0-9][a-z0-9_-]{0,39}\.outputs\.[A-Za-z_][A-Za-z0-9_]{0,63}$`

func fromRule() *rule {
	return &rule{kind: mapping, hint: "write the value, or {from: steps.build.outputs.version}", keys: []key{
		{name: "from", needed: true, missing: "say which output it is, for example from: steps.build.outputs.version", rule: &rule{
			about: "The output of an earlier step whose value the variable gets: steps.<step>.outputs.<name>. When that step did not put it out, the variable is not set.", example: `"steps.build.outputs.version"`,
			kind: text, words: &wording{pattern: outputForm, says: "write steps.<step>.outputs.<name>, for example steps.build.outputs.version"},
		}},
	}}
}

func needsRule() *rule {
	const hint = "write the names of steps, for example needs: [unit, lint]"
	one := &wording{longest: 400, says: hint}
	return &rule{
		about: "The steps that must have passed before this one starts, in its own stage or an earlier one. When left out, all stages before its own; with [], nothing: it starts at once.", example: `["unit", "lint"]`,
		kind: text, words: one, hint: hint, or: &rule{
			kind: list, most: 50, hint: hint,
			item: &rule{about: "The name of a step. Of one with a matrix, all its steps are meant.", example: `"unit"`, kind: text, words: one},
		},
	}
}

func matrixRule() *rule {
	axis := &wording{pattern: `^[a-z][a-z0-9_]{0,29}$`, says: "use lower-case letters, digits and _, a letter first: go, node_version"}
	word := &wording{pattern: `^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$`, says: "use letters, digits and . _ + -, 40 characters at most"}
	value := &rule{about: "One value. Numbers, true and false are passed on as they are written.", example: `"1.22"`, kind: text, scalar: true, words: word}
	combinations := func(about, example string) *rule {
		return &rule{about: about, example: example, kind: list, least: 1, most: maxMatrix, hint: "write a list of combinations, for example [{go: 1.22, os: linux}]",
			item: &rule{about: "Axes with one value each.", example: `{"go": "1.22"}`, kind: mapping, least: 1, most: 2 * maxAxes, called: "the axis", names: axis, rest: value,
				hint: "write axes and values, for example {go: 1.22}"}}
	}
	return &rule{
		about:   fmt.Sprintf("Makes one step of each combination of the axes' values, %d at most. Its commands find each value in a variable: of the axis go, MATRIX_GO.", maxMatrix),
		example: `{"go": ["1.21", "1.22"], "os": ["linux"], "exclude": [{"go": "1.21"}]}`,
		kind:    mapping, least: 1, most: maxAxes + 2, hint: "write axes with their values, for example matrix: {go: [1.21, 1.22]}", called: "the axis", names: axis,
		keys: []key{
			{name: "include", rule: combinations("Combinations to add. One that fits an existing combination, in all axes that it names, adds its other values to it; else it is one more.", `[{"go": "1.23"}]`)},
			{name: "exclude", rule: combinations("Combinations to leave out: all that have these values. They are left out before include adds any.", `[{"go": "1.21"}]`)},
		},
		rest: &rule{about: "One axis: the values that it has.", example: `["1.21", "1.22"]`, kind: list, least: 1, most: maxValues, hint: "write a list of values, for example go: [1.21, 1.22]", item: value},
	}
}

func shellRule() *rule {
	const hint = "write sh, bash, python3, or a list of a program and its arguments: [perl, -w]"
	return &rule{
		about: "What runs the commands. When left out, bash -e -o pipefail where there is bash, else sh -e. A list is a program and its arguments; the commands come as a file, as the last one.", example: `"python3"`,
		kind: text, words: &wording{oneOf: shellNames, says: hint}, hint: hint, or: &rule{
			kind: list, least: 1, most: 10, hint: hint,
			item: &rule{about: "A program on PATH or with its path, then its arguments.", example: `"perl"`, kind: text, words: &wording{longest: 200, says: hint}},
		},
	}
}

var shellNames = []string{"sh", "bash", "python3"}

// shells are the command lines of the names.
var shells = map[string][]string{"sh": {"sh", "-e"}, "bash": {"bash", "-e", "-o", "pipefail"}, "python3": {"python3"}}

func resourcesRule(about, example string) *rule {
	return &rule{
		about: about, example: example,
		kind: mapping, least: 1, hint: "write for example resources: {memory: 2G, cpu: 1}", keys: []key{
			{name: "memory", rule: &rule{about: "Memory, in M or G of 1024 times 1024 bytes and up.", example: `"2G"`, kind: text,
				words: &wording{pattern: `^[1-9][0-9]{0,5}[MG]$`, check: memoryAlone, says: "write a number and M or G: 512M, 2G"}}},
			{name: "cpu", rule: &rule{about: "Processors, also in parts.", example: `1.5`, kind: text, scalar: true,
				words: &wording{pattern: `^(0\.(0[1-9]|[1-9][0-9]?)|[1-9][0-9]{0,2}(\.[0-9]{1,2})?)$`, says: "write a number of processors, for example 2 or 0.5"}}},
			{name: "pids", rule: &rule{about: "Processes and threads at one time.", example: `512`, kind: number, least: 8, most: 1 << 20}},
		},
	}
}

const leastMemory = 16 << 20

func memoryAlone(word string) (message, hint string) {
	if n := memory(word); n > 0 && n < leastMemory {
		return fmt.Sprintf("cannot be %s: no shell starts in it", word), "write 16M or more"
	}
	return "", ""
}

// memory reads "512M" or "2G", as bytes; 0 when it is neither.
func memory(word string) int64 {
	if word == "" {
		return 0
	}
	unit := map[byte]int64{'M': 1 << 20, 'G': 1 << 30}[word[len(word)-1]]
	n, err := strconv.ParseInt(word[:len(word)-1], 10, 32)
	if err != nil {
		return 0
	}
	return n * unit
}

// folder checks a working directory: it may not leave the workspace.
func folder(dir string) (message, hint string) {
	switch clean := path.Clean(dir); {
	case strings.HasPrefix(dir, "/"), strings.Contains(dir, `\`), strings.HasPrefix(dir, "~"):
		return fmt.Sprintf("cannot be %s: it is not relative", quote(dir)), "write it relative to the top of the repository, for example dir: web"
	case clean == "..", strings.HasPrefix(clean, "../"), strings.Contains("/"+dir+"/", "/../"):
		return fmt.Sprintf("cannot be %s: it may not leave the workspace", quote(dir)), "write it relative to the top of the repository, without .. in it"
	}
	return "", ""
}
