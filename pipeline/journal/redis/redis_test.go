package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/journaltest"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/test/redisserver"
)

func TestRedisKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	var stores atomic.Int64
	journaltest.Run(t, func(t testing.TB, now func() time.Time) journal.Journal {
		return open(t, redis.Options{URL: server.URL(), Prefix: fmt.Sprint("test", stores.Add(1))}, now)
	})
}

func TestRedisIsSharedAndOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	var stores atomic.Int64
	journaltest.RunDurable(t, func(t testing.TB) journaltest.Open {
		o := redis.Options{URL: server.URL(), Prefix: fmt.Sprint("test", stores.Add(1))}
		return func(t testing.TB, now func() time.Time) journal.Journal { return open(t, o, now) }
	})
}

func TestARedisThatCanLoseRecordsIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no file", []string{"--appendonly", "no"}, "appendonly"},
		{"a sync per second", []string{"--appendfsync", "everysec"}, "appendfsync"},
		{"no sync during rewrites", []string{"--no-appendfsync-on-rewrite", "yes"}, "no-appendfsync-on-rewrite"},
		{"eviction", []string{"--maxmemory-policy", "allkeys-lru"}, "maxmemory-policy"},
		{"no CONFIG by ACL", []string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-config"}, "ACL SETUSER"},
		{"no CONFIG by name", []string{"--rename-command", "CONFIG", ""}, "ACL SETUSER"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := redis.Options{URL: redisserver.Start(t, c.args...).URL()}
			if _, err := redis.Open(t.Context(), o, time.Now); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a sentence with %s", err, c.want)
			}
			o.AcceptLoss = true
			j := open(t, o, time.Now)
			if _, err := j.Append(t.Context(), one("run/a")); err != nil {
				t.Fatal(err)
			}
			if err := j.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestReadyTellsWhenRedisWasMadeUnsafe(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	j := open(t, redis.Options{URL: server.URL()}, time.Now)
	ask(t, server, "CONFIG", "SET", "appendfsync", "everysec")
	if err := j.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "appendfsync") {
		t.Fatalf("got %v, want a sentence about appendfsync", err)
	}
	ask(t, server, "CONFIG", "SET", "appendfsync", "always")
	if err := j.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(t, server, "CONFIG", "SET", "maxmemory", "1")
	if _, err := j.Append(t.Context(), one("run/a")); err == nil || !strings.Contains(err.Error(), "maxmemory") {
		t.Fatalf("append: got %v, want a sentence about maxmemory", err)
	}
	if err := j.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "maxmemory") {
		t.Fatalf("ready: got %v, want a sentence about maxmemory", err)
	}
	ask(t, server, "CONFIG", "SET", "maxmemory", "0")
	if _, err := j.Append(t.Context(), one("run/a")); err != nil {
		t.Fatal(err)
	}
}

func TestThePasswordIsNeverShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2%25x"
	server := redisserver.Start(t, "--requirepass", "right")
	for _, o := range []redis.Options{
		{URL: "unix://:" + secret + "@" + server.Socket()},
		{URL: server.URL(), Password: secret},
		{URL: server.URL()},
		{URL: "redis://:" + secret + "@127.0.0.1:1/0"},
		{URL: "redis://user:" + secret + "@127.0.0.1:port\x7f/0"},
		{URL: "http://user:" + secret + "@127.0.0.1/0"},
		{URL: secret},
	} {
		_, err := redis.Open(t.Context(), o, time.Now)
		if err == nil {
			t.Fatalf("%+v was opened", o)
		}
		if shown := err.Error() + fmt.Sprintf("%v %+v", o, o); strings.Contains(shown, "hunter2") {
			t.Fatalf("the password is shown: %s", shown)
		}
	}
	open(t, redis.Options{URL: server.URL(), Password: "right"}, time.Now)
	open(t, redis.Options{URL: "unix://:right@" + server.Socket()}, time.Now)
}

func TestTwoPrefixesAreTwoStores(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	a := open(t, redis.Options{URL: server.URL(), Prefix: "a"}, time.Now)
	b := open(t, redis.Options{URL: server.URL(), Prefix: "b"}, time.Now)
	if _, err := a.Append(t.Context(), one("run/a")); err != nil {
		t.Fatal(err)
	}
	if names, err := b.Streams(t.Context(), "", 10); err != nil || len(names) != 0 {
		t.Fatalf("the other store has %v (%v)", names, err)
	}
}

func open(t testing.TB, o redis.Options, now func() time.Time) *redis.Journal {
	t.Helper()
	j, err := redis.Open(t.Context(), o, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func one(stream string) journal.Batch {
	return journal.Batch{Stream: stream, Expect: journal.None, Records: []journal.Record{{Kind: "happened"}}}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
