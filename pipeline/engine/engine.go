// Package engine is the one loop: lease a stream, fold it, ask what is owed, do it, append what came of it, until
// nothing is owed.
//
// It knows no effect and no event; machines bring those. It never decides anything and holds nothing that a crash could
// lose: after a restart the same journal gives the same debts. Start reading at Engine.Run, then tend.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// Why an effect's context ended.
var (
	ErrNotOwed   = errors.New("engine: the effect is not owed any more")
	ErrHandBack  = errors.New("engine: the server is stopping and hands its work back")
	ErrLeaseLost = journal.ErrLeaseLost
)

// Options of an engine. All fields are needed, but for those that name a default.
type Options struct {
	Journal journal.Journal
	Log     *slog.Logger
	Now     func() time.Time
	TTL     time.Duration // of a lease; default 15 s
	Grace   time.Duration // for running effects when the engine stops; default 20 s
	Streams int           // worked on at once; default 4096
	Workers int           // for effects that need one, at once; default 1, and none when negative
	Idle    time.Duration // how often to look for work that no hint announced; default 1 s
}

// Engine works on streams.
type Engine struct {
	o       Options
	kinds   []kind
	workers *workers

	mu     sync.Mutex
	tended map[string]*tended
	kept   sync.Map // stream → folded, of machines that ask for it
}

// kind is a Machine without its types.
type kind interface {
	prefix() string
	tend(ctx context.Context, e *Engine, t *tended)
}

// tended is a stream under lease here.
type tended struct {
	lease   journal.Lease
	changed chan struct{}           // holds one: the stream has new records
	lost    context.CancelCauseFunc // ends the work at once
	workers int                     // that came with the lease
}

// New makes an engine of machines.
func New(o Options, kinds ...kind) *Engine {
	if o.TTL == 0 {
		o.TTL = 15 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Second
	}
	if o.Streams == 0 {
		o.Streams = 4096
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.Idle == 0 {
		o.Idle = time.Second
	}
	return &Engine{o: o, kinds: kinds, workers: newWorkers(max(o.Workers, 0)), tended: map[string]*tended{}}
}

// Run works until ctx ends. Then it leases nothing more, lets running effects finish within the grace time, hands the
// rest back, and returns when all of its goroutines are gone.
func (e *Engine) Run(ctx context.Context) error {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var all sync.WaitGroup
	hints := make(chan struct{}, 1)
	changed := e.o.Journal.Changed(work) // before the first lease, so that no hint of a leased stream is missed
	all.Go(func() { e.dispatch(changed, hints) })
	all.Go(func() { e.renew(work) })

	var leasing, tending sync.WaitGroup
	tend := func(l journal.Lease, workers int) { tending.Go(func() { e.work(ctx, work, l, workers) }) }
	leasing.Go(func() { e.usher(ctx, tend) })
	err := e.lease(ctx, work, hints, &tending)
	leasing.Wait()

	grace := time.AfterFunc(e.o.Grace, func() { e.endAll(ErrHandBack) })
	tending.Wait()
	grace.Stop()
	stop(ErrHandBack)
	all.Wait()
	return err
}

// lease takes streams that have work, and tends each in a goroutine of its own.
func (e *Engine) lease(ctx, work context.Context, hints <-chan struct{}, tending *sync.WaitGroup) error {
	room := make(chan struct{}, e.o.Streams)
	look := time.NewTicker(e.o.Idle)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case room <- struct{}{}:
		}
		l, err := e.o.Journal.Lease(ctx, e.o.TTL, e.prefixes()...)
		if err == nil {
			tending.Go(func() {
				defer func() { <-room }()
				e.work(ctx, work, l, 0)
			})
			continue
		}
		<-room
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, journal.ErrNoWork) {
			e.o.Log.Error("the journal gives no work", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-hints:
		case <-look.C:
		}
	}
}

func (e *Engine) prefixes() []string {
	prefixes := make([]string, 0, len(e.kinds))
	for _, k := range e.kinds {
		prefixes = append(prefixes, k.prefix())
	}
	return prefixes
}

// work tends one stream until it rests, is lost, or the engine stops.
func (e *Engine) work(stopping, work context.Context, l journal.Lease, workers int) {
	ctx, lost := context.WithCancelCause(work)
	defer lost(nil)
	t := &tended{lease: l, changed: make(chan struct{}, 1), lost: lost, workers: workers}
	e.mu.Lock()
	e.tended[l.Stream] = t
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		if e.tended[l.Stream] == t {
			delete(e.tended, l.Stream)
		}
		e.mu.Unlock()
	}()
	for _, k := range e.kinds {
		if strings.HasPrefix(l.Stream, k.prefix()) {
			k.tend(withStopping(ctx, stopping), e, t)
			return
		}
	}
}

// dispatch passes hints on: to the goroutine that tends the stream, else to the one that leases.
func (e *Engine) dispatch(changed <-chan string, hints chan<- struct{}) {
	for stream := range changed {
		e.mu.Lock()
		t := e.tended[stream]
		e.mu.Unlock()
		wake := hints
		if t != nil {
			wake = t.changed
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// renew keeps the leases, and ends the work on those that were lost.
func (e *Engine) renew(ctx context.Context) {
	tick := time.NewTicker(e.o.TTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		e.mu.Lock()
		leases := make([]journal.Lease, 0, len(e.tended))
		for _, t := range e.tended {
			leases = append(leases, t.lease)
		}
		e.mu.Unlock()
		if len(leases) == 0 {
			continue
		}
		lost, err := e.o.Journal.Renew(ctx, e.o.TTL, leases...)
		if err != nil && ctx.Err() == nil {
			e.o.Log.Error("leases could not be renewed", "leases", len(leases), "err", err)
		}
		for _, l := range lost {
			e.mu.Lock()
			t := e.tended[l.Stream]
			e.mu.Unlock()
			if t != nil && t.lease.Token == l.Token {
				e.o.Log.Warn("lease lost", "stream", l.Stream)
				t.lost(ErrLeaseLost)
			}
		}
	}
}

func (e *Engine) endAll(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.tended {
		t.lost(cause)
	}
}

// stoppingKey carries the context whose end means that nothing new is begun.
type stoppingKey struct{}

func withStopping(ctx, stopping context.Context) context.Context {
	return context.WithValue(ctx, stoppingKey{}, stopping.Done())
}

func stoppingOf(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return done
}

// recovered turns a panic of a machine into an error, so that one poisonous stream does not end the server.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("engine: panic: %v", p)
	}
}
