package buildspec

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Batch are the builds that one buildspec asks for.
type Batch struct {
	FastFail bool     `json:"fast_fail,omitempty"`
	Kind     string   `json:"kind"`   // "build-list", "build-graph" or "build-matrix"
	Builds   []Member `json:"builds"` // a matrix is multiplied out already
}

// Member is one build of a batch.
type Member struct {
	ID            string   `json:"id"`
	Buildspec     string   `json:"buildspec,omitempty"` // a path; the file itself when empty
	Needs         []string `json:"needs,omitempty"`
	Vars          []Var    `json:"variables,omitempty"`
	IgnoreFailure bool     `json:"ignore_failure,omitempty"`
}

const maxBuilds = 100 // AWS's limit of builds in a batch

func (r *reader) batch(n *yaml.Node) *Batch {
	if absent(n) || !r.mapping(n, "batch", "write build-list, build-matrix or build-graph below it") {
		return nil
	}
	kinds := []string{"build-list", "build-graph", "build-matrix", "build-fanout"}
	r.keys(n, "batch", append([]string{"fast-fail"}, kinds...)...)
	b := &Batch{FastFail: r.flag(find(n, "fast-fail"), "fast-fail")}
	if b.FastFail {
		r.warn(find(n, "fast-fail"), "", "fast-fail has no effect: when one build fails, the others run to their end")
	}
	for _, kind := range kinds {
		of := find(n, kind)
		if absent(of) {
			continue
		}
		if b.Kind != "" {
			r.mistake(of, "keep one of them", "a batch is %s or %s, and not both", b.Kind, kind)
			return nil
		}
		switch b.Kind = kind; kind {
		case "build-matrix":
			b.Builds = r.matrix(of)
		case "build-fanout":
			r.mistake(of, "write a build-list, and divide the tests by a variable", "build-fanout is not supported")
		default:
			b.Builds = r.list(of, kind)
		}
	}
	if b.Kind == "" {
		r.mistake(n, "write build-list, build-matrix or build-graph below it", "batch asks for no build")
		return nil
	}
	if len(b.Builds) > maxBuilds {
		r.mistake(n, "leave some out", "a batch has at most %d builds, and this one has %d", maxBuilds, len(b.Builds))
		return nil
	}
	r.graph(n, b)
	return b
}

func (r *reader) list(n *yaml.Node, kind string) (builds []Member) {
	if n.Kind != yaml.SequenceNode {
		r.mistake(n, "write - identifier: and, below it, what differs", "%s must be a list, and this is %s", quote(kind), kindOf(n))
		return nil
	}
	known := []string{"identifier", "buildspec", "env", "ignore-failure", "debug-session"}
	if kind == "build-graph" {
		known = append(known, "depend-on")
	}
	for i, item := range n.Content {
		if !r.mapping(item, kind, "write - identifier: and, below it, what differs") {
			continue
		}
		r.keys(item, kind, known...)
		b := Member{IgnoreFailure: r.ignoreFailure(item)}
		b.ID, _ = r.text(find(item, "identifier"), "identifier")
		if b.ID == "" && kind == "build-graph" {
			r.mistake(item, "give it one, for example identifier: build1", "%s is missing", quote("identifier"))
		}
		if b.ID == "" {
			b.ID = fmt.Sprintf("build%d", i)
		}
		if ArtifactName(b.ID) == "" {
			r.mistake(find(item, "identifier"), "use letters, digits and _, 40 at most", "%s is no identifier of a build", quote(b.ID))
		}
		b.Buildspec, _ = r.text(find(item, "buildspec"), "buildspec")
		if kind == "build-graph" {
			b.Needs = r.texts(find(item, "depend-on"), "depend-on")
		}
		r.noDebug(item)
		b.Vars = r.machine(find(item, "env"))
		builds = append(builds, b)
	}
	return builds
}

func (r *reader) ignoreFailure(n *yaml.Node) bool {
	ignore := r.flag(find(n, "ignore-failure"), "ignore-failure")
	if ignore {
		r.warn(find(n, "ignore-failure"), "let its last command succeed, for example with || true", "ignore-failure has no effect: a build that fails makes its stage fail")
	}
	return ignore
}

func (r *reader) noDebug(n *yaml.Node) {
	if debug := find(n, "debug-session"); r.flag(debug, "debug-session") {
		r.warn(debug, "read the log, or run the commands on your machine", "debug-session has no effect: nobody can enter a sandbox")
	}
}

