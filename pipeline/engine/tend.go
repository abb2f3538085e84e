package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// How long a failed effect waits before it is tried again: doubling from first to last.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = time.Minute
	handBack   = 90 * time.Second // a stream that has nothing to do for longer is released until then
	unreadable = 5 * time.Second  // when a stream that could not be read is tried again
	doubt      = 10 * time.Second // how often a stream is read again without a hint: hints may be lost
)

func (m Machine[S, V, F]) prefix() string { return m.Prefix }

// tend works on one stream: it starts what is owed, ends what is not owed any more, and releases the stream when it
// rests.
func (m Machine[S, V, F]) tend(ctx context.Context, e *Engine, t *tended) {
	d := &desk[S, V, F]{m: m, e: e, t: t, running: map[string]*running{}, retries: map[string]retry{}, first: map[string]time.Time{}, done: make(chan outcome, 1), dirty: make(chan struct{}, 1), spare: t.workers}
	d.seeker.wake = d.dirty
	defer func() {
		d.wait()
		e.workers.leave(&d.seeker)
		e.workers.give(d.spare)
	}()
	if kept, ok := e.kept.Load(t.lease.Stream); ok && m.Keep {
		d.state, d.version = kept.(folded[S]).state, kept.(folded[S]).version
	}
	log := e.o.Log.With("stream", t.lease.Stream)
	if err := d.refold(ctx); err != nil {
		log.Error("the stream could not be read", "err", err)
		d.release(ctx, e.o.Now().Add(unreadable))
		return
	}
	stopping := stoppingOf(ctx)
	clock := time.NewTimer(lastRetry)
	defer clock.Stop()
	for {
		clock.Stop()
		drained := false
		select {
		case <-stopping:
			drained = true
		default:
		}
		wake, err := d.start(ctx, drained)
		if err != nil {
			log.Error("the machine failed", "err", err)
			d.release(ctx, e.o.Now().Add(lastRetry))
			return
		}
		if d.active() == 0 {
			rests := wake.IsZero() || wake.Sub(e.o.Now()) > handBack
			switch {
			case drained, rests && !d.seeking:
				d.release(ctx, wake)
				return
			case d.seeking && rests && e.workers.park(&d.seeker):
				d.park(ctx, wake)
				return
			}
		}
		next := doubt
		if !wake.IsZero() {
			next = min(max(wake.Sub(e.o.Now()), time.Millisecond), doubt)
		}
		clock.Reset(next)
		watch := stopping
		if drained {
			watch = nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), ErrHandBack) {
				d.wait()
				d.release(context.WithoutCancel(ctx), e.o.Now())
			}
			return
		case <-watch:
		case <-clock.C:
			err = d.refold(ctx)
		case <-d.dirty:
		case <-t.changed:
			err = d.refold(ctx)
		case o := <-d.done:
			d.settle(o)
			err = d.refold(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.Error("the stream could not be read", "err", err)
			d.cancelAll()
			d.wait()
			d.release(ctx, e.o.Now().Add(unreadable))
			return
		}
	}
}

// desk is what lies on the table while a stream is tended. Its goroutine alone touches running and retries.
type desk[S any, V Event, F Effect] struct {
	m Machine[S, V, F]
	e *Engine
	t *tended

	mu      sync.Mutex // guards state and version: effects append, too
	state   S
	version int64

	running map[string]*running
	retries map[string]retry
	first   map[string]time.Time // lane → since when it has news that is not told
	done    chan outcome
	dirty   chan struct{} // holds one: an effect has appended, or a worker was given
	spare   int           // workers in hand, for effects that are begun next
	seeking bool          // an effect waits for a worker, since seeker says
	since   time.Time     // the right of the stream, when it is parked
	seeker  seeker
	all     sync.WaitGroup
}

// running is an effect that has been started.
type running struct {
	cancel context.CancelCauseFunc
	lane   string
	hired  bool        // it has one of the engine's workers
	until  time.Time   // it is patient until then
	begun  atomic.Bool // it is past its patience; decided once, by whoever comes first: do, or start when it is not owed
}

// folded is a state up to a version. Streams only grow, so that it stays true.
type folded[S any] struct {
	state   S
	version int64
}

type retry struct {
	at       time.Time
	attempts int
	named    bool // the error named the time
}

type outcome struct {
	name string
	err  error
}

// refold takes in what was appended since.
func (d *desk[S, V, F]) refold(ctx context.Context) (err error) {
	defer recovered(&err)
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.version
	d.state, d.version, err = d.m.fold(ctx, d.e.o.Journal, d.t.lease.Stream, d.state, d.version)
	if d.version > known {
		d.hurry()
	}
	return err
}

