// Command demo is a whole company in a box: a local GitHub, a Conveyor, a web server, and a small repository whose change
// goes all the way to production and back. Nothing leaves this machine.
//
// Start reading at story.go: that is what is shown.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.conveyor, "conveyor", "bin/conveyor", "the conveyor binary")
	flag.StringVar(&o.shop, "shop", "cmd/demo/shop", "the sample repository")
	flag.StringVar(&o.manifest, "manifest", "manifest.yml", "the App's manifest")
	flag.StringVar(&o.ledger, "ledger", "demo-ledger.json", "where -once writes what the local GitHub recorded")
	flag.StringVar(&o.redis, "redis", "", "keep the journal in this Redis instead of a file")
	flag.BoolVar(&o.once, "once", false, "play the story, write the ledger, and stop")
	flag.BoolVar(&o.kill, "kill", false, "kill the server in the middle of a build, and start it again")
	flag.BoolVar(&o.verbose, "v", false, "show the server's log")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "\nStopped.")
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

type options struct {
	conveyor, shop, manifest, ledger, redis string
	once, kill, verbose                     bool
}

// run sets the company up, plays the story, and writes down what happened.
func run(ctx context.Context, o options) (err error) {
	c, err := found(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()

	played := c.play(ctx)
	if err := c.writeLedger(o.ledger); err != nil {
		return err
	}
	c.line.note("What the local GitHub recorded: %s", o.ledger)
	if played != nil {
		return played
	}
	if o.once {
		return nil
	}
	c.line.note("Everything stays up until Ctrl-C: the dashboard at %s, the local GitHub at %s, production at %s",
		c.server.url, c.github.URL()+"/"+repoName, c.sites.url+"/production/")
	select {
	case <-ctx.Done():
		c.line.note("Stopping.")
		return nil
	case err := <-c.server.gone:
		return fmt.Errorf("the server ended: %w", err)
	}
}
