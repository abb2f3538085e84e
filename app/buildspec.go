package app

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// buildspecLimit is how large a buildspec may be, in bytes.
const buildspecLimit = buildspec.MaxBytes

// Resolve puts the buildspecs that a plan names into its steps, or says what is wrong in them. read gives a file of the
// repository, source.ErrNoFile when there is none, and source.ErrTooLarge when it has more than buildspec.MaxBytes. text
// is the plan's own.
func Resolve(plan pipeline.Plan, text []byte, read func(path string) ([]byte, error)) (pipeline.Plan, []pipeline.Problem, error) {
	r := &resolver{plan: text, texts: map[string]string{}, read: read}
	if !slices.ContainsFunc(plan.Stages, func(s pipeline.Stage) bool {
		return slices.ContainsFunc(s.Steps, func(step pipeline.Step) bool { return step.Buildspec != "" })
	}) {
		return plan, nil, nil
	}
	stages := slices.Clone(plan.Stages)
	for i, stage := range stages {
		stages[i].Steps = nil
		for _, step := range stage.Steps {
			steps := []pipeline.Step{step}
			if step.Buildspec != "" {
				steps = r.step(step)
			}
			stages[i].Steps = append(stages[i].Steps, steps...)
		}
	}
	plan.Stages = r.needBuilds(plan.Stages, stages)
	r.names(plan)
	if r.err != nil {
		return pipeline.Plan{}, nil, r.err
	}
	if len(r.problems) > 0 {
		return pipeline.Plan{}, r.problems, nil
	}
	return plan, nil, nil
}

// resolver puts buildspecs into a plan.
type resolver struct {
	plan     []byte // the plan's text, to find places in it
	read     func(path string) ([]byte, error)
	texts    map[string]string // what was read already
	problems []pipeline.Problem
	err      error // not a mistake of anyone: the plan is asked for again
}

