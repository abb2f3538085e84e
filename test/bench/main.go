// Command bench measures the product against what it is built on, and against its peers, and prints ratios.
//
// It never judges by absolute times, which are the machine's: both sides of a ratio are measured in the same run, in
// turns, and the medians of several rounds are compared. It talks to nothing but this machine's loopback, and ends only
// what it started. An aim that is missed is printed as missed; the exit status is 1 only when a measurement failed.
//
// Start reading at measurements, below: there is one file for each. table.go is what a result is, house.go what a
// server under measurement is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// measurement is one thing that is measured. It may give several rows.
type measurement struct {
	name string
	run  func(context.Context, *session) ([]row, error)
}

var measurements = []measurement{
	{"intake", measureIntake},
	{"check", measureCheck},
	{"conclusion", measureConclusion},
	{"steps", measureSteps},
	{"batch", measureBatch},
	{"images", measureImages},
	{"checkout", measureCheckout},
	{"log", measureLog},
	{"stream", measureStream},
	{"memory", measureMemory},
	{"hogs", measureHogs},
	{"calls", measureCalls},
	{"artifact", measureArtifact},
	{"bucket", measureBucket},
}

// patience is how long the whole run may take, on however busy a machine.
const patience = 10 * time.Minute

func main() {
	if len(os.Args) > 1 {
		if part, ok := parts[os.Args[1]]; ok {
			exit(os.Args[1], part(os.Args[2:]))
		}
	}
	var o options
	flag.StringVar(&o.conveyor, "conveyor", "bin/conveyor", "the conveyor binary")
	flag.StringVar(&o.out, "out", "bench.json", "where the rows are written")
	flag.StringVar(&o.only, "only", "", "measure only what matches this regular expression: "+names())
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement")
	flag.BoolVar(&o.quick, "quick", false, "two short rounds: to see that it works, not what it gives")
	flag.StringVar(&o.profile, "profile", "", "a folder for profiles; the servers are then this program itself, with the same parts")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it took longer than %s", patience))
	err := run(ctx, o, os.Stdout, os.Stderr)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(context.Cause(ctx), err)
	}
	cancel()
	stop()
	exit("bench", err)
}

func exit(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// parts are what this program is when it starts itself as another process.
var parts = map[string]func(args []string) error{
	"as-reference": serveReference,
	"as-printer":   printLines,
	"as-conveyor":  serveProfiled,
}

type options struct {
	conveyor, out, only, profile string
	rounds                       int
	quick                        bool
}

// run measures one after the other. What was measured is printed and written even when a later measurement fails.
func run(ctx context.Context, o options, out, progress io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds is %d; at least one is needed", o.rounds)
	}
	s, err := newSession(o, progress)
	if err != nil {
		return err
	}
	before := loadAverage()
	var all []row
	var failed error
	for _, m := range measurements {
		if !only.MatchString(m.name) || ctx.Err() != nil {
			continue
		}
		s.name, s.began = m.name, time.Now()
		rows, err := m.run(ctx, s)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
		}
		all = append(all, rows...)
	}
	s.done()
	show(out, all, before, loadAverage())
	if len(all) == 0 && failed == nil && ctx.Err() == nil {
		return fmt.Errorf("-only %q matches nothing; there are: %s", o.only, names())
	}
	return errors.Join(failed, write(o.out, all))
}

func names() (list string) {
	for i, m := range measurements {
		if i > 0 {
			list += ", "
		}
		list += m.name
	}
	return list
}
