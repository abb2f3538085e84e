package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A toy: "owe x" is a debt, "paid x" settles it, "forgive x" cancels it.
type note struct{ Verb, What string }

func (n note) Kind() string { return n.Verb }

type debts struct {
	open  []string
	order string
}

type debt struct {
	what string
	wait time.Duration
	lane string
	due  time.Time
}

func (d debt) Name() string        { return d.what }
func (d debt) Wait() time.Duration { return d.wait }
func (d debt) Lane() string        { return d.lane }
func (d debt) Due() time.Time      { return d.due }

func toy(do func(ctx context.Context, w *engine.Work[debts, note], d debt) error, shape ...func(*debt)) engine.Machine[debts, note, debt] {
	return engine.Machine[debts, note, debt]{
		Prefix: "toy/",
		Decode: func(kind string, data []byte) (note, error) {
			var n note
			err := json.Unmarshal(data, &n)
			return n, err
		},
		Apply: func(s debts, n note) debts {
			next := debts{order: s.order + " " + n.Verb + ":" + n.What}
			for _, o := range s.open {
				if n.Verb == "owe" || o != n.What {
					next.open = append(next.open, o)
				}
			}
			if n.Verb == "owe" {
				next.open = append(next.open, n.What)
			}
			return next
		},
		Next: func(s debts) (owed []debt) {
			for _, o := range s.open {
				d := debt{what: o}
				for _, f := range shape {
					f(&d)
				}
				owed = append(owed, d)
			}
			return owed
		},
		Do: do,
	}
}

func pay(ctx context.Context, w *engine.Work[debts, note], d debt) error {
	_, err := w.Append(ctx, note{"paid", d.what})
	return err
}

// bench is a journal with an engine running on it.
type bench struct {
	t    *testing.T
	j    journal.Journal
	load func(context.Context, journal.Journal, string) (debts, int64, error)
	stop func()
}

func run[F engine.Effect](t *testing.T, m engine.Machine[debts, note, F], change ...func(*engine.Options)) *bench {
	j := memory.New(time.Now)
	b := &bench{t: t, j: j, load: m.Load}
	b.stop = start(b, m, change...)
	t.Cleanup(func() {
		b.stop()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func start[F engine.Effect](b *bench, m engine.Machine[debts, note, F], change ...func(*engine.Options)) (stop func()) {
	o := engine.Options{Journal: b.j, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, Idle: 10 * time.Millisecond}
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.New(o, m).Run(ctx) }()
	var once sync.Once
	return func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.t.Error(err)
			}
		})
	}
}

func (b *bench) say(stream string, n note) {
	b.t.Helper()
	records, err := engine.Records(time.Now(), n)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.j.Append(context.Background(), journal.Batch{Stream: stream, Expect: journal.Any, Records: records}); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for a state of a stream, by its changes and not by the clock.
func (b *bench) until(stream string, good func(debts) bool) debts {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	changed := b.j.Changed(ctx)
	for {
		s, _, err := b.load(ctx, b.j, stream)
		if err != nil {
			b.t.Fatal(err)
		}
		if good(s) {
			return s
		}
		if _, more := <-changed; !more {
			b.t.Fatalf("%s never came there; it is at %q", stream, s.order)
		}
	}
}

func settled(s debts) bool { return strings.Contains(s.order, "owe") && len(s.open) == 0 }

func TestWhatIsOwedIsDoneOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		calls.Add(1)
		return pay(ctx, w, d)
	}))
	for i := range 50 {
		b.say(fmt.Sprintf("toy/%d", i%5), note{"owe", fmt.Sprintf("x%d", i)})
	}
	for i := range 5 {
		b.until(fmt.Sprintf("toy/%d", i), func(s debts) bool { return strings.Count(s.order, "paid") == 10 && len(s.open) == 0 })
	}
	b.stop()
	if calls.Load() != 50 {
		t.Fatalf("50 debts were paid by %d calls", calls.Load())
	}
}

func TestAnErrorIsTriedAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		if calls.Add(1) < 3 {
			return errors.New("not now")
		}
		return pay(ctx, w, d)
	}))
	b.say("toy/a", note{"owe", "x"})
	b.until("toy/a", settled)
}

func TestAPanicIsAnErrorOfItsStreamOnly(t *testing.T) {
	t.Parallel()
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		if d.what == "poison" {
			panic("poison")
		}
		return pay(ctx, w, d)
	}))
	b.say("toy/bad", note{"owe", "poison"})
	b.say("toy/good", note{"owe", "x"})
	b.until("toy/good", settled)
}

func TestWhatIsNotOwedAnyMoreIsCancelled(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		close(begun)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return context.Cause(ctx)
	}))
	b.say("toy/a", note{"owe", "x"})
	<-begun
	b.say("toy/a", note{"forgive", "x"})
	if err := <-ended; !errors.Is(err, engine.ErrNotOwed) {
		t.Fatalf("it ended because of %v", err)
	}
}

