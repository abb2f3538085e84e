package planfile

import (
	"slices"
	"strings"
)

// combination is one choice of values, in the order of the axes.
type combination struct {
	axes   []string
	values map[string]string
	own    map[string]bool // axes of the matrix itself, which include does not change
}

// combinations are the steps that a matrix makes. It follows what people know from GitHub's own: the product of the axes,
// less what is excluded, then include in the order in which it is written.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrixinclude
func combinations(matrix *value) []combination {
	var all []combination
	for _, f := range matrix.mapping() {
		if f.key == "include" || f.key == "exclude" {
			continue
		}
		if all == nil {
			all = []combination{{values: map[string]string{}, own: map[string]bool{}}}
		}
		var next []combination
		for _, c := range all {
			for _, v := range f.value.list() {
				if len(next) > maxProduct {
					return next // reported as too many; more of it is not worked out
				}
				next = append(next, c.with(f.key, v.word, true))
			}
		}
		all = next
	}
	for _, out := range matrix.get("exclude").list() {
		all = slices.DeleteFunc(all, func(c combination) bool { return c.has(out.mapping()) })
	}
	product := len(all)
	for _, in := range matrix.get("include").list() {
		if len(all) > maxProduct {
			return all
		}
		fits := false
		for i, c := range all[:product] {
			if !c.takes(in.mapping()) {
				continue
			}
			fits = true
			for _, f := range in.mapping() {
				if !c.own[f.key] {
					c = c.with(f.key, f.value.word, false)
				}
			}
			all[i] = c
		}
		if !fits {
			c := combination{values: map[string]string{}, own: map[string]bool{}}
			for _, f := range in.mapping() {
				c = c.with(f.key, f.value.word, false)
			}
			all = append(all, c)
		}
	}
	return all
}

// with is the combination with one more value.
func (c combination) with(axis, word string, own bool) combination {
	next := combination{axes: c.axes, values: map[string]string{}, own: map[string]bool{}}
	for a, w := range c.values {
		next.values[a], next.own[a] = w, c.own[a]
	}
	if _, there := c.values[axis]; !there {
		next.axes = append(slices.Clip(c.axes), axis)
	}
	next.values[axis], next.own[axis] = word, own
	return next
}

func (c combination) has(fields []*field) bool {
	for _, f := range fields {
		if c.values[f.key] != f.value.word {
			return false
		}
	}
	return len(fields) > 0
}

// takes reports whether an include agrees with the combination in all axes of the matrix.
func (c combination) takes(fields []*field) bool {
	for _, f := range fields {
		if c.own[f.key] && c.values[f.key] != f.value.word {
			return false
		}
	}
	return true
}

// label is how the combination is told apart: "go 1.22, linux". A word speaks for itself, and a number does not.
func (c combination) label() string {
	var words []string
	for _, axis := range c.axes {
		word := c.values[axis]
		if first := word[:min(1, len(word))]; strings.ContainsAny(first, "0123456789") || strings.EqualFold(word, "true") || strings.EqualFold(word, "false") {
			word = axis + " " + word
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// expanded are the names of the steps that a step of the file stands for.
func expanded(step *value) (all []string) {
	name := step.get("name").text()
	if step.get("matrix") == nil {
		return []string{name}
	}
	for _, c := range combinations(step.get("matrix")) {
		all = append(all, name+" ("+c.label()+")")
	}
	return all
}

// matrixSense checks what a matrix makes, and returns how many steps that is.
func matrixSense(step *value, m *mistakes) int {
	matrix := step.get("matrix")
	if !matrix.is(mapping) {
		return 1
	}
	axes := map[string][]string{}
	var order []string
	for _, f := range matrix.mapping() {
		if f.key == "include" || f.key == "exclude" {
			continue
		}
		order = append(order, f.key)
		for _, v := range f.value.list() {
			if slices.Contains(axes[f.key], v.word) {
				m.add(v.at, "keep one", "%s stands here twice", quote(v.word))
			}
			axes[f.key] = append(axes[f.key], v.word)
		}
	}
	for _, out := range matrix.get("exclude").list() {
		for _, f := range out.mapping() {
			switch values, known := axes[f.key]; {
			case !known:
				m.add(f.at, meant(f.key, order, "the matrix has", "write the axis first"), "the matrix has no axis %s", quote(f.key))
			case !slices.Contains(values, f.value.word):
				m.add(f.value.at, meant(f.value.word, values, "it has", ""), "the axis %s has no value %s", quote(f.key), quote(f.value.word))
			}
		}
	}
	if len(order) == 0 && matrix.get("include") == nil {
		m.add(matrix.at, "write axes with their values, for example matrix: {go: [1.21, 1.22]}", "this matrix has no axis")
		return 1
	}
	names := expanded(step)
	switch n := len(names); {
	case n == 0:
		m.add(matrix.at, "leave fewer out", "this matrix makes no step at all")
	case n > maxMatrix:
		m.add(matrix.at, "leave some out with exclude, or split the step", "this matrix makes more than %d steps", maxMatrix)
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			m.add(matrix.at, "tell them apart with a value", "this matrix makes the step %s twice", quote(names[i]))
			break
		}
	}
	if a := step.get("artifact"); a != nil {
		m.add(a.at, "make it in a step of its own, without matrix", "each step of a matrix would make an artifact of the same name")
	}
	return len(names)
}
