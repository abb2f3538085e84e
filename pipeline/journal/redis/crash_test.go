package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/test/redisserver"
	client "github.com/redis/go-redis/v9"
)

func TestAKilledRedisLosesNothingItAcknowledged(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	j := open(t, redis.Options{URL: server.URL()}, time.Now)
	var acknowledged []string
	for round, until := range []int{1, 100, 400} {
		acknowledged = append(acknowledged, appendUntilKilled(t, j, server, round, until)...)
		server.Restart()
	}
	if len(acknowledged) < 500 {
		t.Fatalf("only %d appends were acknowledged", len(acknowledged))
	}
	for _, name := range acknowledged {
		records, err := j.Read(t.Context(), name, 0)
		if err != nil || len(records) != 2 || len(records[0].Data) != 21<<10 {
			t.Fatalf("%s was acknowledged and has %d records (%v)", name, len(records), err)
		}
	}
	waiting, _, err := j.Depth(t.Context())
	if err != nil || waiting < len(acknowledged) {
		t.Fatalf("%d streams wait (%v), %d were acknowledged", waiting, err, len(acknowledged))
	}
	names, err := j.Streams(t.Context(), "run/", waiting+1)
	if err != nil || len(names) != waiting {
		t.Fatalf("%d streams have work, %d are there (%v)", waiting, len(names), err)
	}
}

// appendUntilKilled appends from several goroutines, and kills the server once enough were acknowledged.
func appendUntilKilled(t *testing.T, j journal.Journal, server *redisserver.Server, round, until int) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	acknowledged := make(chan string)
	for w := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				b := one(fmt.Sprintf("run/%d-%d-%d", round, w, i))
				b.Records[0].Data = make([]byte, 21<<10)
				b.Records = append(b.Records, journal.Record{Kind: "second"})
				if _, err := j.Append(ctx, b); err != nil {
					return
				}
				acknowledged <- b.Stream
			}
		})
	}
	go func() { all.Wait(); close(acknowledged) }()
	var names []string
	for name := range acknowledged {
		if names = append(names, name); len(names) == until {
			server.Kill()
		}
	}
	return names
}

func TestARedisThatIsGoneIsToldQuickly(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	j := open(t, redis.Options{URL: server.URL()}, time.Now)
	server.Kill()
	started := time.Now()
	if _, err := j.Append(t.Context(), one("run/a")); err == nil {
		t.Fatal("an append was acknowledged by nobody")
	}
	if err := j.Ready(t.Context()); err == nil {
		t.Fatal("the store says it is ready")
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Fatalf("it took %s to say so", took)
	}
	server.Restart()
	if err := j.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), one("run/a")); err != nil {
		t.Fatal(err)
	}
}

func TestARedisThatHangsIsLeftWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	j := open(t, redis.Options{URL: server.URL()}, time.Now)
	server.Stop()
	started := time.Now()
	_, err := j.Append(within(t, 100*time.Millisecond), one("run/a"))
	if took := time.Since(started); err == nil || took > 2*time.Second {
		t.Fatalf("got %v after %s", err, took)
	}
	server.Continue()
	// The answer was never heard, so the caller repeats itself; either way the fact is there once.
	if _, err := j.Append(t.Context(), one("run/a")); err != nil && !errors.Is(err, journal.ErrConflict) {
		t.Fatal(err)
	}
	if records, err := j.Read(t.Context(), "run/a", 0); err != nil || len(records) != 1 {
		t.Fatalf("%d records (%v), want 1", len(records), err)
	}
}

func TestHintsComeAgainAfterARestart(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	j := open(t, redis.Options{URL: server.URL()}, time.Now)
	names := j.Changed(t.Context())
	server.Kill()
	server.Restart()
	// The subscription comes back by itself; until then hints are lost, which is allowed.
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(15 * time.Second)
	for i := int64(0); ; {
		select {
		case <-names:
			return
		case <-again.C:
			b := one("run/a")
			b.Expect = i
			if _, err := j.Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			i++
		case <-deadline:
			t.Fatal("no hint came after the restart")
		}
	}
}

func ask(t testing.TB, server *redisserver.Server, words ...any) {
	t.Helper()
	o, err := client.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewClient(o)
	defer c.Close()
	if err := c.Do(t.Context(), words...).Err(); err != nil {
		t.Fatalf("%v: %v", words, err)
	}
}
