// Command conveyor is the product: a server for a GitHub App, and a few words for people who write pipelines.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/conveyor-ci/conveyor/app"
)

type cli struct {
	Serve    serve       `cmd:"" help:"Hear webhooks, run pipelines, deploy. Everything is set by flags, a file or CONVEYOR_ variables."`
	Doctor   doctor      `cmd:"" help:"Look at everything that must be well, and say what to do about what is not."`
	Run      run         `cmd:"" help:"Run the working tree here as a server would, changes that are not committed included."`
	Start    start       `cmd:"" help:"Start a pipeline without a push, on the server of this machine."`
	Validate validate    `cmd:"" help:"Check a pipeline file or a buildspec, and print each mistake with its place."`
	Logs     logsCommand `cmd:"" help:"Print what the steps of a run have printed, and follow it."`
	Replay   replay      `cmd:"" help:"Show what a webhook would do: the decision, and each call to GitHub. Nothing is run, and nobody is told."`
	Schema   schema      `cmd:"" help:"Print the JSON Schema of the pipeline file, for editors."`
	Audit    audit       `cmd:"" help:"Prove or print the ledger of approvals and deployments, offline."`
	Verify   verify      `cmd:"" help:"Prove where an artifact comes from, offline."`
	Secrets  secrets     `cmd:"" help:"Set, list, remove or re-encrypt the secrets of steps and deployments. A server that runs sees the change at once."`
	Version  version     `cmd:"" help:"Print the version."`
}

// Exit codes, as sysexits.h names them.
const (
	exitFailed = 1
	exitConfig = 78
)

func main() {
	app.Deputy()
	// Two signals end the server: the first lets running steps finish, the second does not wait.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c cli
	parser := kong.Must(&c, kong.Name("conveyor"), kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("From a push to production, with the same bytes all the way."))
	k, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	err = k.Run()
	stop()
	os.Exit(report(err))
}

// report tells the operator what went wrong, and gives the exit code.
func report(err error) int {
	var wrong *app.ConfigError
	var said saidError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &said):
		return exitFailed
	case errors.As(err, &wrong):
		fmt.Fprintln(os.Stderr, "conveyor cannot start:")
		for _, p := range wrong.Problems {
			fmt.Fprintln(os.Stderr, "  - "+p)
		}
		return exitConfig
	}
	fmt.Fprintln(os.Stderr, "conveyor:", err)
	return exitFailed
}

// saidError is a failure that has been told already.
type saidError struct{}

func (saidError) Error() string { return "failed" }
