package redis_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/test/redisserver"
)

func TestALostAnswerIsNotWrittenTwice(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	line := cut(t, server.Socket())
	j := open(t, redis.Options{URL: "unix://" + line.socket}, time.Now)
	keyed := one("run/keyed")
	keyed.Records[0].Key = "guid"
	anywhere := one("run/any")
	anywhere.Expect = journal.Any
	if _, err := j.Append(t.Context(), one("run/warm")); err != nil { // the scripts are known from here on
		t.Fatal(err)
	}
	for _, b := range []journal.Batch{one("run/none"), keyed, anywhere} {
		line.loseNext()
		if v, err := j.Append(t.Context(), b); err != nil || v != 1 {
			t.Fatalf("append to %s: version %d, %v", b.Stream, v, err)
		}
		if !line.lost() {
			t.Fatal("no answer was lost, so nothing was tested")
		}
		if records, err := j.Read(t.Context(), b.Stream, 0); err != nil || len(records) != 1 {
			t.Fatalf("%s has %d records (%v), want 1", b.Stream, len(records), err)
		}
	}
	if _, err := j.Append(t.Context(), keyed); !errors.Is(err, journal.ErrDuplicate) { // a new call is no retry
		t.Fatalf("got %v, want a duplicate", err)
	}
}

func TestALostAnswerDoesNotLoseALease(t *testing.T) {
	t.Parallel()
	server := redisserver.Start(t)
	line := cut(t, server.Socket())
	clock := time.Now()
	j := open(t, redis.Options{URL: "unix://" + line.socket}, func() time.Time { return clock })
	want := []string{"run/a", "run/b", "run/c", "run/d"}
	for _, name := range want {
		if _, err := j.Append(t.Context(), one(name)); err != nil {
			t.Fatal(err)
		}
	}
	// Answers are lost at the look as well as at the take: over these leases at both.
	var got []string
	for i := range want {
		line.loseAfter(i % 2)
		l, err := j.Lease(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if !line.lost() {
			t.Fatal("no answer was lost, so nothing was tested")
		}
		got = append(got, l.Stream)
		line.loseNext()
		if lost, err := j.Renew(t.Context(), time.Minute, l); err != nil || len(lost) != 0 {
			t.Fatalf("renew: lost %v, %v", lost, err)
		}
		line.loseNext()
		if err := j.Release(t.Context(), l, 1, time.Time{}); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Fatalf("leased %v, want %v", got, want)
	}
	if l, err := j.Lease(t.Context(), time.Minute); !errors.Is(err, journal.ErrNoWork) {
		t.Fatalf("%s has work (%v)", l.Stream, err)
	}
}

// wire is a line to a server that can lose an answer: the request is done, and the connection is cut instead.
type wire struct {
	socket string
	skip   atomic.Int64 // answers to let through before one is lost; negative: lose none
}

func (w *wire) loseNext()       { w.skip.Store(0) }
func (w *wire) loseAfter(n int) { w.skip.Store(int64(n)) }
func (w *wire) lost() bool      { return w.skip.Load() < 0 }

func cut(t testing.TB, server string) *wire {
	t.Helper()
	w := &wire{socket: filepath.Join(filepath.Dir(server), "cut")}
	w.skip.Store(-1)
	listener, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", server)
			if err != nil {
				near.Close()
				continue
			}
			all.Go(func() { defer far.Close(); _, _ = io.Copy(far, near) })
			all.Go(func() { defer near.Close(); w.answers(near, far) })
		}
	})
	return w
}

// answers passes on what the server says. Small answers come in one piece, so a piece is an answer.
func (w *wire) answers(near io.Writer, far io.Reader) {
	piece := make([]byte, 64<<10)
	for {
		n, err := far.Read(piece)
		if err != nil {
			return
		}
		const hint = '>' // what a subscriber hears is no answer
		if piece[0] != hint && w.skip.Load() >= 0 && w.skip.Add(-1) < 0 {
			return
		}
		if _, err := near.Write(piece[:n]); err != nil {
			return
		}
	}
}
