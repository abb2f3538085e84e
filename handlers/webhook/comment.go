package webhook

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"github.com/conveyor-ci/conveyor/deploy"
)

// maxCommands is how many commands one comment may hold.
const maxCommands = 10

// maxLine is how long a line may be that is still looked at, in bytes.
const maxLine = 200

var (
	verbForm   = regexp.MustCompile(`^/[a-z][a-z-]{0,30}$`)
	envForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}(/pr-[0-9]{1,9})?$`)
	shaForm    = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
)

// ParseComment finds the commands of a comment: lines of its top-level paragraphs that begin with a slash. What stands in
// code, quotes, lists, tables or HTML is talk about commands, and never one.
func ParseComment(body string) (commands []deploy.Command) {
	source := []byte(strings.ReplaceAll(body, "\r\n", "\n"))
	doc := goldmark.DefaultParser().Parse(text.NewReader(source))
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		if n.Kind() != ast.KindParagraph {
			continue
		}
		for i := range n.Lines().Len() {
			at := n.Lines().At(i)
			line := strings.TrimRight(string(at.Value(source)), " \t\n")
			if !strings.HasPrefix(line, "/") || len(line) > maxLine {
				continue
			}
			if c, ok := parseLine(line); ok {
				commands = append(commands, c)
			}
			if len(commands) == maxCommands {
				return commands
			}
		}
	}
	return commands
}

// parseLine reads one line. A word that is not a command's form, such as a path, is no command.
func parseLine(line string) (c deploy.Command, ok bool) {
	words := strings.Fields(line)
	if !verbForm.MatchString(words[0]) {
		return c, false
	}
	c.Line, c.Verb = line, deploy.Verb(words[0][1:])
	args := words[1:]
	switch c.Verb {
	case deploy.Approve, deploy.Promote:
		c.Problem = target(&c, args, 1)
	case deploy.Rollback:
		c.Problem = target(&c, args, 2)
	case deploy.Retest, deploy.Cancel:
		if len(args) > 0 {
			c.Problem = fmt.Sprintf("`/%s` stands alone on its line. Type `/%s`.", c.Verb, c.Verb)
		}
	case deploy.Help:
	default:
		c.Problem = fmt.Sprintf("There is no command `%s`.%s `/help` lists those there are.", words[0], near(string(c.Verb)))
		c.Verb = deploy.Unknown
	}
	return c, true
}

// target reads what a command is about: ENV, ENV@SHA, and for a rollback ENV DIGEST.
func target(c *deploy.Command, args []string, most int) (problem string) {
	usage := map[deploy.Verb]string{
		deploy.Approve:  "`/approve ENV` or `/approve ENV@SHA`",
		deploy.Promote:  "`/deploy ENV` or `/deploy ENV@SHA`",
		deploy.Rollback: "`/rollback ENV` or `/rollback ENV DIGEST`",
	}[c.Verb]
	if len(args) < 1 || len(args) > most {
		return fmt.Sprintf("`/%s` needs the name of an environment and nothing after it. Type %s.", c.Verb, usage)
	}
	env, sha, named := strings.Cut(args[0], "@")
	switch {
	case !envForm.MatchString(env):
		return fmt.Sprintf("That is not the name of an environment. Type %s.", usage)
	case named && c.Verb == deploy.Rollback:
		return fmt.Sprintf("A rollback names a digest, not a commit. Type %s.", usage)
	case named && !shaForm.MatchString(sha):
		return fmt.Sprintf("After the @ stands a commit, 7 to 40 of the digits 0-9 and a-f. Type %s.", usage)
	}
	c.Environment, c.Commit = env, sha
	if len(args) == 2 {
		digest := strings.TrimPrefix(args[1], "sha256:")
		if !digestForm.MatchString(digest) {
			return fmt.Sprintf("A digest is 7 to 64 of the digits 0-9 and a-f. Type %s.", usage)
		}
		c.Digest = digest
	}
	return ""
}

// near guesses what a misspelt command means.
func near(verb string) string {
	best, least := "", 3
	for _, v := range []deploy.Verb{deploy.Approve, deploy.Promote, deploy.Rollback, deploy.Retest, deploy.Cancel, deploy.Help} {
		if d := distance(verb, string(v)); d < least {
			best, least = string(v), d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean `/%s`?", best)
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
