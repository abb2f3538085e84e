package webhook

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/conveyor-ci/conveyor/deploy"
)

// maxReason is how much of a reason is kept, in characters.
const maxReason = 120

// alone reads a verb that nothing follows.
func alone(c *deploy.Command, args []string, usage string) string {
	if len(args) > 0 {
		return fmt.Sprintf("`/%s` stands alone on its line. Type %s.", c.Verb, usage)
	}
	return ""
}

// aName reads a name, or nothing.
func aName(what string) func(*deploy.Command, []string, string) string {
	return func(c *deploy.Command, args []string, usage string) string {
		switch {
		case len(args) == 0:
			return ""
		case len(args) > 1 || !envForm.MatchString(args[0]):
			return fmt.Sprintf("After `/%s` stands %s, or nothing. Type %s.", c.Verb, what, usage)
		}
		c.Word = args[0]
		return ""
	}
}

// oneOf reads one of some words; the empty one is nothing at all.
func oneOf(words ...string) func(*deploy.Command, []string, string) string {
	return func(c *deploy.Command, args []string, usage string) string {
		said := strings.Join(args, " ")
		for _, w := range words {
			if said == w {
				c.Word = w
				return ""
			}
		}
		return fmt.Sprintf("That is not what may follow `/%s`. Type %s.", c.Verb, usage)
	}
}

// perhaps reads what read does, or nothing.
func perhaps(read func(*deploy.Command, []string, string) string) func(*deploy.Command, []string, string) string {
	return func(c *deploy.Command, args []string, usage string) string {
		if len(args) == 0 {
			return ""
		}
		return read(c, args, usage)
	}
}

// help reads the verb that someone asks about. Whatever else follows is no mistake: who asks for help gets it.
func help(c *deploy.Command, args []string, _ string) string {
	if len(args) > 0 {
		if verb := strings.TrimPrefix(args[0], "/"); verbForm.MatchString("/"+verb) && verb == strings.ToLower(verb) {
			c.Word = verb
		}
	}
	return ""
}

// commitOnly reads a commit.
func commitOnly(c *deploy.Command, args []string, usage string) string {
	if len(args) != 1 || !shaForm.MatchString(args[0]) {
		return fmt.Sprintf("`/%s` names the commit that you have read: 7 to 40 of the digits 0-9 and a-f. Type %s.", c.Verb, usage)
	}
	c.Commit = args[0]
	return ""
}

// environment reads the name of an environment and nothing else.
func environment(c *deploy.Command, args []string, usage string) string {
	usage = named(usage, "ENV")
	if len(args) == 0 {
		return fmt.Sprintf("`/%s` needs the name of an environment. Type %s.", c.Verb, usage)
	}
	if !envForm.MatchString(args[0]) {
		return fmt.Sprintf("That is not the name of an environment: names have small letters, digits, `-` and `_`. Type %s.", usage)
	}
	if len(args) > 1 {
		return fmt.Sprintf("Nothing may follow `/%s` and what it is about on the line. Type %s.", c.Verb, usage)
	}
	c.Environment = args[0]
	return ""
}

// target reads ENV or ENV@SHA.
func target(c *deploy.Command, args []string, usage string) string {
	if len(args) == 0 {
		return environment(c, args, usage)
	}
	env, sha, at := strings.Cut(args[0], "@")
	if problem := environment(c, []string{env}, usage); problem != "" {
		return problem
	}
	usage = named(usage, env)
	if at && shaForm.MatchString(sha) {
		usage = fmt.Sprintf("`/%s %s@%s`", c.Verb, env, sha)
	}
	switch {
	case len(args) > 1:
		return fmt.Sprintf("Nothing may follow `/%s` and what it is about on the line. Type %s.", c.Verb, usage)
	case at && !shaForm.MatchString(sha):
		return fmt.Sprintf("After the @ stands a commit: 7 to 40 of the digits 0-9 and a-f. Type %s.", usage)
	}
	c.Commit = sha
	return ""
}

// targetAndReason reads ENV, ENV@SHA where the verb takes one, and why.
func targetAndReason(c *deploy.Command, args []string, usage string) string {
	if len(args) == 0 {
		return target(c, args, usage)
	}
	read := target
	if c.Verb != deploy.Reject {
		read = environment
	}
	if problem := read(c, args[:1], usage); problem != "" {
		return problem
	}
	c.Reason = reason(args[1:])
	return ""
}

