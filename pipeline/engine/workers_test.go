package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/memory"
)

// heavy is a debt that needs a worker. "site@7" has a right since the seventh second.
type heavy struct{ debt }

func (h heavy) Since() time.Time {
	_, second, _ := strings.Cut(h.what, "@")
	n, _ := strconv.Atoi(second)
	return time.Unix(int64(n), 0)
}

// workshop is a toy whose debts with an @ need a worker.
func workshop(do func(ctx context.Context, w *engine.Work[debts, note], what string) error) engine.Machine[debts, note, engine.Effect] {
	m := toy(nil)
	return engine.Machine[debts, note, engine.Effect]{
		Prefix: m.Prefix, Decode: m.Decode, Apply: m.Apply,
		Next: func(s debts) (owed []engine.Effect) {
			for _, d := range m.Next(s) {
				if strings.Contains(d.what, "@") {
					owed = append(owed, heavy{d})
				} else {
					owed = append(owed, d)
				}
			}
			return owed
		},
		Do: func(ctx context.Context, w *engine.Work[debts, note], effect engine.Effect) error {
			return do(ctx, w, effect.Name())
		},
	}
}

func paid(ctx context.Context, w *engine.Work[debts, note], what string) error {
	return pay(ctx, w, debt{what: what})
}

// lot is a journal that tells what is parked.
type lot struct {
	journal.Journal
	parked chan string
}

func (l lot) Park(ctx context.Context, lease journal.Lease, seen int64, since, wake time.Time) error {
	err := l.Journal.Park(ctx, lease, seen, since, wake)
	l.parked <- lease.Stream
	return err
}

// watched lets the test see what an engine parks.
func watched(l *lot) func(*engine.Options) {
	return func(o *engine.Options) {
		*l = lot{o.Journal, make(chan string, 1000)}
		o.Journal = l
	}
}

// oneWorker runs a workshop whose only worker is taken until release is closed, and tells what was done there, in order.
func oneWorker(t *testing.T) (b *bench, l *lot, release chan struct{}, done chan string) {
	begun := make(chan struct{})
	release, done, l = make(chan struct{}), make(chan string, 1000), &lot{}
	b = run(t, workshop(func(ctx context.Context, w *engine.Work[debts, note], what string) error {
		if what == "first@0" {
			close(begun)
			select {
			case <-release:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if strings.Contains(what, "@") {
			done <- what
		}
		return paid(ctx, w, what)
	}), watched(l))
	b.say("toy/first", note{"owe", "first@0"})
	<-begun
	return b, l, release, done
}

func TestWhoWaitsForAWorkerIsParkedAndTheOldestRightComesFirst(t *testing.T) {
	t.Parallel()
	b, l, release, done := oneWorker(t)
	var want []string
	for i := range 50 {
		n := 50 - i // the newest right arrives first
		b.say(fmt.Sprintf("toy/%d", n), note{"owe", fmt.Sprintf("x@%d", n)})
		<-l.parked
		want = append(want, fmt.Sprintf("x@%d", i+1))
	}
	if waiting, _, err := b.j.Depth(context.Background()); err != nil || waiting != 51 {
		t.Fatalf("%d streams have work, %v, want 51", waiting, err)
	}
	close(release)
	got := []string{}
	for range 51 {
		got = append(got, <-done)
	}
	if !slices.Equal(got[1:], want) {
		t.Fatalf("done in the order %q", got)
	}
}

func TestAParkedStreamHearsAtOnceThatItIsNotWanted(t *testing.T) {
	t.Parallel()
	b, l, release, done := oneWorker(t)
	b.say("toy/a", note{"owe", "x@1"})
	<-l.parked
	b.say("toy/a", note{"forgive", "x@1"})
	b.say("toy/a", note{"owe", "news"})
	b.until("toy/a", settled) // the worker is taken all the while
	close(release)
	b.until("toy/first", settled)
	if what := <-done; what != "first@0" || len(done) > 0 {
		t.Fatalf("%q was done", what)
	}
}

func TestAParkedStreamIsTakenUpByAServerThatHasAWorker(t *testing.T) {
	t.Parallel()
	b, l, release, _ := oneWorker(t)
	b.say("toy/a", note{"owe", "x@1"})
	<-l.parked
	t.Cleanup(start(b, workshop(paid)))
	b.until("toy/a", settled) // by the other one: the first has no worker yet
	close(release)
	b.until("toy/first", settled)
}

func TestAParkedStreamOutlivesWhoTookItUp(t *testing.T) {
	t.Parallel()
	b, l, release, _ := oneWorker(t)
	b.say("toy/a", note{"owe", "x@1"})
	<-l.parked
	// A server takes it up and is killed: nobody hears of it again.
	if lost, err := b.j.LeaseParked(context.Background(), 50*time.Millisecond, time.Time{}); err != nil || lost.Stream != "toy/a" {
		t.Fatalf("took up %q, %v", lost.Stream, err)
	}
	t.Cleanup(start(b, workshop(paid)))
	b.until("toy/a", settled)
	close(release)
	b.until("toy/first", settled)
}

func TestTheNextStepOfAStreamComesBeforeANewerStream(t *testing.T) {
	t.Parallel()
	b, l, release, done := oneWorker(t)
	b.say("toy/newer", note{"owe", "x@5"})
	<-l.parked
	b.say("toy/first", note{"owe", "second@0"})
	b.until("toy/first", func(s debts) bool { return len(s.open) == 2 })
	close(release)
	for _, want := range []string{"first@0", "second@0", "x@5"} {
		if got := <-done; got != want {
			t.Fatalf("%s was done before %s", got, want)
		}
	}
}

func TestWhatNeedsNoWorkerIsDoneWhileTheRestWaits(t *testing.T) {
	t.Parallel()
	b, l, release, _ := oneWorker(t)
	b.say("toy/a", note{"owe", "x@1"})
	b.say("toy/a", note{"owe", "news"})
	b.until("toy/a", func(s debts) bool { return strings.Contains(s.order, "paid:news") })
	<-l.parked
	close(release)
	b.until("toy/a", settled)
}

func TestAStreamThatMustTryAgainIsNotParked(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	var tries atomic.Int64
	b := run(t, workshop(func(ctx context.Context, w *engine.Work[debts, note], what string) error {
		switch {
		case what == "first@0":
			close(begun)
			<-release
		case what == "news" && tries.Add(1) < 3:
			return errors.New("not now")
		}
		return paid(ctx, w, what)
	}))
	b.say("toy/first", note{"owe", "first@0"})
	<-begun
	b.say("toy/a", note{"owe", "x@1"})
	b.say("toy/a", note{"owe", "news"})
	b.until("toy/a", func(s debts) bool { return strings.Contains(s.order, "paid:news") })
	close(release)
	b.until("toy/a", settled)
}

// A run that waits for a worker has a deadline all the same, and it is heard although no worker is ever free.
func TestAParkedStreamWakesForWhatIsDueLater(t *testing.T) {
	t.Parallel()
	var hours atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(hours.Load()) * time.Hour) }
	due := time.Now().Add(time.Hour)
	begun, release := make(chan struct{}), make(chan struct{})
	m := workshop(func(ctx context.Context, w *engine.Work[debts, note], what string) error {
		switch what {
		case "first@0":
			close(begun)
			<-release
		case "alarm":
			if now().Before(due) {
				t.Error("the alarm came early")
			}
			if _, err := w.Append(ctx, note{"paid", "x@1"}); err != nil {
				return err
			}
		}
		return paid(ctx, w, what)
	})
	next := m.Next
	m.Next = func(s debts) (owed []engine.Effect) {
		for _, e := range next(s) {
			if e.Name() == "alarm" {
				e = debt{what: "alarm", due: due}
			}
			owed = append(owed, e)
		}
		return owed
	}
	b := &bench{t: t, j: memory.New(now), load: m.Load}
	var l lot
	stop := start(b, m, func(o *engine.Options) { o.Now, o.TTL = now, 24*time.Hour }, watched(&l))
	t.Cleanup(stop)
	b.say("toy/first", note{"owe", "first@0"})
	<-begun
	b.say("toy/a", note{"owe", "x@1"})
	<-l.parked
	b.say("toy/a", note{"owe", "alarm"})
	<-l.parked // again, although it owes something else: that has time
	hours.Store(2)
	b.until("toy/a", settled)
	close(release)
	b.until("toy/first", settled)
}

