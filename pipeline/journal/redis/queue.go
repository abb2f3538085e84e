package redis

import (
	"cmp"
	"context"
	_ "embed" // streams.lua, forget.lua
	"fmt"
	"slices"
	"strconv"
	"time"

	client "github.com/redis/go-redis/v9"
)

var (
	//go:embed streams.lua
	streamsScript string
	//go:embed forget.lua
	forgetScript string

	listing    = client.NewScript(streamsScript)
	forgetting = client.NewScript(forgetScript)
)

// Streams implements journal.Journal. A prefix that few streams have is looked for among all of them.
func (j *Journal) Streams(ctx context.Context, prefix string, limit int) ([]string, error) {
	if limit <= 0 {
		return nil, nil
	}
	calls := make([]call, shards)
	for i := range calls {
		calls[i] = call{keys: []string{j.shard(i).names()}, args: []any{prefix, limit}}
	}
	answers, err := j.each(ctx, listing, calls)
	if err != nil {
		return nil, fmt.Errorf("journal: list %s: %w", prefix, explain(err))
	}
	type stream struct {
		name     string
		appended float64
	}
	var all []stream
	for _, a := range answers {
		words, err := a.StringSlice()
		if err != nil {
			return nil, fmt.Errorf("journal: list %s: %w", prefix, explain(err))
		}
		for i := 0; i+1 < len(words); i += 2 {
			appended, err := strconv.ParseFloat(words[i+1], 64)
			if err != nil {
				return nil, fmt.Errorf("journal: list %s: %w", prefix, err)
			}
			all = append(all, stream{words[i], appended})
		}
	}
	slices.SortFunc(all, func(a, b stream) int {
		return cmp.Or(cmp.Compare(b.appended, a.appended), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, s := range all[:min(limit, len(all))] {
		names = append(names, s.name)
	}
	return names, nil
}

// Depth implements journal.Journal.
func (j *Journal) Depth(ctx context.Context) (waiting int, oldest time.Duration, err error) {
	now := j.now().UnixMicro()
	until := strconv.FormatInt(now, 10)
	var counts []*client.IntCmd
	var firsts, rights []*client.ZSliceCmd
	_, err = j.client.Pipelined(ctx, func(p client.Pipeliner) error {
		for i := range shards {
			s := j.shard(i)
			counts = append(counts, p.ZCount(ctx, s.queue(), "-inf", until), p.ZCard(ctx, s.leases()), p.ZCount(ctx, s.queue(), strconv.FormatInt(parked, 10), "+inf"))
			for _, set := range []string{s.queue(), s.leases()} {
				firsts = append(firsts, p.ZRangeWithScores(ctx, set, 0, 0))
			}
			rights = append(rights, p.ZRangeByScoreWithScores(ctx, s.queue(), &client.ZRangeBy{Min: strconv.FormatInt(parked, 10), Max: "+inf", Count: 1}))
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("journal: count waiting streams: %w", explain(err))
	}
	for _, c := range counts {
		waiting += int(c.Val())
	}
	for _, f := range firsts {
		for _, z := range f.Val() {
			oldest = max(oldest, time.Duration(now-int64(z.Score))*time.Microsecond)
		}
	}
	for _, r := range rights {
		for _, z := range r.Val() {
			oldest = max(oldest, time.Duration(now+parked-int64(z.Score))*time.Microsecond)
		}
	}
	return waiting, oldest, nil
}

// forgetChunk is how many streams one script removes: Redis does nothing else while a script runs.
const forgetChunk = 50

// Forget implements journal.Journal. The number is too low when an answer was lost on the way and the script ran twice.
func (j *Journal) Forget(ctx context.Context, prefix string, before time.Time, limit int) (int, error) {
	gone := 0
	for i := 0; i < shards && gone < limit; {
		s, chunk := j.shard(i), min(limit-gone, forgetChunk)
		n, err := forgetting.Run(ctx, j.client, []string{s.queue(), s.leases(), s.names()},
			prefix, before.UnixMicro(), chunk, string(s)).Int()
		if err != nil {
			return gone, fmt.Errorf("journal: forget %s: %w", prefix, explain(err))
		}
		gone += n
		if n < chunk {
			i++
		}
	}
	return gone, nil
}
