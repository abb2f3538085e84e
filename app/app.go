// Package app is the assembled product: it opens the stores, finds a sandbox, wires the machines to the world, and runs
// until it is told to stop.
//
// There is one file for each effect: what a state owes (pipeline.Next, deploy.Next) is done in do_*.go and told to GitHub
// in tell_*.go. Nothing here decides what may happen; that is in the pure packages. Start reading at New and Run, then
// follow a delivery: delivery.go, route.go, run.go, do_exec.go, repo.go, do_deploy.go.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy/ledger"
	"github.com/conveyor-ci/conveyor/deploy/target"
	targetexec "github.com/conveyor-ci/conveyor/deploy/target/exec"
	"github.com/conveyor-ci/conveyor/deploy/target/static"
	"github.com/conveyor-ci/conveyor/handlers/setup"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/cache"
	"github.com/conveyor-ci/conveyor/pipeline/egress"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/history"
	"github.com/conveyor-ci/conveyor/pipeline/image/store"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
	"github.com/conveyor-ci/conveyor/pipeline/provenance"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/source/git"
)

// App is a running Conveyor.
type App struct {
	config     Config
	log        *slog.Logger
	clock      func() time.Time
	linkKey    []byte
	journal    journal.Journal
	artifacts  artifact.Store
	logs       *logs.Store
	secrets    secrets // of steps and deployments
	cache      *cache.Store
	history    *history.Store
	source     *git.Source
	sandbox    sandbox.Sandbox
	outside    sandbox.Sandbox // for code of people who may not write; nil when it is no other
	images     *store.Store    // nil where no step can run in one
	targets    map[string]target.Target
	github     *github.App
	verifier   *http.Client
	egress     egress.Policy // what steps may reach that may reach the list
	meter      *meter
	changes    *changes
	held       *held
	ledger     *ledger.Ledger
	signer     *provenance.Key
	auditor    *auditor
	unanswered *unanswered
	durable    remembered // whether the journal can make a write durable
	front      *front
	setup      *setup.Pages
	probe      probe
	failed     func(ctx context.Context, step pipeline.Step, as sandbox.Spec) // told of a step that failed, while its workspace is there
	closers    []func() error
	control    *http.Server
	controlled net.Listener
	parked     int // of a rehearsal: runs that wait for a worker, for ever
}

// New opens everything that c names, tries it out, and listens. Nothing is worked on before Run. Its error is for the
// operator: what is wrong, and what to do.
func New(ctx context.Context, c Config, log *slog.Logger) (*App, error) {
	return open(ctx, c, log, nil, setup.New(setup.Options{PublicURL: c.PublicURL, Log: log}))
}

// open is New for a server that may serve already, and whose set-up page is open. With an error, it serves on.
func open(ctx context.Context, c Config, log *slog.Logger, serving *front, pages *setup.Pages) (_ *App, err error) {
	if problems := c.Check(); len(problems) > 0 {
		return nil, &ConfigError{Problems: problems}
	}
	policy, _ := c.egressPolicy() // checked above
	a := &App{config: c, log: log, clock: c.clock(), verifier: verifyClient(), egress: policy, meter: newMeter(), changes: newChanges(), unanswered: newUnanswered(), setup: pages}
	a.held = newHeld(a.now, a.changes.tell)
	defer func() {
		if err != nil {
			_ = a.Close() // the first error is the one that matters
		}
	}()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("app: CONVEYOR_DATA_DIR cannot be used: %w", err)
	}
	for _, open := range []func(context.Context) error{a.openJournal, a.openStores, a.openSandbox, a.openSource, a.openImages, a.openCache, a.reclaim, a.openLedger, a.openProvenance, a.openTargets, a.openGitHub, a.openControl} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	handler, err := a.handler()
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	if a.front = serving; serving == nil {
		if a.front, err = newFront(ctx, c.Listen, log); err != nil {
			return nil, err
		}
	}
	a.front.show(handler)
	a.closers = append(a.closers, a.front.close)
	return a, nil
}

// ConfigError is a configuration that cannot be used.
type ConfigError struct{ Problems []string }

func (e *ConfigError) Error() string { return strings.Join(e.Problems, "\n") }

// Addr is where the server listens.
func (a *App) Addr() string { return a.front.listener.Addr().String() }

// Isolation is what keeps steps apart from this machine.
func (a *App) Isolation() sandbox.Isolation { return a.sandbox.Isolation() }