// release reads ENV and the digest to go back to.
func release(c *deploy.Command, args []string, usage string) string {
	if len(args) == 0 {
		return environment(c, args, usage)
	}
	env, _, at := strings.Cut(args[0], "@")
	if problem := environment(c, []string{env}, usage); problem != "" {
		return problem
	}
	usage = named(usage, env)
	switch {
	case len(args) > 2:
		return fmt.Sprintf("Nothing may follow `/%s` and what it is about on the line. Type %s.", c.Verb, usage)
	case at:
		return fmt.Sprintf("A rollback names a digest, not a commit. Type %s.", usage)
	case len(args) == 1:
		return ""
	}
	digest := strings.TrimPrefix(args[1], "sha256:")
	if !digestForm.MatchString(digest) {
		return fmt.Sprintf("A digest is 7 to 64 of the digits 0-9 and a-f. Type %s.", usage)
	}
	c.Digest = digest
	return ""
}

// hold reads ENV, why, and for how long.
func hold(c *deploy.Command, args []string, usage string) string {
	if len(args) == 0 {
		return environment(c, args, usage)
	}
	if problem := environment(c, args[:1], usage); problem != "" {
		return problem
	}
	return reasonAndSpan(c, args[1:], named(usage, c.Environment))
}

// freeze reads what hold does, or no environment. Whether the first word names one is decided where environments are
// known.
func freeze(c *deploy.Command, args []string, usage string) string {
	if rest, timed := cutSpan(args); len(args) > 0 && envForm.MatchString(args[0]) && (!timed || len(rest) > 0) {
		c.Environment, args = args[0], args[1:]
	}
	return reasonAndSpan(c, args, usage)
}

// preview reads `keep`, `keep 3d`, `keep for 3d` or `stop`.
func preview(c *deploy.Command, args []string, usage string) string {
	if len(args) == 3 && args[0] == "keep" && args[1] == "for" {
		args = []string{"keep", args[2]}
	}
	switch {
	case len(args) == 1 && (args[0] == "keep" || args[0] == "stop"):
	case len(args) == 2 && args[0] == "keep" && spanForm.MatchString(args[1]):
		c.For = span(args[1])
	default:
		return fmt.Sprintf("A preview is kept or stopped. Type %s.", usage)
	}
	c.Word = args[0]
	return ""
}

// plan reads `promote ENV` or `deploy ENV`, with or without a commit.
func plan(c *deploy.Command, args []string, usage string) string {
	if len(args) == 0 || args[0] != string(deploy.Onward) && args[0] != string(deploy.Promote) {
		return fmt.Sprintf("`/plan` says what a promotion would do. Type %s.", named(usage, "ENV"))
	}
	if problem := target(c, args[1:], usage); problem != "" {
		return problem
	}
	c.Word = args[0]
	return ""
}

// reasonAndSpan reads a reason, with `for 2h` at its end or without.
func reasonAndSpan(c *deploy.Command, args []string, usage string) string {
	rest, timed := cutSpan(args)
	if timed {
		last := args[len(args)-1]
		if !spanForm.MatchString(last) {
			return fmt.Sprintf("After `for` stands a time: a number and one of `m`, `h` and `d`. Type %s.", usage)
		}
		c.For = span(last)
	}
	c.Reason = reason(rest)
	return ""
}

// cutSpan takes a last "for TIME" off. What begins with a digit is meant as a time; "for the release" is a reason.
func cutSpan(args []string) (rest []string, timed bool) {
	if n := len(args); n >= 2 && args[n-2] == "for" && args[n-1][0] >= '0' && args[n-1][0] <= '9' {
		return args[:n-2], true
	}
	return args, false
}

// span is a time of the form that spanForm asks for.
func span(s string) deploy.Span {
	n, _ := strconv.Atoi(s[:len(s)-1]) // digits only
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	return deploy.Span(time.Duration(n) * unit)
}

// reason is a text from outside: on one line, of visible characters, and short.
func reason(words []string) string {
	return cut(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.Join(words, " ")), maxReason)
}

// named puts an environment's name into a usage.
func named(usage, env string) string { return strings.ReplaceAll(usage, "%[1]s", env) }
