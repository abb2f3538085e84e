package planfile

import (
	"maps"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// steps are the steps that one step of the file makes: itself, or one for each combination of its matrix.
func steps(root, stage, v *value, g graph) (all []pipeline.Step) {
	one := step(v)
	n := g.nodes[one.Name]
	one.Needs, one.AtOnce = g.resolve(n), n.needs != nil && len(n.needs) == 0
	one.If, one.After = conditionOf(stage, v)
	for _, outer := range []*value{stage, root} {
		for name, word := range variables(outer.get("env")) {
			_, taken := one.Take[name]
			if _, own := one.Env[name]; own || taken {
				continue
			}
			if one.Env == nil {
				one.Env = map[string]string{}
			}
			one.Env[name] = word
		}
	}
	if v.get("matrix") == nil {
		return []pipeline.Step{one}
	}
	for _, c := range combinations(v.get("matrix")) {
		s := one
		s.Name, s.Of, s.Env = one.Name+" ("+c.label()+")", one.Name, maps.Clone(one.Env)
		if s.Env == nil {
			s.Env = map[string]string{}
		}
		for axis, word := range c.values {
			s.Env["MATRIX_"+strings.ToUpper(axis)] = word
		}
		all = append(all, s)
	}
	return all
}

func step(v *value) pipeline.Step {
	s := pipeline.Step{
		Name: v.get("name").text(), Image: v.get("image").text(), Root: v.get("user").text() == "root", Run: v.get("run").text(), Buildspec: strings.TrimPrefix(v.get("buildspec").text(), "./"),
		Env: variables(v.get("env")),
		Dir: tidyFolder(v.get("dir").text()), Shell: shell(v.get("shell")),
		Timeout: orDefault(v.get("timeout"), pipeline.Duration(defaultTimeout)), MayFail: isTrue(v.get("allow_failure")),
		Reports: reports(v.get("reports")),
	}
	if v.get("retries") != nil {
		s.Retries = countOf(v.get("retries"))
	}
	s.Limits, s.Services = resources(v.get("resources")), services(v.get("services"))
	for _, f := range v.get("env").mapping() {
		step, name, ok := outputOf(f.value.get("from").text())
		if !ok {
			continue
		}
		if s.Take == nil {
			s.Take = map[string]pipeline.Output{}
		}
		s.Take[f.key] = pipeline.Output{Step: step, Name: name}
	}
	s.Network = pipeline.Network(v.get("network").text())
	if a := v.get("artifact"); a != nil {
		s.Artifact = &pipeline.ArtifactSpec{Name: a.get("name").text(), Paths: texts(a.get("paths"), true)}
	}
	s.Inputs = inputs(v.get("input_artifacts"))
	s.Secrets, s.Cache = secrets(v.get("secrets")), cache(v.get("cache"))
	return s
}

func resources(v *value) (r pipeline.Resources) {
	if v != nil {
		r.Memory = memory(v.get("memory").text())
		r.CPUs, _ = strconv.ParseFloat(wordOf(v.get("cpu")), 64)    // the grammar has seen to it
		r.PIDs, _ = strconv.ParseInt(wordOf(v.get("pids")), 10, 64) // the same
	}
	return r
}

// variables are those with a value of their own.
func variables(env *value) (all map[string]string) {
	for _, f := range env.mapping() {
		if f.value.is(mapping) {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[f.key] = f.value.word
	}
	return all
}

// tidyFolder is a working directory in the one form that is passed on: empty for the top.
func tidyFolder(dir string) string {
	var parts []string
	for part := range strings.SplitSeq(dir, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

func shell(v *value) []string {
	if v.is(text) {
		return shells[v.text()]
	}
	return texts(v, false)
}
