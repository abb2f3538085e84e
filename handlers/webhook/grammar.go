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
	spanForm   = regexp.MustCompile(`^[1-9][0-9]{0,5}[smhd]$`)
)

// rule says what follows a verb. Verbs and names are in small letters.
type rule struct {
	verb  deploy.Verb
	usage string // %[1]s is the environment
	read  func(c *deploy.Command, args []string, usage string) (problem string)
}

var grammar = []rule{
	{deploy.Test, "`/test` or `/test STAGE`", stage},
	{deploy.Retest, "`/retest` or `/retest failed`", oneOf("", "failed")},
	{deploy.Cancel, "`/cancel`", alone},
	{deploy.Start, "`/run PIPELINE` or `/run PIPELINE KEY=VALUE`", choices},
	{deploy.OkToTest, "`/ok-to-test SHA`", commitOnly},
	{deploy.Approve, "`/approve %[1]s` or `/approve %[1]s@SHA`", target},
	{deploy.Reject, "`/reject %[1]s` or `/reject %[1]s@SHA REASON`", targetAndReason},
	{deploy.Promote, "`/deploy %[1]s` or `/deploy %[1]s@SHA`", target},
	{deploy.Onward, "`/promote %[1]s` or `/promote %[1]s@SHA`", target},
	{deploy.Rollback, "`/rollback %[1]s` or `/rollback %[1]s DIGEST`", release},
	{deploy.TakeLock, "`/lock %[1]s REASON for 2h`", hold},
	{deploy.EndLock, "`/unlock %[1]s` or `/unlock %[1]s REASON`", targetAndReason},
	{deploy.TakeFreeze, "`/freeze`, `/freeze ENV` or `/freeze ENV REASON for 2h`", freeze},
	{deploy.EndFreeze, "`/unfreeze` or `/unfreeze ENV`", perhaps(environment)},
	{deploy.Preview, "`/preview keep`, `/preview keep 3d` or `/preview stop`", preview},
	{deploy.Plan, "`/plan promote %[1]s` or `/plan deploy %[1]s`", plan},
	{deploy.Why, "`/why`, `/why STEP` or `/why ENV`", aName("the name of a step, a stage or an environment")},
	{deploy.Can, "`/can` or `/can ENV`", perhaps(environment)},
	{deploy.Doctor, "`/doctor`", alone},
	{deploy.Help, "`/help` or `/help COMMAND`", help},
}

// elsewhere are the words that other tools have for our verbs.
var elsewhere = map[string]deploy.Verb{
	"ship": deploy.Promote, "release": deploy.Promote,
	"approved": deploy.Approve, "lgtm": deploy.Approve,
	"revert": deploy.Rollback, "undo": deploy.Rollback,
	"recheck": deploy.Retest, "rerun": deploy.Retest, "retry": deploy.Retest,
	"stop": deploy.Cancel, "abort": deploy.Cancel,
	"deny": deploy.Reject, "decline": deploy.Reject,
	"thaw": deploy.EndFreeze, "explain": deploy.Why, "wcid": deploy.Can, "noop": deploy.Plan,
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
		if verb == string(rule.verb) {
			said := deploy.Command{Verb: rule.verb, Line: c.Line}
			if problem := rule.read(&said, args, rule.usage); problem != "" {
				return deploy.Command{Verb: rule.verb, Line: c.Line, Problem: problem}, true // and nothing of it is filled in
			}
			return said, true
		}
	}
	c.Verb, c.Problem = deploy.Unknown, unknown(verb, args)
	return c, true
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
	for _, rule := range grammar { // of a short verb, few letters may be wrong
		if d := distance(word, string(rule.verb)); d < least && 2*d <= len(rule.verb) {
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
