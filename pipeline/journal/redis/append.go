package redis

import (
	"context"
	_ "embed" // append.lua
	"fmt"
	"strconv"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	client "github.com/redis/go-redis/v9"
)

//go:embed append.lua
var appendScript string

var appending = client.NewScript(wakeScript + appendScript)

// Append implements journal.Journal.
func (j *Journal) Append(ctx context.Context, b journal.Batch) (int64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	now, s := j.now(), j.shardOf(b.Stream)
	keys := []string{s.stream(b.Stream), s.records(b.Stream), s.keys(b.Stream), s.ops(b.Stream), s.queue(), s.leases(), s.names(), s.wakes()}
	args := []any{b.Stream, b.Expect, b.Token, now.UnixMicro(), operation(), j.channel, parked}
	for _, r := range b.Stamped(0, now) {
		args = append(args, r.Kind, r.Key, r.At.UnixMicro(), r.Data)
	}
	answer, err := appending.Run(ctx, j.client, keys, args...).Slice()
	if err != nil {
		return 0, fmt.Errorf("journal: append to %s: %w", b.Stream, explain(err))
	}
	if len(answer) < 2 {
		return 0, fmt.Errorf("journal: append to %s: the script answered %v", b.Stream, answer)
	}
	version, _ := answer[1].(int64)
	switch answer[0] {
	case "ok":
		return version, nil
	case "lost":
		return 0, fmt.Errorf("%w: %s", journal.ErrLeaseLost, b.Stream)
	case "duplicate":
		return 0, fmt.Errorf("%w: %v in %s", journal.ErrDuplicate, answer[2], b.Stream)
	case "conflict":
		return 0, fmt.Errorf("%w: %s is at version %d", journal.ErrConflict, b.Stream, version)
	}
	return 0, fmt.Errorf("journal: append to %s: the script answered %v", b.Stream, answer)
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, stream string, after int64) ([]journal.Record, error) {
	from := "(" + strconv.FormatInt(max(after, 0), 10) + "-0"
	entries, err := j.client.XRange(ctx, j.shardOf(stream).records(stream), from, "+").Result()
	if err != nil {
		return nil, fmt.Errorf("journal: read %s: %w", stream, explain(err))
	}
	records := make([]journal.Record, len(entries))
	for i, e := range entries {
		if records[i], err = record(e); err != nil {
			return nil, fmt.Errorf("journal: read %s: entry %s: %w", stream, e.ID, err)
		}
	}
	return records, nil
}
