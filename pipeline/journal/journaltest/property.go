package journaltest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"pgregory.net/rapid"
)

// doesWhatTheModelDoes runs random calls against a new store and the model, and wants the same answers.
func doesWhatTheModelDoes(open Open) func(*testing.T, *bench) {
	return func(t *testing.T, _ *bench) {
		rapid.Check(t, func(rt *rapid.T) {
			clock := NewClock()
			j := open(t, clock.Now)
			defer j.Close()
			c := &comparison{T: t, j: j, clock: clock, model: model{streams: map[string]*modelled{}}}
			rt.Repeat(map[string]func(*rapid.T){
				"append":  c.append,
				"lease":   func(rt *rapid.T) { c.lease(rt, false) },
				"resume":  func(rt *rapid.T) { c.lease(rt, true) },
				"park":    c.park,
				"renew":   c.renew,
				"release": c.release,
				"read":    c.read,
				"list":    c.list,
				"depth":   c.depth,
				"forget":  c.forget,
				"wait":    func(rt *rapid.T) { clock.Advance(moments.Draw(rt, "wait")) },
				"":        func(*rapid.T) { clock.Advance(time.Microsecond) },
			})
		})
	}
}

var (
	names    = rapid.SampledFrom([]string{"run/a", "run/b", "run/c", "repo/a", "repo/b"})
	prefixes = rapid.SampledFrom([]string{"", "run/", "repo/", "repo/b", "r", "x"})
	keys     = rapid.SampledFrom([]string{"", "", "k1", "k2", "k3", "k4", "k5", "k6"})
	moments  = rapid.SampledFrom([]time.Duration{time.Microsecond, time.Second, time.Minute, time.Hour})
)

type comparison struct {
	*testing.T
	j      journal.Journal
	clock  *Clock
	model  model
	leases []journal.Lease // every one ever given
}

func (c *comparison) append(rt *rapid.T) {
	b := journal.Batch{Stream: names.Draw(rt, "stream"), Expect: rapid.Int64Range(-1, 6).Draw(rt, "expect")}
	if rapid.Bool().Draw(rt, "at any version") {
		b.Expect = journal.Any
	}
	if rapid.Bool().Draw(rt, "with a token") {
		b.Token = c.lent(rt).Token
	}
	for i := range rapid.IntRange(1, 3).Draw(rt, "records") {
		b.Records = append(b.Records, journal.Record{Kind: "k", Key: keys.Draw(rt, "key"), Data: []byte{byte(i)}})
	}
	version, err := c.j.Append(c.Context(), b)
	want := c.model.append(b, c.clock.Now())
	if !errors.Is(err, want) {
		rt.Fatalf("append %+v: got %v, want %v", b, err, want)
	}
	if want == nil && version != int64(len(c.model.streams[b.Stream].facts)) {
		rt.Fatalf("append to %s: got version %d, want %d", b.Stream, version, len(c.model.streams[b.Stream].facts))
	}
}

func (c *comparison) lease(rt *rapid.T, parked bool) {
	only := rapid.SliceOfN(prefixes, 0, 2).Draw(rt, "prefixes")
	ttl := moments.Draw(rt, "ttl")
	now := c.clock.Now()
	take, last := c.j.Lease, now
	if parked {
		before := now.Add(-moments.Draw(rt, "before"))
		last = before.Add(-time.Microsecond)
		take = func(ctx context.Context, ttl time.Duration, only ...string) (journal.Lease, error) {
			return c.j.LeaseParked(ctx, ttl, before, only...)
		}
	}
	l, err := take(c.Context(), ttl, only...)
	for _, s := range c.model.streams {
		s.wakeUp(now)
	}
	want := c.model.next(last, parked, only)
	if l.Stream != want || (want == "") != errors.Is(err, journal.ErrNoWork) || (want != "") != (err == nil) {
		rt.Fatalf("lease of %q: got %q, %v, want %q", only, l.Stream, err, want)
	}
	if want == "" {
		return
	}
	for _, old := range c.leases {
		if old.Stream == l.Stream && old.Token >= l.Token {
			rt.Fatalf("token %d of %s follows %d", l.Token, l.Stream, old.Token)
		}
	}
	c.leases = append(c.leases, l)
	s := c.model.streams[want]
	s.leased, s.parked, s.token, s.due = true, false, l.Token, now.Add(ttl)
}

