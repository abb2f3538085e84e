package planfile

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/planfile/condition"
)

func ifRule(about string) *rule {
	const says = `write a condition, for example event == "push" && branch == "main"`
	return &rule{about: about, example: `"event == 'push' && branch == 'main'"`, kind: text, scalar: true,
		words: &wording{longest: condition.MaxLength, says: says}}
}

// conditionSense compiles the conditions of a step and of its stage, so that a mistake in one is told with its place
// before anything runs.
func (g graph) conditionSense(stage *value, name string, n *node, m *mistakes) {
	for _, v := range []*value{stage.get("if"), n.step.get("if")} {
		if v == nil || strings.TrimSpace(v.word) == "" {
			continue
		}
		c, faults := condition.Compile(v.word)
		for _, f := range faults {
			switch {
			case f.Unknown != "":
				m.add(v.within(f.At), meant(f.Unknown, condition.Names(), "a condition knows", ""), "the condition asks for %s, which means nothing here", quote(f.Unknown))
			case f.At == 0 && strings.HasPrefix(f.Message, "is "):
				m.add(v.at, `compare it with something, for example pull != 0`, "the condition %s", shorten(f.Message, 200))
			default:
				m.add(v.within(f.At), "conditions are written in CEL: https://cel.dev", "the condition: %s", shorten(f.Message, 200))
			}
		}
		if c == nil {
			continue
		}
		for _, ref := range c.Steps {
			other := g.find(ref.Name)
			switch {
			case other == nil:
				m.add(v.within(ref.At), meant(ref.Name, g.order, "the file's steps are", ""), "there is no step %s", quote(ref.Name))
			case !g.comesBefore(other.step.get("name").text(), name):
				m.add(v.within(ref.At), fmt.Sprintf("write needs: [%s], or move the step to a later stage", ref.Name), "the step %s may not be over yet when %s is asked", quote(ref.Name), quote(name))
			}
		}
	}
}

// within is the place of a character of a text that stands on one line.
func (v *value) within(at int) place {
	return place{line: v.at.line, column: v.at.column + v.inset + at, file: v.at.file}
}

// conditionOf joins the condition of a stage and that of a step. After says that it is asked after a failure, too.
func conditionOf(stage, step *value) (text string, after bool) {
	var all []string
	for _, v := range []*value{stage.get("if"), step.get("if")} {
		if v != nil {
			all = append(all, v.word)
			if c, _ := condition.Compile(v.word); c != nil && c.After {
				after = true
			}
		}
	}
	if len(all) == 2 {
		return "(" + all[0] + ") && (" + all[1] + ")", after
	}
	return strings.Join(all, ""), after
}
