// Package journaltest is the contract of journal.Journal as tests. An adapter that passes is a journal; one that has
// not passed is not used.
//
// Where the contract leaves a choice, the suite holds the one all adapters share:
//   - a batch that is refused for several reasons gets ErrLeaseLost before ErrDuplicate before ErrConflict;
//   - a token stays good after Release and after expiry, until the next lease of that stream; one that was never given
//     is refused, and a stream that was forgotten starts again at version 1 but with a higher token;
//   - a stream that was appended to while it was leased waits from its release, so that a busy stream goes to the back;
//   - streams that have waited equally long are leased in the order of their names;
//   - a repeated Release of the newest lease is nil and changes nothing;
//   - a leased stream counts in Depth but does not wait, until its lease runs out; a wake that has not come counts nothing;
//   - a stream with a wake time is not resting for Forget: its alarm would be lost.
//
// It never sleeps: adapters take their time from a Clock that the suite moves. Start reading at Run.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// patience is how long the suite waits for something that has to happen, before it calls it broken.
const patience = 10 * time.Second

// Open gives a handle on a new, empty store that reads the time from now. The suite closes the handle.
type Open func(t testing.TB, now func() time.Time) journal.Journal

// Run holds an adapter to the contract.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"versions have no gaps", versionsHaveNoGaps},
		{"a stream that does not exist is empty", aMissingStreamIsEmpty},
		{"a record comes back as it went in", aRecordComesBackAsItWentIn},
		{"times are kept in UTC to the microsecond", timesAreKeptInUTC},
		{"a batch is written whole", aBatchIsWrittenWhole},
		{"a batch that makes no sense is refused", aSenselessBatchIsRefused},
		{"a stale version is a conflict and writes nothing", aStaleVersionIsAConflict},
		{"a key is taken once per stream", aKeyIsTakenOncePerStream},
		{"a lost lease is told before a duplicate before a conflict", refusalsHaveAnOrder},
		{"one of a hundred creates the stream", oneOfAHundredCreatesTheStream},
		{"one of a hundred appends the key", oneOfAHundredAppendsTheKey},
		{"appends to many streams do not mix", appendsToManyStreamsDoNotMix},
		{"big records come back", bigRecordsComeBack},
		{"a cancelled append writes nothing", aCancelledAppendWritesNothing},
		{"the longest-waiting stream is leased first", theLongestWaitingIsLeasedFirst},
		{"a leased stream is not leased again", aLeasedStreamIsNotLeasedAgain},
		{"a hundred workers never share a lease", aHundredWorkersNeverShareALease},
		{"only the prefixes are leased", onlyThePrefixesAreLeased},
		{"an expired lease goes to another", anExpiredLeaseGoesToAnother},
		{"tokens rise and a lower one is refused for ever", aLowerTokenIsRefused},
		{"tokens rise when the clock stands still or goes back", tokensRiseWithoutTheClock},
		{"a token outlives its lease until the next one", aTokenOutlivesItsLease},
		{"a token that was never given is refused", anInventedTokenIsRefused},
		{"renewing keeps a lease", renewingKeepsALease},
		{"renewing tells what was lost", renewingTellsWhatWasLost},
		{"a release with everything seen rests", aReleaseWithEverythingSeenRests},
		{"a release with unseen records keeps the work mark", aReleaseWithUnseenRecordsKeepsTheMark},
		{"a release wakes at its time", aReleaseWakesAtItsTime},
		{"an append comes before the wake time", anAppendComesBeforeTheWake},
		{"a release may be repeated", aReleaseMayBeRepeated},
		{"a lost lease cannot be released", aLostLeaseCannotBeReleased},
		{"a lease must last", aLeaseMustLast},
		{"a parked stream waits for a worker in the order of rights", aParkedStreamWaitsForAWorker},
		{"an append takes a parked stream out of the park", anAppendUnparks},
		{"a parked stream wakes at its time", aParkedStreamWakes},
		{"a parked stream that was taken up does not wake", whatWasTakenUpDoesNotWake},
		{"parking sees what came meanwhile, and needs the lease", parkingNeedsTheLease},
		{"a parked stream has work", aParkedStreamHasWork},
		{"one of a hundred takes the parked stream", oneOfAHundredTakesTheParked},
		{"changes are told", changesAreTold},
		{"a listener that does not listen holds nothing up", aDeafListenerHoldsNothingUp},
		{"streams are listed newest first", streamsAreListedNewestFirst},
		{"depth counts work and its age", depthCountsWork},
		{"forgetting takes old resting streams only", forgettingTakesOldRestingStreams},
		{"forgetting never takes a fresh append", forgettingNeverTakesAFreshAppend},
		{"a forgotten stream starts anew with a higher token", aForgottenStreamStartsAnew},
		{"a store is ready until it is closed", aStoreIsReadyUntilClosed},
		{"it does what the model does", doesWhatTheModelDoes(open)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			j := open(t, clock.Now)
			t.Cleanup(func() { j.Close() })
			c.test(t, &bench{T: t, Journal: j, clock: clock})
		})
	}
}

// Clock is a time that moves only when it is told to. It may be used concurrently.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a whole second.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is one test's store, clock, and the sentences the tests are written in.
type bench struct {
	*testing.T
	journal.Journal
	clock *Clock
}