// hurry lets what waits for a time that an error named be tried at once: someone else has news, and it may be the news that
// there is nothing to wait for any more. What has to wait all the same is told so again.
func (d *desk[S, V, F]) hurry() {
	for name, r := range d.retries {
		if r.named {
			r.at, r.named = d.e.o.Now(), false
			d.retries[name] = r
		}
	}
}

// start begins every owed effect that is not begun, ends those that are not owed, and returns when to look again.
func (d *desk[S, V, F]) start(ctx context.Context, drained bool) (wake time.Time, err error) {
	defer recovered(&err)
	d.mu.Lock()
	state := d.state
	d.mu.Unlock()
	sooner := func(t time.Time) {
		if wake.IsZero() || t.Before(wake) {
			wake = t
		}
	}
	now := d.e.o.Now()
	owed := map[string]bool{}
	var due []F
	for _, effect := range d.m.Next(state) {
		name := effect.Name()
		if owed[name] {
			continue
		}
		owed[name] = true
		if d.running[name] != nil {
			continue
		}
		if drained {
			sooner(now)
			continue
		}
		if timed, ok := any(effect).(interface{ Due() time.Time }); ok && timed.Due().After(now) {
			sooner(timed.Due())
			continue
		}
		if r, ok := d.retries[name]; ok && r.at.After(now) {
			sooner(r.at)
			continue
		}
		due = append(due, effect)
	}
	for name, r := range d.running {
		if !owed[name] && (r.lane == "" || r.begun.CompareAndSwap(false, true)) {
			r.cancel(ErrNotOwed)
		}
	}
	d.seeking = false
	for _, effect := range due {
		lane := laneOf(effect)
		if lane != "" && d.busy(lane) {
			continue
		}
		hired := false
		if heavy, ok := any(effect).(interface{ Since() time.Time }); ok {
			if hired = d.hire(heavy.Since()); !hired {
				continue
			}
		}
		d.begin(ctx, effect, hired)
	}
	if !d.seeking {
		d.e.workers.leave(&d.seeker)
	}
	d.e.workers.give(d.spare) // only now: the next step of a run comes before the first of a newer one
	d.spare = 0
	for name := range d.retries {
		if !owed[name] {
			delete(d.retries, name)
		}
	}
	return wake, nil
}

// hire takes a worker for an effect, or waits for one.
func (d *desk[S, V, F]) hire(since time.Time) bool {
	switch {
	case d.spare > 0:
		d.spare--
		return true
	case d.e.workers.take(&d.seeker, since):
		return true
	case !d.seeking || since.Before(d.since):
		d.seeking, d.since = true, since
	}
	return false
}

// begin starts one effect in a goroutine of its own.
func (d *desk[S, V, F]) begin(ctx context.Context, effect F, hired bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	name := effect.Name()
	r := &running{cancel: cancel, lane: laneOf(effect), hired: hired, until: d.patience(effect)}
	d.running[name] = r
	d.all.Go(func() {
		defer cancel(nil)
		d.done <- outcome{name: name, err: d.do(ctx, effect, r)} // tend listens, and after it wait, until all have said it
	})
}

// patience is how long an effect waits for newer news. In a lane it counts from the first news that was not told, so that
// news which keeps coming cannot keep all of it from being told.
func (d *desk[S, V, F]) patience(effect F) time.Time {
	patient, ok := any(effect).(interface{ Wait() time.Duration })
	now := d.e.o.Now()
	if !ok || patient.Wait() <= 0 {
		return now
	}
	lane := laneOf(effect)
	if lane == "" {
		return now.Add(patient.Wait())
	}
	if _, waiting := d.first[lane]; !waiting {
		d.first[lane] = now
	}
	return d.first[lane].Add(patient.Wait())
}

func laneOf[F Effect](effect F) string {
	if l, ok := any(effect).(interface{ Lane() string }); ok {
		return l.Lane()
	}
	return ""
}

func (d *desk[S, V, F]) busy(lane string) bool {
	for _, r := range d.running {
		if r.lane == lane {
			return true
		}
	}
	return false
}

func (d *desk[S, V, F]) do(ctx context.Context, effect F, r *running) (err error) {
	defer recovered(&err)
	if wait := r.until.Sub(d.e.o.Now()); wait > 0 {
		clock := time.NewTimer(wait)
		defer clock.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-clock.C:
		}
	}
	if !r.begun.CompareAndSwap(false, true) {
		return ErrNotOwed
	}
	w := &Work[S, V]{Stream: d.t.lease.Stream, Token: d.t.lease.Token, append: d.append, latest: d.latest}
	w.State = d.latest()
	return d.m.Do(ctx, w, effect)
}

