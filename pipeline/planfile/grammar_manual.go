package planfile

import (
	"slices"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// The bounds of what a person may choose.
const (
	maxInputs  = 20
	maxOptions = 50
)

// manualRule lets people start runs, with inputs.
func manualRule() *rule {
	const says = "write {} when there is nothing to choose, or inputs: with a name for each"
	return &rule{
		about:   "Let people who may write start a run without a push: by /run NAME in a pull request, or by conveyor start. Nothing that it makes is offered to an environment.",
		example: `{"inputs": {"level": {"type": "choice", "options": ["low", "high"], "default": "low"}}}`,
		kind:    mapping, hint: says, keys: []key{
			{name: "inputs", rule: &rule{
				about: "What the person may choose. Steps see it as environment variables: INPUT_LEVEL for level.", example: `{"level": {"required": true}}`,
				kind: mapping, least: 1, most: maxInputs, hint: "write for example inputs: {level: {type: choice, options: [low, high]}}", called: "the input",
				names: &wording{pattern: `^[a-z][a-z0-9_-]{0,39}$`, longest: 100, says: "use lower-case letters, digits, - and _, a letter first, 40 characters at most"},
				rest: &rule{about: "One input.", example: `{"type": "bool", "default": false}`, kind: mapping, hint: "write {} for a text, or {type: bool}", keys: []key{
					{name: "description", rule: &rule{about: "What it is for, in one line.", example: `"How much is said"`, kind: text, words: &wording{longest: 200, says: "write one line of 200 characters at most"}}},
					{name: "type", rule: &rule{about: "string (as when it is left out), bool or choice.", example: `"choice"`, kind: text,
						words: &wording{oneOf: []string{"string", "bool", "choice"}, says: "write string, bool or choice"}}},
					{name: "options", rule: &rule{about: "The values of a choice.", example: `["low", "high"]`, kind: list, least: 1, most: maxOptions, hint: "write for example options: [low, high]",
						item: &rule{about: "One value.", example: `"low"`, kind: text, scalar: true, words: &wording{longest: 100, says: "write one line of 100 characters at most"}}}},
					{name: "default", rule: &rule{about: "The value when the person names none.", example: `"low"`, kind: text, scalar: true,
						words: &wording{longest: pipeline.MaxInput, says: "write one line of text"}}},
					{name: "required", rule: &rule{about: "Whether a run needs a value that is not empty.", example: `true`, kind: flag, hint: "write true or false"}},
				}},
			}},
		},
	}
}

// manualSense checks that each input can be had, and has a variable of its own.
func manualSense(root *value, m *mistakes) {
	seen := map[string]string{}
	for _, f := range root.get("on").get("manual").get("inputs").mapping() {
		in, options := input(f), f.value.get("options")
		if other, twice := seen[in.Variable()]; twice {
			m.add(f.at, "give it another name", "%s and %s would both be %s", quote(other), quote(f.key), in.Variable())
		}
		seen[in.Variable()] = f.key
		switch {
		case in.Type == pipeline.ChoiceInput && options == nil:
			m.add(f.at, "write for example options: [low, high]", "%s is missing in the input %s", quote("options"), quote(f.key))
			continue
		case in.Type != pipeline.ChoiceInput && options != nil:
			m.add(options.at, "write type: choice", "options are for a choice, and %s is none", quote(f.key))
			continue
		}
		for i, option := range in.Options {
			if slices.Contains(in.Options[:i], option) {
				m.add(options.items[i].at, "keep one", "%s stands here twice", quote(option))
			}
			if wrong := (pipeline.Input{Type: pipeline.TextInput}).Check(option); wrong != "" {
				m.add(options.items[i].at, "", "an option %s", wrong)
			}
		}
		if in.Default != nil && (in.Type != pipeline.ChoiceInput || len(in.Options) > 0) {
			if wrong := in.Check(*in.Default); wrong != "" {
				m.add(f.value.get("default").at, "", "the input %s %s", quote(f.key), wrong)
			}
		}
	}
}

// manual is who may start runs by hand, nil when nobody may.
func manual(v *value) *pipeline.Manual {
	if v == nil {
		return nil
	}
	all := &pipeline.Manual{}
	for _, f := range v.get("inputs").mapping() {
		all.Inputs = append(all.Inputs, input(f))
	}
	return all
}

func input(f *field) pipeline.Input {
	v := f.value
	in := pipeline.Input{Name: f.key, About: v.get("description").text(), Type: pipeline.InputKind(v.get("type").text()), Required: isTrue(v.get("required"))}
	if in.Type == "" {
		in.Type = pipeline.TextInput
	}
	for _, option := range v.get("options").list() {
		in.Options = append(in.Options, option.word)
	}
	if d := v.get("default"); d != nil {
		word := d.word
		if in.Type == pipeline.FlagInput && d.is(flag) {
			word = map[bool]string{true: "true", false: "false"}[isTrue(d)]
		}
		in.Default = &word
	}
	return in
}
