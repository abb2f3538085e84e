package journaltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// Store gives one new, empty, durable store, as a function that opens a handle on it. Handles are open at the same
// time, as from several processes, and one after the other, as after a restart.
type Store func(t testing.TB) Open

// RunDurable holds an adapter whose store outlives the handle, and is shared, to what Run cannot see. It does not
// replace Run.
func RunDurable(t *testing.T, store Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *shelf)
	}{
		{"what was written is there after reopening", whatWasWrittenIsThere},
		{"leases and work marks outlive the process", leasesOutliveTheProcess},
		{"the other handle's appends are read and told", theOthersAppendsAreTold},
		{"two handles agree on who was first", twoHandlesAgree},
		{"two handles never share a lease", twoHandlesNeverShareALease},
		{"a lower token is refused by the other handle too", aLowerTokenIsRefusedEverywhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			open := store(t)
			c.test(t, &shelf{open: func() *bench {
				j := open(t, clock.Now)
				t.Cleanup(func() { j.Close() })
				return &bench{T: t, Journal: j, clock: clock}
			}})
		})
	}
}

type shelf struct{ open func() *bench }

func whatWasWrittenIsThere(t *testing.T, s *shelf) {
	b := s.open()
	batch := says("run/a", "guid")
	batch.Records[0].Data = []byte("data")
	batch.Records[0].At = b.clock.Now().Add(-time.Hour)
	b.append(batch)
	b.clock.Advance(time.Second)
	b.add("run/b", "run/a")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = s.open()
	got := b.read("run/a")
	if len(got) != 2 || string(got[0].Data) != "data" || got[0].Key != "guid" || got[0].At != batch.Records[0].At {
		t.Fatalf("after reopening: %+v", got)
	}
	b.listed("", 10, "run/a", "run/b")
	b.refuses(says("run/a", "guid"), journal.ErrDuplicate)
	b.refuses(fact("run/a", 1), journal.ErrConflict)
	b.append(fact("run/a", 2))
	b.lease("run/a")
}

func leasesOutliveTheProcess(t *testing.T, s *shelf) {
	b := s.open()
	b.add("run/a", "run/b", "run/c", "run/d")
	held, waking, resting := b.lease("run/a"), b.lease("run/b"), b.lease("run/c")
	b.release(waking, 1, b.clock.Now().Add(ttl/2))
	b.release(resting, 1, time.Time{})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = s.open()
	b.depth(2, time.Second)
	b.lease("run/d")
	b.noWork()
	if lost, err := b.Renew(t.Context(), ttl, held); err != nil || len(lost) != 0 {
		t.Fatalf("renew after reopening: %v, %v", lost, err)
	}
	b.clock.Advance(ttl / 2)
	b.lease("run/b")
	b.clock.Advance(ttl / 2)
	b.lease("run/a")
	stale := fact("run/a", journal.Any)
	stale.Token = held.Token
	b.refuses(stale, journal.ErrLeaseLost)
}

func theOthersAppendsAreTold(t *testing.T, s *shelf) {
	b, other := s.open(), s.open()
	names := b.Changed(t.Context())
	for i := range 5 {
		b.append(fact("run/mine", journal.Any))
		other.append(fact(numbered("run/other", i), journal.None))
		b.append(fact("run/mine", journal.Any)) // which must not cover up the other's
		b.hears(names, numbered("run/other", i))
		if n := len(b.read(numbered("run/other", i))); n != 1 {
			t.Fatalf("%d records of the other's stream, want 1", n)
		}
	}
}

func twoHandlesAgree(t *testing.T, s *shelf) {
	both := []*bench{s.open(), s.open()}
	won := together(t, 100, journal.ErrConflict, func(ctx context.Context, i int) error {
		_, err := both[i%2].Append(ctx, fact("run/a", journal.None))
		return err
	})
	if won != 1 {
		t.Fatalf("%d created the stream", won)
	}
	together(t, 40, nil, func(ctx context.Context, i int) error {
		_, err := both[i%2].Append(ctx, says("run/b", numbered("k", i)))
		return err
	})
	if n := len(both[0].read("run/b")); n != 40 {
		t.Fatalf("%d records, want 40", n)
	}
}

func twoHandlesNeverShareALease(t *testing.T, s *shelf) {
	both := []*bench{s.open(), s.open()}
	for i := range 20 {
		both[0].append(fact(numbered("run/", i), journal.None))
	}
	won := together(t, 60, journal.ErrNoWork, func(ctx context.Context, i int) error {
		_, err := both[i%2].Lease(ctx, ttl)
		return err
	})
	if won != 20 {
		t.Fatalf("%d leases of 20 streams", won)
	}
}

func aLowerTokenIsRefusedEverywhere(t *testing.T, s *shelf) {
	b, other := s.open(), s.open()
	b.add("run/a")
	old := b.lease("run/a")
	b.clock.Advance(ttl)
	young := other.lease("run/a")
	if young.Token <= old.Token {
		t.Fatalf("token %d follows %d", young.Token, old.Token)
	}
	stale := fact("run/a", journal.Any)
	stale.Token = old.Token
	b.refuses(stale, journal.ErrLeaseLost)
	if err := b.Release(t.Context(), old, 1, time.Time{}); !errors.Is(err, journal.ErrLeaseLost) {
		t.Fatalf("release: got %v, want lost", err)
	}
	if lost, err := b.Renew(t.Context(), ttl, old); err != nil || len(lost) != 1 {
		t.Fatalf("renew: lost %v, %v, want one", lost, err)
	}
	stale.Token = young.Token
	other.append(stale)
}
