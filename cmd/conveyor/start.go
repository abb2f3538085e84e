package main

import (
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/app"
)

// start asks the server on this machine to run a pipeline that its plan lets people start.
type start struct {
	Name    string            `arg:"" help:"The pipeline, by its name; conveyor is the one of .github/conveyor.yml."`
	Repo    string            `required:"" help:"The repository." placeholder:"OWNER/NAME"`
	Ref     string            `help:"The branch; the default branch when left out."`
	Input   map[string]string `help:"An input of the pipeline: KEY=VALUE. It may be given several times." placeholder:"KEY=VALUE" mapsep:"none"`
	DataDir string            `help:"The server's folder." default:"/var/lib/conveyor" env:"CONVEYOR_DATA_DIR"`
}

// Run asks, and prints where the run is seen. Its exit code is 1 when nothing was started.
func (s *start) Run(ctx context.Context) error {
	answer, err := app.AskServer(ctx, s.DataDir, app.Ask{Repository: s.Repo, Pipeline: s.Name, Branch: s.Ref, Inputs: s.Input, By: operator()})
	if err != nil {
		return err
	}
	if answer.Refused != "" {
		return fmt.Errorf("nothing was started: %s", answer.Refused)
	}
	fmt.Printf("The pipeline %s runs at %s: %s\n", s.Name, answer.Commit.Short(), answer.URL)
	return nil
}
