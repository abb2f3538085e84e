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
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

type validate struct {
	File string `arg:"" optional:"" help:"The pipeline file." default:".github/conveyor.yml"`
}

// Run prints the same mistakes, at the same places, as the check run would show. Its exit code is 1 when there are any.
func (v *validate) Run() error {
	data, err := os.ReadFile(v.File)
	if err != nil {
		return fmt.Errorf("the pipeline file cannot be read: %w", err)
	}
	plan, problems := planfile.ParseFor(v.File, data, planfile.Options{Read: beside(v.File)})
	if len(problems) > 0 {
		fmt.Fprint(os.Stderr, planfile.Format(v.File, data, problems))
		return saidError{}
	}
	steps, stages := 0, len(plan.Stages)
	for _, stage := range plan.Stages {
		steps += len(stage.Steps)
	}
	fmt.Printf("%s is good: %d %s, %d %s, %d %s.\n", v.File, stages, noun("stage", stages), steps, noun("step", steps),
		len(plan.Environments), noun("environment", len(plan.Environments)))
	return nil
}

// beside reads the files that a pipeline file uses: from the top of its repository, which is two folders up where the file
// stands in its usual place, else from the folder that it is in.
func beside(file string) func(string) ([]byte, error) {
	top := filepath.Dir(file)
	if above, ok := strings.CutSuffix(filepath.ToSlash(file), pipeline.PlanPath); ok {
		top = filepath.Clean("./" + above)
		if filepath.IsAbs(file) {
			top = filepath.Clean(above)
		}
	}
	return func(path string) ([]byte, error) {
		data, err := fs.ReadFile(os.DirFS(top), path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, planfile.ErrNoFile
		}
		return data, err
	}
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
