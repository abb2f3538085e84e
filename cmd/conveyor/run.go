package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

// run runs the working tree as a server would, on this machine.
type run struct {
	Only        string            `arg:"" optional:"" help:"A stage or a step of the plan; left out, all of it." placeholder:"STAGE|STEP"`
	Pipeline    string            `short:"p" help:"The pipeline, by its name; conveyor is the one of .github/conveyor.yml." placeholder:"NAME"`
	Input       map[string]string `help:"An input of on.manual: KEY=VALUE. It may be given several times." placeholder:"KEY=VALUE" mapsep:"none"`
	Shell       bool              `help:"When a step fails, open a shell in its sandbox, in its workspace as it left it."`
	Folder      string            `help:"A folder of the working tree." default:"." type:"path"`
	Sandbox     string            `help:"auto, crun, runc, runsc, docker, or none (plain processes, as you)." default:"auto" enum:"auto,crun,runc,runsc,docker,none" env:"CONVEYOR_SANDBOX"`
	Tools       []string          `help:"Folders outside of /usr that steps may see, read-only." env:"CONVEYOR_TOOLS"`
	DockerHost  string            `help:"With docker: where the engine listens, unix:// and a path." env:"DOCKER_HOST"`
	DockerImage string            `help:"With docker: the image of steps that name none." env:"CONVEYOR_DOCKER_IMAGE"`
	Workers     int               `help:"Steps that run at once; 0 means one for each processor." default:"0" env:"CONVEYOR_WORKERS"`
	Verbose     bool              `help:"Also print what the machinery says." short:"v"`
}

// Run runs it, prints what the steps print, and exits with 1 when something did not pass.
func (r *run) Run(ctx context.Context) error {
	if r.Workers <= 0 {
		r.Workers = runtime.NumCPU()
	}
	if r.Shell {
		r.Workers = 1 // one shell at a time, and nothing that prints beside it
	}
	var machinery io.Writer = io.Discard
	if r.Verbose {
		machinery = os.Stderr
	}
	passed, err := app.Local{
		Folder: r.Folder, Name: r.Pipeline, Inputs: r.Input, Only: r.Only, Sandbox: r.Sandbox, DockerHost: r.DockerHost, DockerImage: r.DockerImage, Tools: r.Tools, Workers: r.Workers, Shell: r.Shell,
		In: os.Stdin, Out: os.Stdout, Log: slog.New(slog.NewTextHandler(machinery, nil)),
	}.Run(ctx)
	var wrong *app.PlanError
	if errors.As(err, &wrong) {
		fmt.Fprint(os.Stderr, planfile.Format(wrong.File, wrong.Text, wrong.Problems))
		return saidError{}
	}
	if err != nil {
		return err
	}
	if !passed {
		return saidError{}
	}
	return nil
}
