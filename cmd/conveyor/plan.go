package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

type validate struct {
	File string `arg:"" optional:"" help:"The pipeline file, or a buildspec. Left out, all pipelines of the repository are checked." default:".github/conveyor.yml"`
}

// Run prints the same mistakes, at the same places, as the check run would show. Its exit code is 1 when there are any.
func (v *validate) Run() error {
	data, err := os.ReadFile(v.File)
	if _, _, ok := ofRepository(v.File); err != nil && !(ok && errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("the pipeline file cannot be read: %w", err)
	}
	if isBuildspec(v.File, data) {
		return v.buildspec(data)
	}
	if top, one, ok := ofRepository(v.File); ok {
		return v.pipelines(top, one)
	}
	plan, problems := planfile.ParseFor(v.File, data, planfile.Options{Read: beside(v.File)})
	if len(problems) > 0 {
		fmt.Fprint(os.Stderr, planfile.Format(v.File, data, problems))
		return saidError{}
	}
	good(v.File, plan)
	return nil
}

func good(file string, plan pipeline.Plan) {
	steps, stages := 0, len(plan.Stages)
	for _, stage := range plan.Stages {
		steps += len(stage.Steps)
	}
	fmt.Printf("%s is good: %d %s, %d %s, %d %s.\n", file, stages, noun("stage", stages), steps, noun("step", steps),
		len(plan.Environments), noun("environment", len(plan.Environments)))
}

// beside reads the files that a pipeline file uses which does not stand in its usual place: from the folder that it is in.
func beside(file string) func(string) ([]byte, error) {
	top := filepath.Dir(file)
	return func(path string) ([]byte, error) {
		data, err := fs.ReadFile(os.DirFS(top), path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, planfile.ErrNoFile
		}
		return data, err
	}
}

// isBuildspec goes by the name, and by what the file says of itself.
func isBuildspec(name string, data []byte) bool {
	return strings.HasPrefix(filepath.Base(name), "buildspec") || buildspec.Recognised(data)
}

// buildspec prints the mistakes of a buildspec, then what has no effect here. Only mistakes make the exit code 1.
func (v *validate) buildspec(data []byte) error {
	s, found := buildspec.Parse(v.File, data)
	for _, secret := range s.Secrets {
		found.Warnings = append(found.Warnings, pipeline.Problem{Line: secret.Line, Column: secret.Column,
			Message: fmt.Sprintf("%s comes from the %s of AWS, which is not asked", secret.Name, secret.Store),
			Hint:    "the step that names this file must give it a value in env"})
	}
	fmt.Fprint(os.Stderr, planfile.Format(v.File, data, found.Mistakes))
	for i := range found.Warnings {
		found.Warnings[i].Message = "warning: " + found.Warnings[i].Message
	}
	fmt.Fprint(os.Stderr, planfile.Format(v.File, data, found.Warnings))
	if len(found.Mistakes) > 0 {
		return saidError{}
	}
	commands := 0
	for p := buildspec.Install; p <= buildspec.PostBuild; p++ {
		commands += len(s.Section(p).Commands) + len(s.Section(p).Finally)
	}
	fmt.Printf("%s is good: version %s, %d %s, %d %s, %d %s.\n", v.File, s.Version, commands, noun("command", commands),
		len(s.Artifacts), noun("artifact", len(s.Artifacts)), len(found.Warnings), noun("warning", len(found.Warnings)))
	return nil
}

func noun(one string, n int) string {
	if n == 1 {
		return one
	}
	return one + "s"
}

type schema struct{}

// Run prints the schema. An editor finds it by the comment "# yaml-language-server: $schema=FILE".
func (schema) Run() error {
	_, err := os.Stdout.Write(planfile.Schema())
	return err
}

type version struct{}

// Run prints what the build recorded.
func (version) Run() error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("this binary does not know how it was built")
	}
	fmt.Printf("conveyor %s, %s, for pipeline files of version %d (%s)\n", info.Main.Version, info.GoVersion, 1, pipeline.PlanPath)
	return nil
}