// fact is a batch of one record.
func fact(stream string, expect int64) journal.Batch {
	return journal.Batch{Stream: stream, Expect: expect, Records: []journal.Record{{Kind: "happened"}}}
}

// says is a batch of one record with a key.
func says(stream, key string) journal.Batch {
	return journal.Batch{Stream: stream, Expect: journal.Any, Records: []journal.Record{{Kind: "happened", Key: key}}}
}

// add appends one record to each stream in turn, a second apart.
func (b *bench) add(streams ...string) {
	b.Helper()
	for _, stream := range streams {
		b.append(fact(stream, journal.Any))
		b.clock.Advance(time.Second)
	}
}

func (b *bench) append(batch journal.Batch) int64 {
	b.Helper()
	version, err := b.Append(b.Context(), batch)
	if err != nil {
		b.Fatalf("append to %s: %v", batch.Stream, err)
	}
	return version
}

func (b *bench) refuses(batch journal.Batch, want error) {
	b.Helper()
	before := b.read(batch.Stream)
	if _, err := b.Append(b.Context(), batch); !errors.Is(err, want) {
		b.Fatalf("append to %s: got %v, want %v", batch.Stream, err, want)
	}
	if after := b.read(batch.Stream); len(after) != len(before) {
		b.Fatalf("a refused append wrote %d records to %s", len(after)-len(before), batch.Stream)
	}
}

func (b *bench) read(stream string) []journal.Record {
	b.Helper()
	records, err := b.Read(b.Context(), stream, 0)
	if err != nil {
		b.Fatalf("read %s: %v", stream, err)
	}
	for i, r := range records {
		if r.Version != int64(i)+1 {
			b.Fatalf("record %d of %s has version %d", i+1, stream, r.Version)
		}
	}
	return records
}

const ttl = time.Minute

// lease takes the next stream, and fails when it is not the one wanted.
func (b *bench) lease(want string, prefixes ...string) journal.Lease {
	b.Helper()
	l, err := b.Lease(b.Context(), ttl, prefixes...)
	if err != nil {
		b.Fatalf("lease, wanting %s: %v", want, err)
	}
	if l.Stream != want {
		b.Fatalf("leased %s, want %s", l.Stream, want)
	}
	if until := b.clock.Now().Add(ttl); !l.Expires.Equal(until) {
		b.Fatalf("the lease of %s expires at %s, want %s", want, l.Expires, until)
	}
	return l
}

func (b *bench) noWork(prefixes ...string) {
	b.Helper()
	if l, err := b.Lease(b.Context(), ttl, prefixes...); !errors.Is(err, journal.ErrNoWork) {
		b.Fatalf("lease: got %q, %v, want no work", l.Stream, err)
	}
}

func (b *bench) release(l journal.Lease, seen int64, wake time.Time) {
	b.Helper()
	if err := b.Release(b.Context(), l, seen, wake); err != nil {
		b.Fatalf("release %s: %v", l.Stream, err)
	}
}

// rest leases the stream, which must be next, and releases it with everything seen.
func (b *bench) rest(stream string) {
	b.Helper()
	b.release(b.lease(stream), int64(len(b.read(stream))), time.Time{})
}

func (b *bench) listed(prefix string, limit int, want ...string) {
	b.Helper()
	got, err := b.Streams(b.Context(), prefix, limit)
	if err != nil {
		b.Fatalf("streams %q: %v", prefix, err)
	}
	if !slices.Equal(got, want) {
		b.Fatalf("streams %q: got %q, want %q", prefix, got, want)
	}
}

func (b *bench) depth(waiting int, oldest time.Duration) {
	b.Helper()
	n, age, err := b.Depth(b.Context())
	if err != nil {
		b.Fatalf("depth: %v", err)
	}
	if n != waiting || age != oldest {
		b.Fatalf("depth: got %d, %s, want %d, %s", n, age, waiting, oldest)
	}
}

// hears waits until the name comes in; other names may come before it.
func (b *bench) hears(names <-chan string, want string) {
	b.Helper()
	deadline := time.After(patience)
	for {
		select {
		case name, open := <-names:
			if !open {
				b.Fatalf("the channel was closed before it told of %s", want)
			}
			if name == want {
				return
			}
		case <-deadline:
			b.Fatalf("nothing was told of %s", want)
		}
	}
}

func ends(t testing.TB, names <-chan string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-names:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the channel was not closed")
		}
	}
}

// together runs n calls at once and returns how many were nil; every error must be one that is expected.
func together(t testing.TB, n int, expected error, call func(ctx context.Context, i int) error) int {
	t.Helper()
	errs := make(chan error, n)
	start := make(chan struct{})
	for i := range n {
		go func() {
			<-start
			errs <- call(t.Context(), i)
		}()
	}
	close(start)
	won := 0
	for range n {
		switch err := <-errs; {
		case err == nil:
			won++
		case expected == nil || !errors.Is(err, expected):
			t.Errorf("got %v, want %v or nil", err, expected)
		}
	}
	return won
}

func numbered(word string, i int) string { return fmt.Sprintf("%s%03d", word, i) }
