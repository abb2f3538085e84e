package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	client "github.com/redis/go-redis/v9"
)

// needed is what keeps an acknowledged write through a kill, a power cut and a full memory. Everysec is not enough:
// while a sync runs, Redis answers before it writes, and a kill alone then loses records.
//
// https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
func needed() [][2]string {
	return [][2]string{
		{"appendonly", "yes"},
		{"appendfsync", "always"},
		{"no-appendfsync-on-rewrite", "no"}, // yes suspends "always" while the file is rewritten
		{"maxmemory-policy", "noeviction"},
	}
}

// durable tells why this Redis could lose what it acknowledged.
func (j *Journal) durable(ctx context.Context) error {
	if j.options.AcceptLoss {
		return j.client.Ping(ctx).Err()
	}
	for _, want := range needed() {
		settings, err := j.client.ConfigGet(ctx, want[0]).Result()
		if err != nil {
			if forbidden(err) {
				return fmt.Errorf("%w; allow this user CONFIG GET (ACL SETUSER … +config|get) so that the settings can be checked, or accept that records may be lost", err)
			}
			return err
		}
		if got := settings[want[0]]; got != want[1] {
			return fmt.Errorf("%s is %q and must be %q, or acknowledged records can be lost; set it in redis.conf, or accept that loss", want[0], got, want[1])
		}
	}
	return nil
}

// Ready implements journal.Journal. The settings are looked at again: CONFIG SET works while we run.
func (j *Journal) Ready(ctx context.Context) error {
	if err := j.durable(ctx); err != nil {
		return fmt.Errorf("journal: %w", explain(err))
	}
	// A write that tells of a full disk, a full memory, and of a server that has become a replica.
	if err := j.client.Set(ctx, j.shard(0).ready(), "1", 0).Err(); err != nil {
		return fmt.Errorf("journal: %w", explain(err))
	}
	return nil
}

// forbidden: by ACL, or because the command was renamed away.
func forbidden(err error) bool {
	return strings.HasPrefix(err.Error(), "NOPERM") || strings.HasPrefix(err.Error(), "ERR unknown command")
}

// explain adds what the operator can do about it.
func explain(err error) error {
	var reply client.Error
	if !errors.As(err, &reply) {
		return err
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	switch word {
	case "MISCONF":
		return fmt.Errorf("%w: Redis cannot write its files; look at its disk", err)
	case "OOM":
		return fmt.Errorf("%w: Redis has used its maxmemory; raise it, or forget old runs sooner", err)
	case "READONLY":
		return fmt.Errorf("%w: this is a replica; give the primary's address", err)
	case "NOAUTH", "WRONGPASS":
		return fmt.Errorf("%w: give the user name and password of this Redis", err)
	case "LOADING":
		return fmt.Errorf("%w: Redis is reading its files; it answers when it is done", err)
	}
	return err
}
