package journaltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// park leases the stream, which must be next, and parks it with everything seen.
func (b *bench) park(stream string, since time.Time, wake ...time.Time) journal.Lease {
	b.Helper()
	l, until := b.lease(stream), time.Time{}
	if len(wake) > 0 {
		until = wake[0]
	}
	if err := b.Park(b.Context(), l, int64(len(b.read(stream))), since, until); err != nil {
		b.Fatalf("park %s: %v", stream, err)
	}
	return l
}

// resume leases the parked stream that is next; none is wanted when want is empty.
func (b *bench) resume(want string, before time.Time, prefixes ...string) journal.Lease {
	b.Helper()
	l, err := b.LeaseParked(b.Context(), ttl, before, prefixes...)
	if l.Stream != want || (want == "") != errors.Is(err, journal.ErrNoWork) || (want != "") != (err == nil) {
		b.Fatalf("lease of a parked stream: got %q, %v, want %q", l.Stream, err, want)
	}
	return l
}

func aParkedStreamWaitsForAWorker(t *testing.T, b *bench) {
	start := b.clock.Now()
	b.add("run/a", "run/b", "run/c", "repo/d", "run/e")
	b.resume("", time.Time{})
	first := b.park("run/a", start.Add(3*time.Second))
	b.park("run/b", start.Add(time.Second))
	b.park("run/c", start.Add(time.Second))
	b.park("repo/d", start)
	b.clock.Advance(24 * time.Hour)
	b.lease("run/e") // which was not parked
	b.noWork()
	b.resume("", start.Add(time.Second), "run/")
	b.resume("run/b", start.Add(time.Second+time.Microsecond), "run/")
	b.resume("repo/d", time.Time{})
	b.resume("run/c", time.Time{}, "nothing/", "run/")
	again := b.resume("run/a", time.Time{})
	if again.Token <= first.Token || !again.Expires.Equal(b.clock.Now().Add(ttl)) {
		t.Fatalf("lease %+v follows %+v", again, first)
	}
	b.resume("", time.Time{})
	b.clock.Advance(ttl)
	b.lease("repo/d") // its holder is lost: that is work for everyone
}

func anAppendUnparks(t *testing.T, b *bench) {
	b.add("run/a", "run/b")
	b.park("run/a", b.clock.Now())
	b.add("run/a")
	b.resume("", time.Time{})
	b.lease("run/b") // which has waited longer than the append
	b.release(b.lease("run/a"), 2, time.Time{})
	b.noWork()
	b.resume("", time.Time{})
}

func aParkedStreamWakes(t *testing.T, b *bench) {
	start := b.clock.Now()
	b.add("run/a", "run/b", "run/c")
	first := b.park("run/a", start, start.Add(time.Hour))
	b.park("run/b", start, start.Add(2*time.Hour))
	b.park("run/c", start)
	b.clock.Advance(time.Hour - 3*time.Second - time.Microsecond)
	b.noWork()
	b.clock.Advance(time.Microsecond)
	b.depth(3, time.Hour)
	b.release(b.resume("run/b", time.Time{}), 1, time.Time{}) // and not the one that has woken
	again := b.lease("run/a")
	if again.Token <= first.Token {
		t.Fatalf("lease %+v follows %+v", again, first)
	}
	if err := b.Park(t.Context(), again, 1, start, start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.add("run/a") // unparks it, before its time
	b.rest("run/a")
	b.clock.Advance(24 * time.Hour)
	b.noWork()
	b.release(b.resume("run/c", time.Time{}), 1, time.Time{})
	b.depth(0, 0)
}

func whatWasTakenUpDoesNotWake(_ *testing.T, b *bench) {
	start := b.clock.Now()
	b.add("run/a", "run/b")
	b.park("run/a", start, start.Add(time.Hour))
	b.park("run/b", start, start.Add(time.Hour))
	b.release(b.resume("run/a", time.Time{}), 1, time.Time{})
	second := b.resume("run/b", time.Time{})
	if err := b.Park(b.Context(), second, 1, start, time.Time{}); err != nil { // for ever, this time
		b.Fatal(err)
	}
	b.clock.Advance(2 * time.Hour)
	b.noWork()
	b.resume("run/b", time.Time{})
	b.resume("", time.Time{})
}

func parkingNeedsTheLease(t *testing.T, b *bench) {
	b.add("run/a", "run/b")
	l := b.lease("run/a")
	b.add("run/a")
	if err := b.Park(t.Context(), l, 1, b.clock.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	b.resume("", time.Time{}) // it has news that nobody has seen
	b.lease("run/b")
	second := b.lease("run/a")
	for _, lost := range []journal.Lease{l, {Stream: "run/none", Token: 1}, {Stream: "run/b"}} {
		if err := b.Park(t.Context(), lost, 2, b.clock.Now(), time.Time{}); !errors.Is(err, journal.ErrLeaseLost) {
			t.Fatalf("park of %+v: got %v, want lost", lost, err)
		}
	}
	for range 2 { // a lost answer is no harm
		if err := b.Park(t.Context(), second, 2, b.clock.Now(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if lost, err := b.Renew(t.Context(), ttl, second); err != nil || len(lost) != 1 {
		t.Fatalf("a parked stream's lease was renewed: lost %v, %v", lost, err)
	}
	third := b.resume("run/a", time.Time{})
	if err := b.Park(t.Context(), second, 2, b.clock.Now(), time.Time{}); !errors.Is(err, journal.ErrLeaseLost) {
		t.Fatalf("park after another has taken it: %v", err)
	}
	if _, err := b.LeaseParked(t.Context(), 0, time.Time{}); err == nil || errors.Is(err, journal.ErrNoWork) {
		t.Fatalf("a lease that does not last: got %v", err)
	}
	b.release(third, 2, time.Time{})
	b.resume("", time.Time{})
}

func aParkedStreamHasWork(t *testing.T, b *bench) {
	since := b.clock.Now()
	b.add("run/a")
	b.park("run/a", since)
	b.clock.Advance(time.Hour)
	b.depth(1, time.Hour+time.Second)
	if n, err := b.Forget(t.Context(), "", b.clock.Now(), 10); err != nil || n != 0 {
		t.Fatalf("a parked stream was forgotten: %d, %v", n, err)
	}
	b.release(b.resume("run/a", time.Time{}), 1, time.Time{})
	b.depth(0, 0)
}

func oneOfAHundredTakesTheParked(t *testing.T, b *bench) {
	b.add("run/a")
	b.park("run/a", b.clock.Now())
	won := together(t, 100, journal.ErrNoWork, func(ctx context.Context, _ int) error {
		_, err := b.LeaseParked(ctx, ttl, time.Time{})
		return err
	})
	if won != 1 {
		t.Fatalf("%d have it", won)
	}
}
