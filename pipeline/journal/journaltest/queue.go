package journaltest

import (
	"context"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

func changesAreTold(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	one, two := b.Changed(ctx), b.Changed(t.Context())
	b.add("run/a", "repo/b")
	b.hears(one, "run/a")
	b.hears(one, "repo/b")
	b.hears(two, "repo/b")
	cancel()
	ends(t, one)
	b.add("run/c")
	b.hears(two, "run/c")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ends(t, two)
	ends(t, b.Changed(t.Context()))
}

func aDeafListenerHoldsNothingUp(t *testing.T, b *bench) {
	b.Changed(t.Context())
	for i := range 500 {
		b.append(fact("run/a", int64(i)))
	}
}

func streamsAreListedNewestFirst(t *testing.T, b *bench) {
	b.add("run/a", "run/b", "repo/a", "run/c", "r%n/d", "run/a")
	b.listed("", 10, "run/a", "r%n/d", "run/c", "repo/a", "run/b")
	b.listed("run/", 10, "run/a", "run/c", "run/b")
	b.listed("run/", 2, "run/a", "run/c")
	b.listed("r%", 10, "r%n/d")
	b.listed("r_", 10)
	b.listed("run/", 0)
	b.listed("run/", -1)
	b.lease("run/a") // a lease is no append
	b.listed("run/", 1, "run/a")
}

func depthCountsWork(t *testing.T, b *bench) {
	b.add("run/a", "run/b", "run/c")
	b.depth(3, 3*time.Second)
	a := b.lease("run/a")
	b.depth(3, 2*time.Second) // a leased stream has work, but does not wait
	b.release(a, 1, time.Time{})
	b.depth(2, 2*time.Second)
	b.lease("run/b")
	b.lease("run/c")
	b.depth(2, 0)
	b.clock.Advance(ttl + 5*time.Second)
	b.depth(2, 5*time.Second) // both leases ran out
}

func forgettingTakesOldRestingStreams(t *testing.T, b *bench) {
	b.add("run/1", "run/2", "run/3", "repo/1", "run/leased", "run/waking")
	for _, name := range []string{"run/1", "run/2", "run/3", "repo/1"} {
		b.rest(name)
	}
	b.lease("run/leased")
	b.release(b.lease("run/waking"), 1, b.clock.Now().Add(time.Hour))
	old := b.clock.Now()
	b.add("run/young", "run/waiting")
	b.rest("run/young")
	forget := func(prefix string, before time.Time, limit, want int) {
		t.Helper()
		if n, err := b.Forget(t.Context(), prefix, before, limit); err != nil || n != want {
			t.Fatalf("forget %q: %d, %v, want %d", prefix, n, err, want)
		}
	}
	forget("run/", old.Add(-time.Hour), 100, 0)
	forget("r_", old, 100, 0)
	forget("run/", old, 0, 0)
	forget("run/", old, 2, 2)
	forget("run/", old, 100, 1)
	forget("run/", old, 100, 0)
	b.listed("", 100, "run/waiting", "run/young", "run/waking", "run/leased", "repo/1")
	forget("", old, 100, 1)
	for _, name := range []string{"run/1", "run/2", "run/3", "repo/1"} {
		if n := len(b.read(name)); n != 0 {
			t.Fatalf("%s still has %d records", name, n)
		}
	}
	b.lease("run/waiting")
	b.noWork()
}

func forgettingNeverTakesAFreshAppend(t *testing.T, b *bench) {
	const streams = 40
	for i := range streams {
		b.append(fact(numbered("run/", i), journal.None))
	}
	for i := range streams {
		b.rest(numbered("run/", i))
	}
	b.clock.Advance(time.Hour)
	young := b.clock.Now()
	together(t, 2*streams, nil, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			_, err := b.Forget(ctx, "run/", young, 3)
			return err
		}
		_, err := b.Append(ctx, fact(numbered("run/", i/2), journal.Any))
		return err
	})
	for i := range streams {
		if n := len(b.read(numbered("run/", i))); n != 1 && n != 2 {
			t.Fatalf("%d records of a stream that was forgotten or not, and then appended to", n)
		}
	}
	b.depth(streams, 0)
}

func aForgottenStreamStartsAnew(t *testing.T, b *bench) {
	b.append(says("run/a", "guid"))
	first := b.lease("run/a")
	b.release(first, 1, time.Time{})
	b.clock.Advance(time.Second)
	if n, err := b.Forget(t.Context(), "run/", b.clock.Now(), 1); err != nil || n != 1 {
		t.Fatalf("forget: %d, %v", n, err)
	}
	stale := says("run/a", "late")
	stale.Token = first.Token
	b.refuses(stale, journal.ErrLeaseLost)
	again := says("run/a", "guid")
	again.Expect = journal.None
	b.append(again)
	b.refuses(stale, journal.ErrLeaseLost)
	if second := b.lease("run/a"); second.Token <= first.Token {
		t.Fatalf("token %d follows %d", second.Token, first.Token)
	}
}

func aStoreIsReadyUntilClosed(t *testing.T, b *bench) {
	for range 3 {
		if err := b.Ready(t.Context()); err != nil {
			t.Fatalf("ready: %v", err)
		}
	}
	b.add("run/a")
	b.listed("", 10, "run/a")
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Fatal("a closed store says it is ready")
	}
	if _, err := b.Append(t.Context(), fact("run/a", 1)); err == nil {
		t.Fatal("a closed store takes an append")
	}
	if _, err := b.Read(t.Context(), "run/a", 0); err == nil {
		t.Fatal("a closed store can be read")
	}
}