func TestAFailureGivesItsWorkerBack(t *testing.T) {
	t.Parallel()
	var failed atomic.Bool
	b := run(t, workshop(func(ctx context.Context, w *engine.Work[debts, note], what string) error {
		if what == "bad@0" && failed.CompareAndSwap(false, true) {
			panic("once")
		}
		return paid(ctx, w, what)
	}))
	b.say("toy/bad", note{"owe", "bad@0"})
	b.say("toy/good", note{"owe", "x@1"})
	b.until("toy/good", settled)
	b.until("toy/bad", settled)
}

// Whatever comes in whichever order, on two servers that come and go: never more at once than there are workers, nothing
// twice at once, and nothing is left.
func TestWorkersAreNeverExceededAndNothingIsLeftWaiting(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var running sync.Map
	server := func(workers int64) (engine.Machine[debts, note, engine.Effect], func(*engine.Options)) {
		var at atomic.Int64
		return workshop(func(ctx context.Context, w *engine.Work[debts, note], what string) error {
			if strings.Contains(what, "@") {
				if n := at.Add(1); n > workers {
					t.Errorf("%d at once in %d workers", n, workers)
				}
				defer at.Add(-1)
			}
			if _, twice := running.LoadOrStore(w.Stream+what, true); twice {
				t.Errorf("%s %s is done twice at once", w.Stream, what)
			}
			defer running.Delete(w.Stream + what)
			return paid(ctx, w, what)
		}), func(o *engine.Options) { o.Workers = int(workers) }
	}
	m, two := server(2)
	b := run(t, m, two)
	m, three := server(3)
	stop := start(b, m, three)
	const streams = 60
	for i := range 600 {
		stream := fmt.Sprintf("toy/%d", random.IntN(streams))
		if i < streams {
			stream = fmt.Sprintf("toy/%d", i)
		}
		what := fmt.Sprintf("%d", i)
		if random.IntN(3) > 0 {
			what += fmt.Sprintf("@%d", random.IntN(100))
		}
		b.say(stream, note{"owe", what})
		if random.IntN(10) == 0 {
			b.say(stream, note{"forgive", what})
		}
		if i%100 == 99 {
			stop()
			m, three = server(3)
			stop = start(b, m, three)
		}
	}
	defer stop()
	for i := range streams {
		b.until(fmt.Sprintf("toy/%d", i), settled)
	}
}