func TestPatientNewsGivesWayToNewerNews(t *testing.T) {
	t.Parallel()
	var told sync.Map
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		told.Store(d.what, true)
		return pay(ctx, w, d)
	}, func(d *debt) {
		d.lane = "news"
		if d.what == "old" {
			d.wait = time.Hour
		}
	}))
	b.say("toy/a", note{"owe", "old"})
	b.say("toy/a", note{"forgive", "old"})
	b.say("toy/a", note{"owe", "new"})
	b.until("toy/a", settled)
	if _, ok := told.Load("old"); ok {
		t.Fatal("old news was told after all")
	}
}

func TestNewsOfOneLaneIsToldOneAtATimeAndLetFinish(t *testing.T) {
	t.Parallel()
	begun, release := make(chan string, 2), make(chan struct{})
	var at, most atomic.Int64
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer at.Add(-1)
		begun <- d.what
		if d.what == "first" {
			select {
			case <-release:
			case <-ctx.Done():
				t.Error("news that was being told was cut off")
			}
		}
		return pay(ctx, w, d)
	}, func(d *debt) { d.lane = "news" }))
	b.say("toy/a", note{"owe", "first"})
	<-begun
	b.say("toy/a", note{"forgive", "first"})
	b.say("toy/a", note{"owe", "second"})
	b.until("toy/a", func(s debts) bool { return strings.Contains(s.order, "owe:second") })
	close(release)
	b.until("toy/a", settled)
	if most.Load() != 1 {
		t.Fatalf("%d were told at once", most.Load())
	}
}

func TestAnAlarmIsDoneWhenItsTimeHasComeAndNotBefore(t *testing.T) {
	t.Parallel()
	due := time.Now().Add(300 * time.Millisecond)
	var early atomic.Bool
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		early.Store(time.Now().Before(due))
		return pay(ctx, w, d)
	}, func(d *debt) { d.due = due }))
	b.say("toy/a", note{"owe", "x"})
	b.until("toy/a", settled)
	if early.Load() {
		t.Fatal("the alarm came early")
	}
}

func TestAStoppingServerHandsBackWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	var cause atomic.Value
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		begun <- struct{}{}
		<-ctx.Done()
		cause.Store(context.Cause(ctx))
		return context.Cause(ctx)
	}), func(o *engine.Options) { o.Grace = 20 * time.Millisecond })
	b.say("toy/a", note{"owe", "x"})
	<-begun
	b.stop()
	if err, _ := cause.Load().(error); !errors.Is(err, engine.ErrHandBack) {
		t.Fatalf("it ended because of %v", err)
	}
	// Whoever comes next finds the work at once: no lease has to run out first.
	b.stop = start(b, toy(pay))
	b.until("toy/a", settled)
}

func TestAStoppingServerLetsRunningWorkFinish(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	b := run(t, toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		close(begun)
		<-release
		return pay(ctx, w, d)
	}))
	b.say("toy/a", note{"owe", "x"})
	<-begun
	time.AfterFunc(50*time.Millisecond, func() { close(release) }) // while stop waits
	b.stop()
	if s, _, err := b.load(context.Background(), b.j, "toy/a"); err != nil || !settled(s) {
		t.Fatalf("the work was cut off: %q %v", s.order, err)
	}
}

func TestAnOldWorkersWordIsRefused(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(clock.Load(), 0) }
	j := memory.New(now)
	defer func() { _ = j.Close() }()
	ctx := context.Background()
	records, _ := engine.Records(now(), note{"owe", "x"})
	if _, err := j.Append(ctx, journal.Batch{Stream: "toy/a", Expect: journal.Any, Records: records}); err != nil {
		t.Fatal(err)
	}
	old, err := j.Lease(ctx, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(10)
	if _, err := j.Lease(ctx, time.Second); err != nil {
		t.Fatal(err)
	}
	paid, _ := engine.Records(now(), note{"paid", "x"})
	if _, err := j.Append(ctx, journal.Batch{Stream: "toy/a", Expect: journal.Any, Token: old.Token, Records: paid}); !errors.Is(err, journal.ErrLeaseLost) {
		t.Fatalf("the old worker's word was taken: %v", err)
	}
}

func TestManyEnginesShareTheWorkAndNoneDoesItTwice(t *testing.T) {
	t.Parallel()
	var calls sync.Map
	m := toy(func(ctx context.Context, w *engine.Work[debts, note], d debt) error {
		if _, again := calls.LoadOrStore(w.Stream+d.what, true); again {
			t.Errorf("%s %s was done twice", w.Stream, d.what)
		}
		return pay(ctx, w, d)
	})
	b := run(t, m)
	for range 3 {
		t.Cleanup(start(b, m))
	}
	for i := range 200 {
		b.say(fmt.Sprintf("toy/%d", i), note{"owe", "x"})
	}
	for i := range 200 {
		b.until(fmt.Sprintf("toy/%d", i), settled)
	}
}
