package planfile

import (
	"fmt"
	"slices"
	"strings"
)

// graph is who waits for whom, by the steps' names in the file.
type graph struct {
	order []string // as written
	nodes map[string]*node
}

type node struct {
	step  *value
	stage int
	needs []string // nil stands for all stages before
	all   []string // the names of the steps that it makes
}

func makeGraph(root *value) graph {
	g := graph{nodes: map[string]*node{}}
	for i, stage := range root.get("stages").list() {
		for _, step := range stage.get("steps").list() {
			name := step.get("name").text()
			if _, twice := g.nodes[name]; name == "" || twice {
				continue // reported elsewhere
			}
			n := &node{step: step, stage: i, all: expanded(step)}
			if v := step.get("needs"); v != nil {
				n.needs = []string{}
				for _, item := range needed(v) {
					n.needs = append(n.needs, item.text())
				}
			}
			g.nodes[name], g.order = n, append(g.order, name)
		}
	}
	return g
}

// needed are the names of needs, of which one may stand alone.
func needed(v *value) []*value {
	if v.is(text) {
		return []*value{v}
	}
	return v.list()
}

// find is the step of the file that a name means: its own name, or that of one combination of its matrix.
func (g graph) find(name string) *node {
	if n := g.nodes[name]; n != nil {
		return n
	}
	base, _, _ := strings.Cut(name, " (")
	if n := g.nodes[base]; n != nil && slices.Contains(n.all, name) {
		return n
	}
	return nil
}

// sense checks that what is needed is there, that it comes before, and that nothing waits for itself.
func (g graph) sense(m *mistakes) {
	for _, name := range g.order {
		n := g.nodes[name]
		seen := map[string]bool{}
		for _, item := range needed(n.step.get("needs")) {
			other := g.find(item.text())
			switch {
			case item.text() == "":
			case seen[item.text()]:
				m.add(item.at, "keep one", "%s stands here twice", quote(item.text()))
			case other == nil:
				m.add(item.at, meant(item.text(), g.order, "the file's steps are", "write the name of a step"), "there is no step %s", quote(item.text()))
			case other == n:
				m.add(item.at, "remove it", "a step cannot need itself")
			case other.stage > n.stage:
				m.add(item.at, "move one of them; a step needs steps of its own stage or of earlier ones", "the step %s stands in a later stage", quote(item.text()))
			}
			seen[item.text()] = true
		}
	}
	g.cycles(m)
}

// cycles names the steps of each circle, once.
func (g graph) cycles(m *mistakes) {
	done := map[string]bool{}
	var path []string
	var walk func(name string)
	walk = func(name string) {
		if at := slices.Index(path, name); at >= 0 {
			circle := append(slices.Clone(path[at:]), name)
			v := g.nodes[name].step.get("needs")
			m.add(v.at, "remove one of them", "these steps wait for each other: %s", shorten(strings.Join(circle, " needs "), 300))
			return
		}
		if done[name] {
			return
		}
		path = append(path, name)
		for _, need := range g.nodes[name].needs {
			if n := g.find(need); n != nil && n != g.nodes[name] {
				walk(n.step.get("name").text())
			}
		}
		path = path[:len(path)-1]
		done[name] = true
	}
	for _, name := range g.order {
		walk(name)
	}
}

// comesBefore reports whether a step is always over when another one starts.
func (g graph) comesBefore(first, then string) bool {
	seen := map[string]bool{}
	var look func(name string) bool
	look = func(name string) bool {
		n := g.nodes[name]
		if n == nil || seen[name] {
			return false
		}
		seen[name] = true
		if n.needs == nil {
			return g.nodes[first].stage < n.stage // all stages before, and what those wait for
		}
		for _, need := range n.needs {
			if other := g.find(need); other != nil {
				base := other.step.get("name").text()
				if base == first || look(base) {
					return true
				}
			}
		}
		return false
	}
	return first != then && g.nodes[first] != nil && look(then)
}

// resolve are the names of all steps that a step's needs mean.
func (g graph) resolve(n *node) (all []string) {
	for _, need := range n.needs {
		other := g.find(need)
		if other == nil {
			continue
		}
		if other != g.nodes[need] {
			all = append(all, need) // one combination
			continue
		}
		all = append(all, other.all...)
	}
	return all
}

// takeSense checks what a step takes from others.
func (g graph) takeSense(name string, n *node, m *mistakes) {
	for _, f := range n.step.get("env").mapping() {
		from := f.value.get("from")
		step, _, ok := outputOf(from.text())
		if !ok {
			continue
		}
		switch other := g.nodes[step]; {
		case other == nil:
			m.add(from.at, meant(step, g.order, "the file's steps are", "write the name of a step"), "there is no step %s", quote(step))
		case other.step.get("matrix") != nil:
			m.add(from.at, "put the value out in a step without matrix", "the step %s has a matrix, so that it is several", quote(step))
		case !g.comesBefore(step, name):
			m.add(from.at, fmt.Sprintf("write needs: [%s], or move the step to a later stage", step), "the step %s may not be over yet when this one starts", quote(step))
		}
	}
}

// outputOf reads steps.<step>.outputs.<name>.
func outputOf(word string) (step, name string, ok bool) {
	parts := strings.Split(word, ".")
	if len(parts) != 4 || parts[0] != "steps" || parts[2] != "outputs" {
		return "", "", false
	}
	return parts[1], parts[3], true
}
