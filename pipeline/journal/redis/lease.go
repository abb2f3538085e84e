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
	//go:embed peek.lua
	peekScript string
	//go:embed lease.lua
	leaseScript string
	//go:embed renew.lua
	renewScript string
	//go:embed release.lua
	releaseScript string

	peeking   = client.NewScript(firstScript + peekScript)
	leasing   = client.NewScript(firstScript + leaseScript)
	renewing  = client.NewScript(renewScript)
	releasing = client.NewScript(releaseScript)
)

// Lease implements journal.Journal.
func (j *Journal) Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (journal.Lease, error) {
	if ttl <= 0 {
		return journal.Lease{}, fmt.Errorf("journal: lease for %s: the time must be positive", ttl)
	}
	now := j.now().UnixMicro()
	for {
		fronts, err := j.fronts(ctx, now, prefixes)
		if err != nil {
			return journal.Lease{}, fmt.Errorf("journal: lease: %w", explain(err))
		}
		if len(fronts) == 0 {
			return journal.Lease{}, journal.ErrNoWork
		}
		for _, f := range fronts {
			l, err := j.take(ctx, f.shard, now, ttl, prefixes)
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
func (j *Journal) fronts(ctx context.Context, now int64, prefixes []string) ([]front, error) {
	args := append([]any{now}, words(prefixes)...)
	calls := make([]call, shards)
	for i := range calls {
		s := j.shard(i)
		calls[i] = call{keys: []string{s.queue(), s.leases()}, args: args}
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

func (j *Journal) take(ctx context.Context, s shard, now int64, ttl time.Duration, prefixes []string) (journal.Lease, error) {
	expires := now + ttl.Microseconds()
	keys := []string{s.queue(), s.leases(), s.token(), s.op(operation())}
	args := append([]any{now, expires, s.streams()}, words(prefixes)...)
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
	now, s, at := j.now().UnixMicro(), j.shardOf(l.Stream), ""
	if !wake.IsZero() {
		at = strconv.FormatInt(max(wake.UnixMicro(), now), 10)
	}
	kept, err := releasing.Run(ctx, j.client, []string{s.stream(l.Stream), s.queue(), s.leases()},
		l.Stream, l.Token, seen, at, now).Int()
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