// Run serves and works until ctx ends. Then it takes up nothing new, lets running steps finish within the grace time,
// hands the others back, and returns.
func (a *App) Run(ctx context.Context) error {
	workers := a.config.Workers
	if a.config.Rehearsal {
		workers = -1
	}
	work := engine.New(engine.Options{Journal: a.journal, Log: a.log, Now: a.clock, Grace: a.config.Grace, Workers: workers}, a.deliveries(), a.runs(), a.repos(), a.sweeps())
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	giveBack()
	all.Go(func() {
		<-ctx.Done()
		a.log.Info("stopping: nothing new is begun, what runs may finish", "grace", a.config.Grace)
	})
	all.Go(func() {
		a.front.begin()
		if err := <-a.front.ended; err != nil {
			stop(err)
		}
	})
	all.Go(func() { a.forget(ctx) })
	all.Go(func() { a.collect(ctx) })
	all.Go(func() { a.sweep(ctx) })
	all.Go(func() { a.forgetLogs(ctx) })
	all.Go(func() { a.revokeLeft(ctx) })
	all.Go(func() { a.hearOperator(ctx) })
	all.Go(func() { a.changes.run(ctx, a.journal) })
	auditing, endAudit := context.WithCancel(context.WithoutCancel(ctx))
	defer endAudit()
	all.Go(func() { a.audit(auditing) })
	err := work.Run(ctx)

	endAudit()          // it tells what was done until now, and ends
	_ = a.front.close() // what is followed live is cut off; those who follow come back by themselves
	all.Wait()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// Close ends what New opened, the last first.
func (a *App) Close() error {
	var all []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		all = append(all, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(all...)
}

func (a *App) openJournal(ctx context.Context) (err error) {
	if url := a.config.RedisURL.Reveal(); url != "" {
		a.journal, err = redis.Open(ctx, redis.Options{URL: url, AcceptLoss: a.config.AcceptLoss}, a.clock)
	} else {
		a.journal, err = sqlite.Open(ctx, filepath.Join(a.config.DataDir, "journal.db"), a.clock)
	}
	if err != nil {
		return fmt.Errorf("app: the journal cannot be opened: %w", err)
	}
	a.closers = append(a.closers, a.journal.Close)
	return nil
}

func (a *App) openStores(ctx context.Context) (err error) {
	if a.linkKey, err = linkKey(a.config.DataDir); err != nil {
		return err
	}
	if err := a.openArtifacts(ctx); err != nil {
		return err
	}
	if a.logs, err = logs.Open(filepath.Join(a.config.DataDir, "logs")); err != nil {
		return fmt.Errorf("app: the log store cannot be opened: %w", err)
	}
	a.closers = append(a.closers, a.logs.Close)
	a.secrets = Secrets(a.config)
	if a.history, err = history.Open(filepath.Join(a.config.DataDir, "history")); err != nil {
		return fmt.Errorf("app: the history of tests cannot be kept: %w", err)
	}
	return nil
}

func (a *App) openSource(context.Context) error {
	owner := git.Owner{UID: -1, GID: -1}
	if o, ok := a.sandbox.(interface{ Owner() (int, int) }); ok {
		owner.UID, owner.GID = o.Owner()
	}
	s, err := git.New(git.Options{
		Dir: filepath.Join(a.config.DataDir, "source"), Owner: owner, Log: a.log,
		URL: func(r pipeline.Repo) string {
			return strings.TrimSuffix(a.config.GitHubURL, "/") + "/" + r.Slug() + ".git"
		},
	})
	if err != nil {
		return fmt.Errorf("app: the mirrors cannot be kept: %w", err)
	}
	a.source = s
	a.closers = append(a.closers, s.Close)
	return nil
}

// reclaim takes back what a killed server was working on, so that it need not wait for the old leases to run out. Having
// opened the source, this server is alone on its folder, and so on the journal's file in it. Of a Redis nobody is alone.
func (a *App) reclaim(ctx context.Context) error {
	file, ok := a.journal.(*sqlite.Journal)
	if !ok {
		return nil
	}
	n, err := file.Reclaim(ctx)
	if err != nil {
		return fmt.Errorf("app: the work of an earlier server cannot be taken back: %w", err)
	}
	if n > 0 {
		a.log.Warn("an earlier server ended in the middle of its work; it goes on here", "streams", n)
	}
	return nil
}

func (a *App) openLedger(context.Context) (err error) {
	if a.ledger, err = ledger.Open(a.config.DataDir, a.config.LedgerKeyFile); err != nil {
		return fmt.Errorf("app: the audit ledger cannot be continued: %w", err)
	}
	a.auditor = &auditor{app: a, streams: map[string]*audited{}}
	a.closers = append(a.closers, a.ledger.Close)
	lines, head := a.ledger.Head()
	a.log.Info("audit ledger opened", "lines", lines, "head", head, "key", a.ledger.KeyID())
	return nil
}

func (a *App) openTargets(context.Context) error {
	sites, err := static.New(static.Options{Base: filepath.Join(a.config.DataDir, "sites"), Roots: a.config.DeployRoots, Now: a.clock})
	if err != nil {
		return fmt.Errorf("app: the static target cannot be used: %w", err)
	}
	scripts, err := targetexec.New(targetexec.Options{Dir: a.config.ExecDir, Scratch: filepath.Join(a.config.DataDir, "exec")})
	if err != nil {
		return fmt.Errorf("app: the exec target cannot be used: %w", err)
	}
	a.targets = map[string]target.Target{"static": sites, "exec": scripts}
	return nil
}

func (a *App) openGitHub(context.Context) (err error) {
	a.github, err = github.New(github.Config{
		APIURL: a.config.GitHubAPIURL, WebURL: a.config.GitHubURL, AppID: a.config.AppID,
		PrivateKey: []byte(a.config.PrivateKey.Reveal()), Now: a.clock, Log: a.log, Observe: a.meter.call,
	})
	return err
}

// How long a delivery's GUID is remembered, to refuse it a second time. GitHub redelivers for three days.
const deliveryMemory = 7 * 24 * time.Hour

// forget removes deliveries that were answered long ago.
func (a *App) forget(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := a.journal.Forget(ctx, "delivery/", a.now().Add(-deliveryMemory), 10_000)
		if err != nil {
			a.log.Warn("old deliveries could not be removed", "err", err)
		} else if n > 0 {
			a.log.Info("old deliveries removed", "count", n)
		}
	}
}

// Resting reports whether no stream has work: everything that was heard has been done, or waits for a person.
func (a *App) Resting(ctx context.Context) bool {
	waiting, _, err := a.journal.Depth(ctx)
	return err == nil && waiting == 0
}