func (c *comparison) renew(rt *rapid.T) {
	var mine, want []journal.Lease
	ttl := moments.Draw(rt, "ttl")
	for range rapid.IntRange(0, 3).Draw(rt, "leases") {
		l := c.lent(rt)
		mine = append(mine, l)
		if c.model.holds(l) {
			c.model.streams[l.Stream].due = c.clock.Now().Add(ttl)
		} else {
			want = append(want, l)
		}
	}
	if lost, err := c.j.Renew(c.Context(), ttl, mine...); err != nil || !slices.Equal(lost, want) {
		rt.Fatalf("renew %v: lost %v, %v, want %v", mine, lost, err, want)
	}
}

func (c *comparison) release(rt *rapid.T) {
	l := c.lent(rt)
	seen := rapid.Int64Range(0, 8).Draw(rt, "seen")
	var wake time.Time
	if rapid.Bool().Draw(rt, "wake") {
		wake = c.clock.Now().Add(moments.Draw(rt, "in")).Add(-time.Minute)
	}
	err := c.j.Release(c.Context(), l, seen, wake)
	if want := c.model.release(l, seen, wake, c.clock.Now()); !errors.Is(err, want) {
		rt.Fatalf("release %+v: got %v, want %v", l, err, want)
	}
}

func (c *comparison) park(rt *rapid.T) {
	l, seen := c.lent(rt), rapid.Int64Range(0, 8).Draw(rt, "seen")
	since := c.clock.Now().Add(-moments.Draw(rt, "since"))
	var wake time.Time
	if rapid.Bool().Draw(rt, "wake") {
		wake = c.clock.Now().Add(moments.Draw(rt, "in")).Add(-time.Minute)
	}
	err := c.j.Park(c.Context(), l, seen, since, wake)
	if want := c.model.park(l, seen, since, wake, c.clock.Now()); !errors.Is(err, want) {
		rt.Fatalf("park %+v: got %v, want %v", l, err, want)
	}
}

func (c *comparison) read(rt *rapid.T) {
	name, after := names.Draw(rt, "stream"), rapid.IntRange(0, 4).Draw(rt, "after")
	records, err := c.j.Read(c.Context(), name, int64(after))
	var want []journal.Record
	if s := c.model.streams[name]; s != nil {
		want = s.facts[min(after, len(s.facts)):]
	}
	if err != nil || len(records) != len(want) {
		rt.Fatalf("read %s after %d: got %d, %v, want %d", name, after, len(records), err, len(want))
	}
	for i, r := range records {
		if r.Key != want[i].Key || string(r.Data) != string(want[i].Data) || r.Version != int64(after+i+1) {
			rt.Fatalf("read %s after %d: got %+v, want %+v", name, after, r, want[i])
		}
	}
}

func (c *comparison) list(rt *rapid.T) {
	prefix, limit := prefixes.Draw(rt, "prefix"), rapid.IntRange(0, 5).Draw(rt, "limit")
	got, err := c.j.Streams(c.Context(), prefix, limit)
	if want := c.model.list(prefix, limit); err != nil || !slices.Equal(got, want) {
		rt.Fatalf("streams %q: got %q, %v, want %q", prefix, got, err, want)
	}
}

func (c *comparison) depth(rt *rapid.T) {
	waiting, oldest, err := c.j.Depth(c.Context())
	if n, age := c.model.depth(c.clock.Now()); err != nil || waiting != n || oldest != age {
		rt.Fatalf("depth: got %d, %s, %v, want %d, %s", waiting, oldest, err, n, age)
	}
}

func (c *comparison) forget(rt *rapid.T) {
	prefix, before := prefixes.Draw(rt, "prefix"), c.clock.Now().Add(-moments.Draw(rt, "age"))
	n, err := c.j.Forget(c.Context(), prefix, before, 100)
	if want := c.model.forget(prefix, before); err != nil || n != want {
		rt.Fatalf("forget %q: got %d, %v, want %d", prefix, n, err, want)
	}
}

// lent is some lease that was given once, or one that never was.
func (c *comparison) lent(rt *rapid.T) journal.Lease {
	if len(c.leases) == 0 {
		return journal.Lease{Stream: names.Draw(rt, "never leased"), Token: 1}
	}
	return rapid.SampledFrom(c.leases).Draw(rt, "lease")
}
