package planfile

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The limits of files that use others.
const (
	maxUses      = 20 // files of one plan
	maxUsesDepth = 5
)

// uses puts the stages of other files in the place of those that name them. The files are read at the commit of the plan
// and nowhere else; they hold stages, and the env of these.
type uses struct {
	read  func(path string) ([]byte, error)
	m     *mistakes
	count int
	files []string // that were read, each once
}

// expand works on the stages of a file. within are the files that led to it, from the plan's first. It reports whether it
// is worth while to look at the rest: where mistakes have left no stage at all, it is not.
func (u *uses) expand(root *value, within []string) bool {
	stages := root.get("stages")
	if !stages.is(list) {
		return true
	}
	before := len(u.m.found)
	var all []*value
	for _, item := range stages.items {
		f := item.field("uses")
		if f == nil {
			all = append(all, item)
			continue
		}
		for _, other := range item.fields {
			if other != f {
				u.m.add(other.at, "write it in the file that is used", "%s has no meaning beside uses", quote(other.key))
			}
		}
		all = append(all, u.stages(f.value, within)...)
	}
	stages.items = all
	return len(all) > 0 || len(u.m.found) == before
}

// stages are those of a file that is used.
func (u *uses) stages(v *value, within []string) []*value {
	file, hint := usedFile(v)
	switch {
	case file == "":
		u.m.add(v.at, hint, "%s cannot be %s", quote("uses"), quote(v.word))
		return nil
	case slices.Contains(within, file):
		circle := append(slices.Clone(within[slices.Index(within, file):]), file)
		u.m.add(v.at, "remove one of them", "these files use each other: %s", shorten(strings.Join(circle, " uses "), 300))
		return nil
	case len(within) >= maxUsesDepth:
		u.m.add(v.at, "use it in the plan itself", "files use each other more than %d levels deep", maxUsesDepth)
		return nil
	case u.read == nil:
		u.m.add(v.at, "", "%s cannot be read here", quote(file))
		return nil
	}
	if u.count++; u.count > maxUses {
		u.m.add(v.at, "join some of them", "the plan uses more than %d files", maxUses)
		return nil
	}
	data, err := u.read(file)
	if err != nil {
		message := "cannot be read at this commit"
		if errors.Is(err, ErrNoFile) {
			message = "is not there at this commit"
		}
		u.m.add(v.at, "write a path from the top of the repository", "the file %s %s", quote(file), message)
		return nil
	}
	if !slices.Contains(u.files, file) {
		u.files = append(u.files, file)
	}
	before := len(u.m.found)
	root := read(file, data, u.m)
	for i := range u.m.found[before:] {
		u.m.found[before+i].Path = file
	}
	if root == nil {
		return nil
	}
	stamp(root, file)
	if !u.expand(root, append(slices.Clip(within), file)) {
		return nil
	}
	check(root, usedRule(), "", u.m)
	env := root.field("env")
	for _, stage := range root.get("stages").list() {
		inherit(stage, env)
	}
	return root.get("stages").list()
}

// usedFile is the path that uses names, from the top of the repository.
func usedFile(v *value) (file, hint string) {
	const says = "write ./ and a path from the top of the repository, for example uses: ./ci/test.yml"
	file, here := strings.CutPrefix(v.text(), "./")
	ext := path.Ext(file)
	if !here || file != path.Clean(file) || strings.HasPrefix(file, "../") || len(file) > 200 || ext != ".yml" && ext != ".yaml" || strings.ContainsFunc(file, func(r rune) bool { return r < ' ' || r == '\\' || r > '~' }) {
		return "", says
	}
	return file, ""
}

// stamp says of all places of a file in which one they are.
func stamp(v *value, file string) {
	v.at.file = file
	for _, item := range v.items {
		stamp(item, file)
	}
	for _, f := range v.fields {
		f.at.file = file
		stamp(f.value, file)
	}
}

// inherit gives a stage the variables of its file that it does not set itself.
func inherit(stage *value, env *field) {
	if env == nil || !stage.is(mapping) || !env.value.is(mapping) {
		return
	}
	own := stage.field("env")
	if own == nil {
		stage.fields = append(stage.fields, env)
		return
	}
	merged := *own.value
	merged.fields = slices.Clone(own.value.fields)
	for _, f := range env.value.fields {
		if own.value.field(f.key) == nil {
			merged.fields = append(merged.fields, f)
		}
	}
	own.value = &merged
}

// usedRule is what may stand in a file that is used.
func usedRule() *rule {
	stages := stagesRule()
	return &rule{
		kind: mapping, hint: "write stages: and, if they need it, env:",
		keys: []key{
			{name: "env", rule: envRule("Environment variables of all stages of the file.", nil)},
			{name: "stages", needed: true, rule: stages, missing: "write the stages that the plan is to have"},
		},
	}
}

// usesForm is how a stage may be written that stands for those of another file.
func usesForm() *rule {
	return &rule{kind: mapping, keys: []key{
		{name: "uses", needed: true, rule: &rule{
			about: "The stages of another file of the same commit, in the place of this one.", example: `"./ci/test.yml"`,
			kind: text, words: &wording{pattern: `^\./[^\\]{1,200}\.ya?ml$`, says: fmt.Sprintf("write ./ and a path from the top of the repository; at most %d files", maxUses)},
		}},
	}}
}
