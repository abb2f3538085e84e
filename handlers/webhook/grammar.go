package webhook

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
)

// maxLine is how much of a line is kept, in characters.
const maxLine = 200

var (
	verbForm   = regexp.MustCompile(`^/[A-Za-z][A-Za-z-]{0,30}$`)
	envForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}(/pr-[1-9][0-9]{0,8})?$`)
	shaForm    = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
)

// grammar says what follows each verb. Verbs and everything after them are in small letters.
//
//	/approve ENV[@SHA]   /deploy ENV[@SHA]   /rollback ENV [DIGEST]   /retest   /cancel   /help …
var grammar = []struct {
	verb  deploy.Verb
	usage string // %s is the environment
	args  int    // at most; the first is an environment
}{
	{deploy.Approve, "`/approve %[1]s` or `/approve %[1]s@SHA`", 1},
	{deploy.Promote, "`/deploy %[1]s` or `/deploy %[1]s@SHA`", 1},
	{deploy.Rollback, "`/rollback %[1]s` or `/rollback %[1]s DIGEST`", 2},
	{deploy.Retest, "`/retest`", 0},
	{deploy.Cancel, "`/cancel`", 0},
	{deploy.Help, "`/help`", 0},
}

// elsewhere are the words that other tools have for our verbs.
var elsewhere = map[string]deploy.Verb{
	"promote": deploy.Promote, "ship": deploy.Promote, "release": deploy.Promote,
	"approved": deploy.Approve, "lgtm": deploy.Approve,
	"revert": deploy.Rollback, "undo": deploy.Rollback,
	"test": deploy.Retest, "recheck": deploy.Retest, "rerun": deploy.Retest, "retry": deploy.Retest,
	"stop": deploy.Cancel, "abort": deploy.Cancel,
}

// parseLine reads one line. What does not begin with a slash and a word is no command. A line that is one, but is not
// understood, becomes a command with a Problem: a sentence that holds the line to type instead. Of the line itself only
// words of a known form are repeated in it.
func parseLine(line string) (c deploy.Command, ok bool) {
	words := strings.Fields(line)
	if len(words) == 0 || !verbForm.MatchString(words[0]) {
		return c, false
	}
	c.Line = cut(line, maxLine)
	verb, args := words[0][1:], words[1:]
	for _, rule := range grammar {
		if verb != string(rule.verb) {
			continue
		}
		c.Verb = rule.verb
		switch {
		case c.Verb == deploy.Help: // whatever follows
		case rule.args > 0:
			c.Problem = target(&c, args, rule.args, rule.usage)
		case len(args) > 0:
			c.Problem = fmt.Sprintf("`/%s` stands alone on its line. Type %s.", c.Verb, rule.usage)
		}
		return c, true
	}
	c.Verb, c.Problem = deploy.Unknown, unknown(verb, args)
	return c, true
}

// target reads what a command is about. It fills c only with what is right as a whole.
func target(c *deploy.Command, args []string, most int, usage string) (problem string) {
	if len(args) == 0 {
		return fmt.Sprintf("`/%s` needs the name of an environment. Type %s.", c.Verb, fmt.Sprintf(usage, "ENV"))
	}
	env, sha, named := strings.Cut(args[0], "@")
	if !envForm.MatchString(env) {
		return fmt.Sprintf("That is not the name of an environment: names have small letters, digits, `-` and `_`. Type %s.", fmt.Sprintf(usage, "ENV"))
	}
	usage = fmt.Sprintf(usage, env)
	if named && c.Verb != deploy.Rollback && shaForm.MatchString(sha) {
		usage = fmt.Sprintf("`/%s %s@%s`", c.Verb, env, sha)
	}
	switch {
	case len(args) > most:
		return fmt.Sprintf("Nothing may follow `/%s` and what it is about on the line. Type %s.", c.Verb, usage)
	case named && c.Verb == deploy.Rollback:
		return fmt.Sprintf("A rollback names a digest, not a commit. Type %s.", usage)
	case named && !shaForm.MatchString(sha):
		return fmt.Sprintf("After the @ stands a commit: 7 to 40 of the digits 0-9 and a-f. Type %s.", usage)
	}
	if len(args) == 2 {
		digest := strings.TrimPrefix(args[1], "sha256:")
		if !digestForm.MatchString(digest) {
			return fmt.Sprintf("A digest is 7 to 64 of the digits 0-9 and a-f. Type %s.", usage)
		}
		c.Digest = digest
	}
	c.Environment, c.Commit = env, sha
	return ""
}

// unknown says what a command that does not exist may have meant.
func unknown(verb string, args []string) string {
	problem := fmt.Sprintf("There is no command `/%s`.", verb)
	if meant := near(strings.ToLower(verb)); meant != "" {
		instead := "/" + string(meant)
		if c, ok := parseLine(strings.Join(append([]string{instead}, args...), " ")); ok && c.Problem == "" && meant != deploy.Help {
			instead = c.Line
		}
		problem += fmt.Sprintf(" Did you mean `%s`?", instead)
	}
	return problem + " `/help` lists those there are."
}

// near is the verb that a word is another tool's name for, or a misspelling of.
func near(word string) (best deploy.Verb) {
	if v, ok := elsewhere[word]; ok {
		return v
	}
	least := 3
	for _, rule := range grammar {
		if d := distance(word, string(rule.verb)); d < least {
			best, least = rule.verb, d
		}
	}
	return best
}

// distance is how many letters must change, come or go to make one word of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// cut keeps the first n characters of a text.
func cut(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
