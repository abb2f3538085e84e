package webhook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// maxChoices is how many inputs one line may give.
const maxChoices = 20

var (
	pipelineForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)
	inputForm    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)
	stageForm    = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]{0,39}/)?[a-z0-9][a-z0-9_-]{0,39}$`)
)

// stage reads STAGE or PIPELINE/STAGE, or nothing.
func stage(c *deploy.Command, args []string, usage string) string {
	switch {
	case len(args) == 0:
		return ""
	case len(args) > 1 || !stageForm.MatchString(args[0]):
		return fmt.Sprintf("After `/%s` stands the name of a stage, or nothing. Type %s.", c.Verb, usage)
	}
	c.Word = args[0]
	return ""
}

// choices reads the name of a pipeline, and what is chosen for its run. Values stay text from outside, and are never
// repeated.
func choices(c *deploy.Command, args []string, usage string) string {
	if len(args) == 0 || !pipelineForm.MatchString(args[0]) {
		return fmt.Sprintf("After `/%s` stands the name of a pipeline. Type %s.", c.Verb, usage)
	}
	c.Word = args[0]
	for rest := strings.Join(args[1:], " "); rest != ""; {
		name, value, ok := strings.Cut(rest, "=")
		if !ok || !inputForm.MatchString(name) {
			return fmt.Sprintf("After the name of the pipeline stand inputs, each as KEY=VALUE; a value with blanks stands in double quotes. Type %s.", usage)
		}
		if quoted, in := strings.CutPrefix(value, `"`); in {
			if value, rest, ok = strings.Cut(quoted, `"`); !ok || rest != "" && rest[0] != ' ' {
				return fmt.Sprintf("The value of `%s` begins with a double quote, and does not end with one. Type %s.", name, usage)
			}
			rest = strings.TrimPrefix(rest, " ")
		} else {
			value, rest, _ = strings.Cut(value, " ")
		}
		switch {
		case slices.ContainsFunc(c.Inputs, func(in deploy.Input) bool { return in.Name == name }):
			return fmt.Sprintf("The input `%s` stands here twice. Type %s.", name, usage)
		case len(c.Inputs) == maxChoices:
			return fmt.Sprintf("There are more than %d inputs. Type %s.", maxChoices, usage)
		case len([]rune(value)) > pipeline.MaxInput:
			return fmt.Sprintf("The input `%s` has more than %d characters. Type %s.", name, pipeline.MaxInput, usage)
		}
		c.Inputs = append(c.Inputs, deploy.Input{Name: name, Value: value})
	}
	return ""
}