// wrong adds a mistake at the first line of the plan that holds some words.
func (r *resolver) wrong(words, hint, format string, args ...any) {
	line, column := 1, 1
	if before, _, found := bytes.Cut(r.plan, []byte(words)); found {
		line = bytes.Count(before, []byte("\n")) + 1
		column = len(before) - bytes.LastIndexByte(before, '\n')
	}
	r.problems = append(r.problems, pipeline.Problem{Line: line, Column: column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// load reads a buildspec once. Its mistakes are told once, too.
func (r *resolver) load(path, step string) (s buildspec.Spec, text string, ok bool) {
	text, known := r.texts[path]
	if !known {
		data, err := r.read(path)
		switch {
		case errors.Is(err, source.ErrNoFile):
			r.wrong(path, "commit it, or write the path of another file", "there is no file %s, which the step %s names", path, step)
		case errors.Is(err, source.ErrTooLarge):
			r.wrong(path, "move long scripts into files of the repository", "%s is larger than %d KiB", path, buildspec.MaxBytes>>10)
		case err != nil:
			r.err = errors.Join(r.err, err)
		}
		text = string(data)
		r.texts[path] = text
		if err != nil {
			return s, "", false
		}
	}
	s, found := buildspec.Parse(path, []byte(text))
	if !known && text != "" {
		for _, p := range found.Mistakes {
			p.Path = path
			r.problems = append(r.problems, p)
		}
	}
	return s, text, len(found.Mistakes) == 0 && text != ""
}

// step is a step with its buildspec, or the steps of its batch.
func (r *resolver) step(step pipeline.Step) []pipeline.Step {
	s, text, ok := r.load(step.Buildspec, step.Name)
	if !ok {
		return []pipeline.Step{step}
	}
	if s.Batch == nil {
		return []pipeline.Step{r.one(step, s, text)}
	}
	var steps []pipeline.Step
	for _, b := range s.Batch.Builds {
		one := step
		one.Name = batchName(step, b.ID)
		one.Of = cmp.Or(step.Of, step.Name) // who asks for the step asks for all its builds
		one.BatchID = b.ID
		one.Env = maps.Clone(step.Env)
		for _, v := range b.Vars {
			if sandbox.Reserved(v.Name) {
				r.problems = append(r.problems, pipeline.Problem{Path: step.Buildspec, Line: 1, Column: 1,
					Message: fmt.Sprintf("the batch sets %s for %s, which only commands can set", v.Name, b.ID), Hint: "export it in the install phase"})
				continue
			}
			if _, given := step.Env[v.Name]; !given {
				if one.Env == nil {
					one.Env = map[string]string{}
				}
				one.Env[v.Name] = v.Value
			}
		}
		if step.Artifact != nil {
			one.Artifact = &pipeline.ArtifactSpec{Name: step.Artifact.Name + "-" + buildspec.ArtifactName(b.ID)}
		}
		if len(b.Needs) > 0 { // what those wait for, it waits for with them
			one.AtOnce, one.Needs = false, slices.Clone(step.Needs)
			for _, id := range b.Needs {
				one.Needs = append(one.Needs, batchName(step, id))
			}
		}
		own, ownText := s, text
		if b.Buildspec != "" {
			if own, ownText, ok = r.load(strings.TrimPrefix(b.Buildspec, "./"), one.Name); !ok {
				continue
			}
			one.Buildspec = strings.TrimPrefix(b.Buildspec, "./")
		}
		steps = append(steps, r.one(one, own, ownText))
	}
	return steps
}

// batchName is the step of one build of a batch.
func batchName(step pipeline.Step, id string) string {
	return step.Name + "-" + buildspec.ArtifactName(id)
}

// needBuilds lets those that need a step with a batch need each of its builds. What one step puts out comes from one step.
func (r *resolver) needBuilds(named, stages []pipeline.Stage) []pipeline.Stage {
	builds := map[string][]string{}
	for i, stage := range named {
		for _, step := range stage.Steps {
			for _, one := range stages[i].Steps {
				if one.BatchID != "" && one.Name == batchName(step, one.BatchID) {
					builds[step.Name] = append(builds[step.Name], one.Name)
				}
			}
		}
	}
	for _, stage := range stages {
		for i, step := range stage.Steps {
			var needs []string
			for _, name := range step.Needs {
				if all := builds[name]; len(all) > 0 {
					needs = append(needs, all...)
				} else {
					needs = append(needs, name)
				}
			}
			stage.Steps[i].Needs = needs
			for _, variable := range slices.Sorted(maps.Keys(step.Take)) {
				if from := step.Take[variable].Step; len(builds[from]) > 0 {
					r.wrong("steps."+from+".outputs", "name one of them: "+strings.Join(builds[from], ", "), "the buildspec of %s makes several steps, and %s can only come from one", from, variable)
				}
			}
		}
	}
	return stages
}

// one puts a buildspec into a step, and says what the step makes.
func (r *resolver) one(step pipeline.Step, s buildspec.Spec, text string) pipeline.Step {
	step.Spec = text
	if step.Cache == nil {
		step.Cache = s.Cache.Spec(step.Buildspec)
	}
	for _, secret := range s.Secrets {
		if _, given := step.Env[secret.Name]; !given {
			r.problems = append(r.problems, pipeline.Problem{Path: step.Buildspec, Line: secret.Line, Column: secret.Column,
				Message: fmt.Sprintf("%s comes from the %s of AWS, which is not asked", secret.Name, secret.Store),
				Hint:    fmt.Sprintf("give the step %s a value for it in env, or remove it here", step.Name)})
		}
	}
	for _, a := range s.Artifacts {
		switch {
		case a.ID != "":
			step.Makes = append(step.Makes, a.ID)
		case step.Artifact == nil:
			step.Artifact = &pipeline.ArtifactSpec{Name: step.Name}
		}
	}
	if step.Artifact != nil && !slices.ContainsFunc(s.Artifacts, func(a buildspec.Artifacts) bool { return a.ID == "" }) {
		r.wrong(step.Artifact.Name, "write artifacts: with files: in the buildspec, or remove artifact here", "the buildspec of the step %s makes no artifact that %s could name", step.Name, step.Artifact.Name)
	}
	return step
}

// names wants the names of steps and artifacts to differ, also of those that came with the buildspecs, and the artifacts
// of environments to be made.
func (r *resolver) names(plan pipeline.Plan) {
	steps, artifacts := map[string]bool{}, map[string]bool{}
	made := func(name, step string) {
		if artifacts[name] {
			r.wrong(step, "give one of them another name", "two steps make an artifact named %s; one of them is %s", name, step)
		}
		artifacts[name] = true
	}
	for _, stage := range plan.Stages {
		for _, step := range stage.Steps {
			if steps[step.Name] {
				r.wrong(step.Name, "give one of them another name", "two steps are called %s, one of them by the batch of a buildspec", step.Name)
			}
			steps[step.Name] = true
			if step.Artifact != nil {
				made(step.Artifact.Name, step.Name)
			}
			for _, name := range step.Makes {
				made(name, step.Name)
			}
		}
	}
	if len(r.problems) > 0 {
		return // one of them is why an artifact is missing
	}
	if all := weight(plan); all > maxSpecs {
		r.wrong("buildspec", "make the batches or the buildspecs smaller", "the buildspecs of all steps have %d KiB together; at most %d are allowed", all>>10, maxSpecs>>10)
	}
	if len(steps) > maxPlanSteps {
		r.wrong("buildspec", "make the batch smaller", "with the batches of its buildspecs the plan has %d steps; at most %d are allowed", len(steps), maxPlanSteps)
	}
	for _, env := range plan.Environments {
		if !artifacts[env.Artifact] {
			r.wrong("artifact: "+env.Artifact, "the artifacts are "+strings.Join(slices.Sorted(maps.Keys(artifacts)), ", "), "no step makes an artifact named %s", env.Artifact)
		}
	}
}

// maxSpecs bounds the texts of all buildspecs of a plan, in bytes, once for each step: they stand in the run's first event.
const maxSpecs = 1 << 20

func weight(plan pipeline.Plan) (bytes int) {
	for _, stage := range plan.Stages {
		for _, step := range stage.Steps {
			bytes += len(step.Spec)
		}
	}
	return bytes
}

// maxPlanSteps bounds the steps of a plan with those of its batches, as the plan file bounds its own.
const maxPlanSteps = 200
