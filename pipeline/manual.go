package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Manual says that people may start runs of a plan, and what they may choose.
type Manual struct {
	Inputs []Input `json:"inputs,omitempty"` // as written
}

// InputKind says which values an input takes.
type InputKind string

// The kinds.
const (
	TextInput   InputKind = "string"
	FlagInput   InputKind = "bool"
	ChoiceInput InputKind = "choice"
)

// Input is a value that who starts a run may choose. Steps see it as an environment variable, and in no other way.
type Input struct {
	Name     string    `json:"name"`
	About    string    `json:"about,omitempty"`
	Type     InputKind `json:"type"`
	Options  []string  `json:"options,omitempty"` // of a choice
	Default  *string   `json:"default,omitempty"`
	Required bool      `json:"required,omitempty"`
}

// MaxInput is how long a value may be, in characters.
const MaxInput = 1000

// Variable is the environment variable that holds an input.
func (i Input) Variable() string {
	return "INPUT_" + strings.ToUpper(strings.ReplaceAll(i.Name, "-", "_"))
}

// Check says what is wrong with a value, in the words that follow the input's name, or nothing.
func (i Input) Check(value string) (wrong string) {
	switch {
	case i.Type == ChoiceInput && !slices.Contains(i.Options, value):
		return "must be one of " + strings.Join(i.Options, ", ")
	case i.Type == FlagInput && value != "true" && value != "false":
		return "must be true or false"
	case len([]rune(value)) > MaxInput:
		return fmt.Sprintf("may have %d characters at most", MaxInput)
	case strings.ContainsFunc(value, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }):
		return "must be one line of characters that can be seen"
	}
	return ""
}

// Form says how an input is given: "level=low|high".
func (i Input) Form() string {
	switch i.Type {
	case ChoiceInput:
		return i.Name + "=" + strings.Join(i.Options, "|")
	case FlagInput:
		return i.Name + "=true|false"
	}
	return i.Name + "=…"
}

// Take checks what someone has chosen, and fills in the defaults. What is wrong is said in sentences that repeat no value.
func (m Manual) Take(given map[string]string) (values map[string]string, wrong []string) {
	values = map[string]string{}
	var known []string
	for _, in := range m.Inputs {
		known = append(known, in.Name)
		value, there := given[in.Name]
		if !there && in.Default != nil {
			value, there = *in.Default, true
		}
		switch {
		case !there && in.Required:
			wrong = append(wrong, fmt.Sprintf("the input %s is missing: write %s", in.Name, in.Form()))
		case there && in.Required && value == "":
			wrong = append(wrong, fmt.Sprintf("the input %s is empty: write %s", in.Name, in.Form()))
		case there:
			if no := in.Check(value); no != "" {
				wrong = append(wrong, fmt.Sprintf("the input %s %s", in.Name, no))
			}
			values[in.Name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			there := "none"
			if len(known) > 0 {
				there = strings.Join(known, ", ")
			}
			wrong = append(wrong, fmt.Sprintf("there is no input %s; there are: %s", name, there))
		}
	}
	return values, wrong
}

// Chosen is a step with the inputs of the run that it belongs to among its variables, so that its digest covers them. They
// take the place of what the plan sets under the same name.
func (s State) Chosen(step Step) Step {
	if s.Trigger.Kind != ByHand || s.Plan.On.Manual == nil || len(s.Trigger.Inputs) == 0 {
		return step
	}
	env := maps.Clone(step.Env)
	if env == nil {
		env = map[string]string{}
	}
	for _, in := range s.Plan.On.Manual.Inputs {
		if value, there := s.Trigger.Inputs[in.Name]; there {
			env[in.Variable()] = value
		}
	}
	step.Env = env
	return step
}