// machine reads the env of a build in a batch. Only its variables mean something: all of them run as the step does.
func (r *reader) machine(n *yaml.Node) []Var {
	if absent(n) || !r.mapping(n, "env", "write for example env: {variables: {KEY: value}}") {
		return nil
	}
	r.keys(n, "env", "compute-type", "fleet", "image", "type", "privileged-mode", "variables")
	for _, key := range []string{"compute-type", "fleet", "image", "type"} {
		if of := find(n, key); !absent(of) {
			r.warn(of, "remove it, or leave it for CodeBuild", "%s has no effect: all builds have the image and the limits of the step", key)
		}
	}
	if of := find(n, "privileged-mode"); r.flag(of, "privileged-mode") {
		r.warn(of, "build images with a tool that needs no daemon", "privileged-mode has no effect: there is no Docker daemon in a sandbox")
	}
	return r.variables(find(n, "variables"), "variables")
}

// matrix multiplies the lists of the dynamic part out, the last one fastest.
func (r *reader) matrix(n *yaml.Node) (builds []Member) {
	if !r.mapping(n, "build-matrix", "write static and dynamic below it") {
		return nil
	}
	r.keys(n, "build-matrix", "static", "dynamic")
	var common Member
	if static := find(n, "static"); !absent(static) && r.mapping(static, "static", "write ignore-failure or env below it") {
		r.keys(static, "static", "ignore-failure", "env", "debug-session")
		common.IgnoreFailure = r.ignoreFailure(static)
		r.noDebug(static)
		common.Vars = r.machine(find(static, "env"))
	}
	builds = []Member{common}
	dynamic := find(n, "dynamic")
	if absent(dynamic) || !r.mapping(dynamic, "dynamic", "write buildspec or env below it") {
		r.mistake(n, "write what differs below dynamic", "%s is missing in %s", quote("dynamic"), quote("build-matrix"))
		return nil
	}
	r.keys(dynamic, "dynamic", "buildspec", "env")
	times := func(words []string, set func(*Member, string)) {
		if len(words) == 0 || len(builds)*len(words) > 10*maxBuilds {
			return
		}
		var all []Member
		for _, b := range builds {
			for _, w := range words {
				one := b
				one.Vars = slices.Clone(b.Vars)
				set(&one, w)
				all = append(all, one)
			}
		}
		builds = all
	}
	times(r.texts(find(dynamic, "buildspec"), "buildspec"), func(b *Member, w string) { b.Buildspec = w })
	if env := find(dynamic, "env"); !absent(env) && r.mapping(env, "env", "write variables below it") {
		r.keys(env, "env", "compute-type", "image", "variables")
		for _, key := range []string{"compute-type", "image"} {
			if words := r.texts(find(env, key), key); len(words) > 0 {
				r.warn(find(env, key), "choose the tool's version by a variable instead", "%s has no effect: the builds that differ only in it are the same here", key)
				times(words, func(*Member, string) {})
			}
		}
		vars := find(env, "variables")
		if !absent(vars) && r.mapping(vars, "variables", "write names and lists of values") {
			for i := 0; i+1 < len(vars.Content); i += 2 {
				name := vars.Content[i]
				if !variableName.MatchString(name.Value) {
					r.mistake(name, "use letters, digits and _, and no digit first", "%s is no name of a variable", quote(name.Value))
				}
				times(r.texts(vars.Content[i+1], name.Value), func(b *Member, w string) { b.Vars = append(b.Vars, Var{name.Value, w}) })
			}
		}
	}
	for i := range builds {
		builds[i].ID = fmt.Sprintf("build%d", i)
	}
	return builds
}

// graph wants identifiers that differ, and a graph in which everything can run.
func (r *reader) graph(n *yaml.Node, b *Batch) {
	at := map[string]int{}
	for i, one := range b.Builds {
		id := strings.ToLower(one.ID)
		if _, twice := at[id]; twice {
			r.mistake(n, "give one of them another", "two builds of the batch have the identifier %s", quote(one.ID))
		}
		at[id] = i
	}
	left := make([]int, len(b.Builds))
	for i, one := range b.Builds {
		for _, need := range one.Needs {
			if _, known := at[strings.ToLower(need)]; !known {
				r.mistake(n, "name the identifier of another build", "%s depends on %s, which is no build of the batch", quote(one.ID), quote(need))
				continue
			}
			left[i]++
		}
	}
	for done := 0; done < len(b.Builds); {
		i := slices.Index(left, 0)
		if i < 0 {
			r.mistake(n, "remove one of the dependencies", "the builds of the batch wait for each other in a circle")
			return
		}
		left[i] = -1
		done++
		for j, other := range b.Builds {
			for _, need := range other.Needs {
				if strings.EqualFold(need, b.Builds[i].ID) && left[j] > 0 {
					left[j]--
				}
			}
		}
	}
}
