package journaltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

func theLongestWaitingIsLeasedFirst(t *testing.T, b *bench) {
	b.add("run/m", "run/z", "run/a", "repo/q")
	b.add("run/m", "run/a") // waiting since their first append
	for _, want := range []string{"run/m", "run/z", "run/a", "repo/q"} {
		b.lease(want)
	}
	b.noWork()
}

func aLeasedStreamIsNotLeasedAgain(t *testing.T, b *bench) {
	b.add("run/a")
	l := b.lease("run/a")
	b.noWork()
	b.add("run/a") // an append does not end the lease
	b.noWork()
	mine := fact("run/a", 2)
	mine.Token = l.Token
	b.append(mine)
	b.noWork()
}

func aHundredWorkersNeverShareALease(t *testing.T, b *bench) {
	const streams = 60
	for i := range streams {
		b.append(fact(numbered("run/", i), journal.None))
	}
	var mu sync.Mutex
	taken := map[string]int{}
	won := together(t, 100, journal.ErrNoWork, func(ctx context.Context, _ int) error {
		l, err := b.Lease(ctx, ttl)
		mu.Lock()
		defer mu.Unlock()
		taken[l.Stream]++
		return err
	})
	if delete(taken, ""); won != streams || len(taken) != streams {
		t.Fatalf("%d leases of %d streams, want %d of each", won, len(taken), streams)
	}
}

func onlyThePrefixesAreLeased(t *testing.T, b *bench) {
	b.add("run/1", "repo/1", "run/2", "repo/2", "runner/1", "tell/1", "r%/1")
	b.noWork("nothing/")
	b.noWork("r_") // a prefix is no pattern
	b.lease("repo/1", "repo/")
	b.lease("r%/1", "r%")
	b.lease("run/1", "tell/", "run/")
	b.lease("run/2", "run/", "tell/")
	b.lease("tell/1", "run/", "tell/")
	b.noWork("run/", "tell/")
	b.lease("repo/2", "")
	b.lease("runner/1")
}

func anExpiredLeaseGoesToAnother(t *testing.T, b *bench) {
	b.add("run/a")
	first := b.lease("run/a")
	b.clock.Advance(ttl - time.Microsecond)
	b.noWork()
	b.clock.Advance(time.Microsecond)
	second := b.lease("run/a")
	if second.Token <= first.Token {
		t.Fatalf("token %d follows %d", second.Token, first.Token)
	}
	b.noWork()
}

func aLowerTokenIsRefused(t *testing.T, b *bench) {
	b.add("run/a")
	var tokens []int64
	for range 5 {
		tokens = append(tokens, b.lease("run/a").Token)
		b.clock.Advance(ttl)
	}
	if !slices.IsSorted(tokens) || len(slices.Compact(slices.Clone(tokens))) != 5 {
		t.Fatalf("tokens %v do not rise", tokens)
	}
	for range 2 {
		for _, old := range tokens[:4] {
			stale := fact("run/a", journal.Any)
			stale.Token = old
			b.refuses(stale, journal.ErrLeaseLost)
		}
		b.clock.Advance(time.Hour) // the newest lease has expired too: the lower ones are still refused
	}
	newest := fact("run/a", 1)
	newest.Token = tokens[4]
	b.append(newest)
}

func tokensRiseWithoutTheClock(t *testing.T, b *bench) {
	b.add("run/a")
	newest := int64(0)
	for i := range 6 {
		if i == 3 { // the stream waits since a time that is still to come, until it is appended to
			b.clock.Advance(-time.Hour)
			b.noWork()
			b.append(fact("run/a", journal.Any))
		}
		l := b.lease("run/a", "run/a")
		if l.Token <= newest {
			t.Fatalf("token %d follows %d", l.Token, newest)
		}
		stale := fact("run/a", journal.Any)
		if stale.Token = newest; newest != 0 {
			b.refuses(stale, journal.ErrLeaseLost)
		}
		newest = l.Token
		b.release(l, 0, time.Time{})
	}
}

func aTokenOutlivesItsLease(t *testing.T, b *bench) {
	b.add("run/a")
	l := b.lease("run/a")
	mine := fact("run/a", journal.Any)
	mine.Token = l.Token
	b.clock.Advance(time.Hour)
	b.append(mine) // expired, but nobody else has it
	b.release(l, 2, time.Time{})
	b.append(mine) // released, but nobody else has it
	b.lease("run/a")
	b.refuses(mine, journal.ErrLeaseLost)
	b.append(fact("run/a", 3)) // a writer without a lease may still append
}

func anInventedTokenIsRefused(t *testing.T, b *bench) {
	b.add("run/a")
	l := b.lease("run/a")
	for _, token := range []int64{l.Token + 1, 1, -1} {
		made := fact("run/a", journal.Any)
		made.Token = token
		b.refuses(made, journal.ErrLeaseLost)
		made.Stream = "run/new"
		b.refuses(made, journal.ErrLeaseLost)
	}
}

