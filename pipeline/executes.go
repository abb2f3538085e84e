package pipeline

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Executed is a changed file that is run, or says what is run, when the plan's steps are.
type Executed struct {
	Path string
	Why  string // one sentence
}

// Executes finds, among changed paths, those that execute in CI: for someone who decides whether a stranger's change may
// be run, they are what to read first. It goes by names, and says too much rather than too little; code that a test or a
// build only calls is not among them, so that nothing is safe because it is not listed.
//
// What the plan itself names comes first, then the rest, by path.
func Executes(plan Plan, changed []string) []Executed {
	var named, known []Executed
	named = append(named, executedPlan(plan, changed)...)
	words := scriptWords(plan)
	for _, p := range changed {
		if p == plan.Path() {
			continue
		}
		if slices.Contains(plan.Uses, p) {
			named = append(named, Executed{p, "It is a part of the plan. The change has no effect here, because it is read at the base; it has after the merge."})
			continue
		}
		if step := buildspecOf(plan, p); step != "" {
			named = append(named, Executed{p, "The commands of the step " + step + " stand in it. The change has no effect here, because it is read at the base; it has after the merge."})
			continue
		}
		if step := namedBy(words, p); step != "" {
			named = append(named, Executed{p, "The step " + step + " names it."})
			continue
		}
		if why := executesByName(p); why != "" {
			known = append(known, Executed{p, why})
		}
	}
	byPath := func(a, b Executed) int { return strings.Compare(a.Path, b.Path) }
	slices.SortStableFunc(named, byPath)
	slices.SortStableFunc(known, byPath)
	return append(named, known...)
}

func executedPlan(plan Plan, changed []string) []Executed {
	if slices.Contains(changed, plan.Path()) {
		return []Executed{{plan.Path(), "It is the plan. The change has no effect here, because the plan is read at the base; it has after the merge."}}
	}
	return nil
}

// buildspecOf is the step whose commands stand in a file.
func buildspecOf(plan Plan, path string) string {
	for _, stage := range plan.Stages {
		for _, step := range stage.Steps {
			if step.Buildspec == path {
				return step.Name
			}
		}
	}
	return ""
}

// scriptWord is a word of a step's script that may name a file.
type scriptWord struct{ step, word string }

var wordBreaks = regexp.MustCompile("[\\s;&|()<>\"'`$={},]+")

// scriptWords are the words of all scripts that may name a file or a folder.
func scriptWords(plan Plan) (words []scriptWord) {
	for _, stage := range plan.Stages {
		for _, step := range stage.Steps {
			for _, w := range wordBreaks.Split(step.Run+" "+step.Spec, -1) {
				here := strings.HasPrefix(w, "./") // however far down, after a cd
				w = strings.TrimSuffix(strings.TrimPrefix(w, "./"), "/")
				if w == "" || strings.HasPrefix(w, "-") || strings.HasPrefix(w, "/") || strings.Trim(w, ".*/") == "" {
					continue
				}
				if here || strings.ContainsAny(w, "./*") || !common(w) {
					words = append(words, scriptWord{step.Name, w})
				}
			}
		}
	}
	return words
}

// common reports whether a word names a program more likely than a folder of the tree.
func common(w string) bool {
	return slices.Contains(strings.Fields("build check ci install lint node python run test tests start make go npm npx yarn pnpm cargo exec bash sh env cd set echo cp mv rm mkdir cat"), w)
}

// namedBy is the step whose script names a path: itself, a folder that holds it, a glob, or its end after a cd.
func namedBy(words []scriptWord, p string) string {
	for _, w := range words {
		if p == w.word || strings.HasPrefix(p, w.word+"/") {
			return w.step
		}
		if strings.Contains(w.word, ".") && strings.HasSuffix(p, "/"+w.word) {
			return w.step
		}
		if ok, err := path.Match(w.word, p); ok && err == nil {
			return w.step
		}
	}
	return ""
}
