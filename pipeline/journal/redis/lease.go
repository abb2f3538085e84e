package redis

import (
	"cmp"
	"context"
	_ "embed" // lease.lua and those it rests on
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	client "github.com/redis/go-redis/v9"
)

var (
	//go:embed first.lua
	firstScript string
	//go:embed wake.lua
	wakeScript string
	//go:embed peek.lua
	peekScript string
	//go:embed lease.lua
	leaseScript string
	//go:embed renew.lua
	renewScript string
	//go:embed release.lua
	releaseScript string

	peeking   = client.NewScript(wakeScript + firstScript + peekScript)
	leasing   = client.NewScript(firstScript + leaseScript)
	renewing  = client.NewScript(renewScript)
	releasing = client.NewScript(releaseScript)
)

// parked is what is added to the score of a parked stream: in the same queue, beyond every time that can come (the year
// 2112), and in the order of their rights. The sum is an integer that Redis, which counts in doubles, holds exactly.
const parked = int64(1) << 52

// bounds are the scores of the streams that may be leased.
type bounds struct{ low, high string }

// Lease implements journal.Journal.
func (j *Journal) Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (journal.Lease, error) {
	now := j.now().UnixMicro()
	return j.earliest(ctx, now, ttl, bounds{"-inf", strconv.FormatInt(now, 10)}, prefixes)
}

// LeaseParked implements journal.Journal.
func (j *Journal) LeaseParked(ctx context.Context, ttl time.Duration, before time.Time, prefixes ...string) (journal.Lease, error) {
	within := bounds{strconv.FormatInt(parked, 10), "+inf"}
	if !before.IsZero() {
		within.high = "(" + right(before)
	}
	return j.earliest(ctx, j.now().UnixMicro(), ttl, within, prefixes)
}

// right is the score of a stream that is parked since.
func right(since time.Time) string {
	return strconv.FormatInt(parked+min(max(since.UnixMicro(), 0), parked-1), 10)
}

// earliest leases the stream with the lowest score within bounds.
func (j *Journal) earliest(ctx context.Context, now int64, ttl time.Duration, within bounds, prefixes []string) (journal.Lease, error) {
	if ttl <= 0 {
		return journal.Lease{}, fmt.Errorf("journal: lease for %s: the time must be positive", ttl)
	}
	for {
		fronts, err := j.fronts(ctx, now, within, prefixes)
		if err != nil {
			return journal.Lease{}, fmt.Errorf("journal: lease: %w", explain(err))
		}
		if len(fronts) == 0 {
			return journal.Lease{}, journal.ErrNoWork
		}
		for _, f := range fronts {
			l, err := j.take(ctx, f.shard, now, ttl, within, prefixes)
			if !errors.Is(err, journal.ErrNoWork) {
				return l, err
			}
		}
		// Others were quicker at every shard. Each round at least one of them got something, so this ends.
	}
}

// front is the longest-waiting stream of a shard.
type front struct {
	shard shard
	name  string
	since int64
}

// fronts returns the shards that have work, the one with the longest-waiting stream first.
func (j *Journal) fronts(ctx context.Context, now int64, within bounds, prefixes []string) ([]front, error) {
	args := append([]any{now, parked, within.low, within.high}, words(prefixes)...)
	calls := make([]call, shards)
	for i := range calls {
		s := j.shard(i)
		calls[i] = call{keys: []string{s.queue(), s.leases(), s.wakes()}, args: args}
	}
	answers, err := j.each(ctx, peeking, calls)
	if err != nil {
		return nil, err
	}
	var found []front
	for i, a := range answers {
		pair, err := a.StringSlice()
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			continue
		}
		since, err := strconv.ParseInt(pair[1], 10, 64)
		if err != nil {
			return nil, err
		}
		found = append(found, front{j.shard(i), pair[0], since})
	}
	slices.SortFunc(found, func(a, b front) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.name, b.name))
	})
	return found, nil
}

func (j *Journal) take(ctx context.Context, s shard, now int64, ttl time.Duration, within bounds, prefixes []string) (journal.Lease, error) {
	expires := now + ttl.Microseconds()
	keys := []string{s.queue(), s.leases(), s.token(), s.op(operation()), s.wakes()}
	args := append([]any{now, expires, s.streams(), within.low, within.high}, words(prefixes)...)
	pair, err := leasing.Run(ctx, j.client, keys, args...).StringSlice()
	if err != nil {
		return journal.Lease{}, fmt.Errorf("journal: lease: %w", explain(err))
	}
	if len(pair) != 2 {
		return journal.Lease{}, journal.ErrNoWork
	}
	token, err := strconv.ParseInt(pair[1], 10, 64)
	if err != nil {
		return journal.Lease{}, fmt.Errorf("journal: lease of %s: %w", pair[0], err)
	}
	return journal.Lease{Stream: pair[0], Token: token, Expires: time.UnixMicro(expires).UTC()}, nil
}

// Renew implements journal.Journal.
func (j *Journal) Renew(ctx context.Context, ttl time.Duration, leases ...journal.Lease) (lost []journal.Lease, err error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("journal: renew for %s: the time must be positive", ttl)
	}
	if len(leases) == 0 {
		return nil, nil
	}
	expires := j.now().UnixMicro() + ttl.Microseconds()
	calls := make([]call, len(leases))
	for i, l := range leases {
		s := j.shardOf(l.Stream)
		calls[i] = call{keys: []string{s.stream(l.Stream), s.leases()}, args: []any{l.Stream, l.Token, expires}}
	}
	answers, err := j.each(ctx, renewing, calls)
	if err != nil {
		return nil, fmt.Errorf("journal: renew: %w", explain(err))
	}
	for i, a := range answers {
		kept, err := a.Int()
		if err != nil {
			return nil, fmt.Errorf("journal: renew %s: %w", leases[i].Stream, explain(err))
		}
		if kept == 0 {
			lost = append(lost, leases[i])
		}
	}
	return lost, nil
}

// Release implements journal.Journal.
func (j *Journal) Release(ctx context.Context, l journal.Lease, seen int64, wake time.Time) error {
	now, at := j.now().UnixMicro(), ""
	if !wake.IsZero() {
		at = strconv.FormatInt(min(max(wake.UnixMicro(), now), parked-1), 10)
	}
	return j.end(ctx, l, seen, now, at, time.Time{})
}

// Park implements journal.Journal.
func (j *Journal) Park(ctx context.Context, l journal.Lease, seen int64, since, wake time.Time) error {
	return j.end(ctx, l, seen, j.now().UnixMicro(), right(since), wake)
}

// end ends a lease. The stream has the score at, or none, when everything in it was seen, and wakes from
// the park.
func (j *Journal) end(ctx context.Context, l journal.Lease, seen, now int64, at string, wake time.Time) error {
	s, until := j.shardOf(l.Stream), ""
	if !wake.IsZero() {
		until = strconv.FormatInt(wake.UnixMicro(), 10)
	}
	kept, err := releasing.Run(ctx, j.client, []string{s.stream(l.Stream), s.queue(), s.leases(), s.wakes()},
		l.Stream, l.Token, seen, at, now, until).Int()
	if err != nil {
		return fmt.Errorf("journal: release %s: %w", l.Stream, explain(err))
	}
	if kept == 0 {
		return fmt.Errorf("%w: %s", journal.ErrLeaseLost, l.Stream)
	}
	return nil
}

func words(prefixes []string) []any {
	args := make([]any, len(prefixes))
	for i, prefix := range prefixes {
		args[i] = prefix
	}
	return args
}