func renewingKeepsALease(t *testing.T, b *bench) {
	b.add("run/a", "run/b")
	mine := []journal.Lease{b.lease("run/a"), b.lease("run/b")}
	for range 3 {
		b.clock.Advance(ttl - time.Second)
		if lost, err := b.Renew(t.Context(), ttl, mine...); err != nil || len(lost) != 0 {
			t.Fatalf("renew: lost %v, %v", lost, err)
		}
		b.noWork()
	}
	b.clock.Advance(2 * time.Second)
	b.noWork()
	b.clock.Advance(ttl) // expired, but nobody has taken it: it can still be kept
	if lost, err := b.Renew(t.Context(), ttl, mine...); err != nil || len(lost) != 0 {
		t.Fatalf("renew: lost %v, %v", lost, err)
	}
	b.noWork()
	if lost, err := b.Renew(t.Context(), ttl); err != nil || len(lost) != 0 {
		t.Fatalf("renew of nothing: lost %v, %v", lost, err)
	}
}

func renewingTellsWhatWasLost(t *testing.T, b *bench) {
	b.add("run/a", "run/b", "run/c")
	a, mine, c := b.lease("run/a"), b.lease("run/b"), b.lease("run/c")
	b.release(c, 1, time.Time{})
	b.clock.Advance(ttl / 2)
	if lost, err := b.Renew(t.Context(), ttl, mine); err != nil || len(lost) != 0 {
		t.Fatalf("renew: lost %v, %v", lost, err)
	}
	b.clock.Advance(ttl / 2)
	b.lease("run/a")
	missing := journal.Lease{Stream: "run/none", Token: 1}
	lost, err := b.Renew(t.Context(), ttl, a, mine, c, missing)
	if want := []journal.Lease{a, c, missing}; err != nil || !slices.Equal(lost, want) {
		t.Fatalf("renew: lost %v, %v, want %v", lost, err, want)
	}
	b.clock.Advance(ttl - time.Microsecond)
	b.noWork("run/b")
}

func aReleaseWithEverythingSeenRests(t *testing.T, b *bench) {
	b.add("run/a")
	b.rest("run/a")
	b.clock.Advance(24 * time.Hour)
	b.noWork()
	b.depth(0, 0)
	b.add("run/a")
	b.lease("run/a")
}

func aReleaseWithUnseenRecordsKeepsTheMark(t *testing.T, b *bench) {
	b.add("run/a")
	l := b.lease("run/a")
	b.add("run/a", "run/b")
	b.release(l, 1, b.clock.Now().Add(time.Hour)) // there is something new: it does not wait for its wake time
	b.lease("run/b")                              // which has waited longer than the one just released
	b.release(b.lease("run/a"), 2, time.Time{})
	b.noWork()
}

func aReleaseWakesAtItsTime(t *testing.T, b *bench) {
	b.add("run/a")
	b.release(b.lease("run/a"), 1, b.clock.Now().Add(time.Hour))
	b.depth(0, 0)
	b.clock.Advance(time.Hour - time.Microsecond)
	b.noWork()
	b.clock.Advance(time.Microsecond)
	b.depth(1, 0)
	b.add("run/b")
	b.release(b.lease("run/a"), 1, b.clock.Now().Add(-time.Hour)) // a wake in the past is now, and no way past the queue
	b.lease("run/b")
	b.release(b.lease("run/a"), 1, time.Time{})
	b.noWork()
}

func anAppendComesBeforeTheWake(t *testing.T, b *bench) {
	b.add("run/a")
	b.release(b.lease("run/a"), 1, b.clock.Now().Add(time.Hour))
	b.add("run/a", "run/b")
	b.release(b.lease("run/a"), 2, time.Time{}) // the append took the place of the wake
	b.lease("run/b")
	b.clock.Advance(ttl / 2)
	b.noWork()
}

func aReleaseMayBeRepeated(t *testing.T, b *bench) {
	b.add("run/a")
	l := b.lease("run/a")
	b.release(l, 1, time.Time{})
	b.release(l, 0, time.Time{})
	b.noWork()
	b.add("run/a")
	b.release(l, 2, time.Time{}) // nor does it take the mark that came since
	b.lease("run/a")
}

func aLostLeaseCannotBeReleased(t *testing.T, b *bench) {
	b.add("run/a", "run/b")
	first := b.lease("run/a")
	b.clock.Advance(ttl)
	b.lease("run/b")
	b.lease("run/a")
	for _, lost := range []journal.Lease{first, {Stream: "run/none", Token: 1}, {Stream: "run/b"}} {
		if err := b.Release(t.Context(), lost, 1, time.Time{}); !errors.Is(err, journal.ErrLeaseLost) {
			t.Fatalf("release of %+v: got %v, want lost", lost, err)
		}
	}
	b.noWork()
	b.clock.Advance(ttl)
	late := b.lease("run/a")
	b.clock.Advance(time.Hour)
	b.release(late, 1, time.Time{}) // late, but nobody else has it
	b.lease("run/b")
	b.noWork()
}

func aLeaseMustLast(t *testing.T, b *bench) {
	b.add("run/a")
	for _, short := range []time.Duration{0, -time.Second} {
		if _, err := b.Lease(t.Context(), short); err == nil || errors.Is(err, journal.ErrNoWork) {
			t.Fatalf("a lease of %s: got %v", short, err)
		}
		if _, err := b.Renew(t.Context(), short); err == nil {
			t.Fatalf("renewing for %s was taken", short)
		}
	}
	b.lease("run/a")
}