func (d *desk[S, V, F]) latest() S {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// append writes under the lease and folds what the stream holds then.
func (d *desk[S, V, F]) append(ctx context.Context, events []V) (S, error) {
	records, err := Records(d.e.o.Now().UTC(), events...)
	if err != nil {
		return d.latest(), err
	}
	batch := journal.Batch{Stream: d.t.lease.Stream, Expect: journal.Any, Token: d.t.lease.Token, Records: records}
	// What has been done must be recorded, even when nobody wants it any more.
	version, err := d.e.o.Journal.Append(context.WithoutCancel(ctx), batch)
	if err != nil {
		return d.latest(), err
	}
	err = d.fold(context.WithoutCancel(ctx), version, events)
	select {
	case d.dirty <- struct{}{}:
	default:
	}
	return d.latest(), err
}

// fold takes in what this server has appended itself, without reading it again when nothing came between.
func (d *desk[S, V, F]) fold(ctx context.Context, version int64, events []V) (err error) {
	defer recovered(&err)
	d.mu.Lock()
	defer d.mu.Unlock()
	if version != d.version+int64(len(events)) {
		d.state, d.version, err = d.m.fold(ctx, d.e.o.Journal, d.t.lease.Stream, d.state, d.version)
		return err
	}
	for _, event := range events {
		d.state = d.m.Apply(d.state, event)
	}
	d.version = version
	return nil
}

// settle notes how an effect ended. One that ended well but is owed all the same is treated as failed: otherwise it
// would be repeated without a pause.
func (d *desk[S, V, F]) settle(o outcome) {
	if r := d.running[o.name]; r != nil && !errors.Is(o.err, ErrNotOwed) {
		delete(d.first, r.lane)
	}
	d.ended(o.name)
	r := d.retries[o.name]
	r.attempts++
	now := d.e.o.Now()
	r.named = false
	r.at = now.Add(min(firstRetry<<min(r.attempts-1, 16), lastRetry))
	var later interface{ RetryAt() time.Time }
	if errors.As(o.err, &later) && later.RetryAt().After(now) {
		r.at, r.named = later.RetryAt(), true
	}
	d.retries[o.name] = r
	switch {
	case o.err == nil, errors.Is(o.err, ErrNotOwed), errors.Is(o.err, ErrHandBack), errors.Is(o.err, context.Canceled):
	default:
		d.e.o.Log.Warn("will be tried again", "stream", d.t.lease.Stream, "effect", o.name, "attempt", r.attempts, "at", r.at, "err", o.err)
	}
}

// ended takes an effect from the table. Its worker stays in hand.
func (d *desk[S, V, F]) ended(name string) {
	if r := d.running[name]; r != nil && r.hired {
		d.spare++
	}
	delete(d.running, name)
}

func (d *desk[S, V, F]) active() int { return len(d.running) }

func (d *desk[S, V, F]) cancelAll() {
	for _, r := range d.running {
		r.cancel(ErrHandBack)
	}
}

// wait returns when every effect has returned.
func (d *desk[S, V, F]) wait() {
	finished := make(chan struct{})
	go func() { d.all.Wait(); close(finished) }()
	for {
		select {
		case <-finished:
			return
		case o := <-d.done:
			d.ended(o.name)
		}
	}
}

// release gives the stream back. Whatever was appended after the state that was looked at keeps its work mark.
func (d *desk[S, V, F]) release(ctx context.Context, wake time.Time) {
	d.giveBack(func(j journal.Journal, seen int64) error {
		return j.Release(context.WithoutCancel(ctx), d.t.lease, seen, wake)
	})
}

// park gives the stream back until there is a worker for it, or something else to do.
func (d *desk[S, V, F]) park(ctx context.Context, wake time.Time) {
	d.giveBack(func(j journal.Journal, seen int64) error {
		return j.Park(context.WithoutCancel(ctx), d.t.lease, seen, d.since, wake)
	})
	d.e.workers.suspect()
}

func (d *desk[S, V, F]) giveBack(how func(j journal.Journal, seen int64) error) {
	d.mu.Lock()
	seen := d.version
	if d.m.Keep {
		d.e.kept.Store(d.t.lease.Stream, folded[S]{d.state, d.version})
	}
	d.mu.Unlock()
	err := how(d.e.o.Journal, seen)
	if err != nil && !errors.Is(err, journal.ErrLeaseLost) {
		d.e.o.Log.Warn("the lease will run out by itself", "stream", d.t.lease.Stream, "err", err)
	}
}
