package journaltest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

func versionsHaveNoGaps(t *testing.T, b *bench) {
	for i := range int64(20) {
		if v := b.append(fact("run/a", i)); v != i+1 {
			t.Fatalf("version %d follows %d", v, i)
		}
		b.refuses(fact("run/a", i), journal.ErrConflict)
	}
	if n := len(b.read("run/a")); n != 20 {
		t.Fatalf("%d records, want 20", n)
	}
	late, err := b.Read(t.Context(), "run/a", 17)
	if err != nil || len(late) != 3 || late[0].Version != 18 {
		t.Fatalf("read after 17: %v, %v", late, err)
	}
	if none, err := b.Read(t.Context(), "run/a", 20); err != nil || len(none) != 0 {
		t.Fatalf("read after the end: %v, %v", none, err)
	}
}

func aMissingStreamIsEmpty(t *testing.T, b *bench) {
	if n := len(b.read("run/none")); n != 0 {
		t.Fatalf("%d records", n)
	}
	b.noWork()
	b.listed("", 10)
	b.depth(0, 0)
}

func aRecordComesBackAsItWentIn(t *testing.T, b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	at := time.Date(2025, 1, 2, 3, 4, 5, 678901000, time.UTC)
	in := []journal.Record{
		{Version: 77, Kind: "RunRequested", Key: "guid-1", At: at, Data: every},
		{Kind: "späť €", Key: "ключ 🔑", At: at.Add(time.Hour), Data: []byte(`{"a":"\u0000"}`)},
		{Kind: "Empty", At: at},
	}
	b.append(journal.Batch{Stream: "run/owner/name — ünï%_'\"[*]/1", Records: in})
	out := b.read("run/owner/name — ünï%_'\"[*]/1")
	if len(out) != len(in) {
		t.Fatalf("%d records, want %d", len(out), len(in))
	}
	for i, r := range out {
		w := in[i]
		if r.Kind != w.Kind || r.Key != w.Key || !r.At.Equal(w.At) || !bytes.Equal(r.Data, w.Data) {
			t.Fatalf("record %d: got %+v, want %+v", i, r, w)
		}
	}
	in[0].Data[0] = 'x' // the store has its own copy
	out[1].Data[0] = 'x'
	if again := b.read("run/owner/name — ünï%_'\"[*]/1"); again[0].Data[0] != 0 || again[1].Data[0] != '{' {
		t.Fatal("the store shares its bytes with the caller")
	}
}

func timesAreKeptInUTC(t *testing.T, b *bench) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 678901999, time.FixedZone("east", 3600))
	b.append(journal.Batch{Stream: "run/a", Records: []journal.Record{{Kind: "a", At: at}, {Kind: "b"}}})
	r := b.read("run/a")
	if want := time.Date(2025, 1, 2, 2, 4, 5, 678901000, time.UTC); r[0].At != want {
		t.Fatalf("got %s, want %s", r[0].At, want)
	}
	if r[1].At != b.clock.Now() {
		t.Fatalf("a record without a time got %s, want the clock's %s", r[1].At, b.clock.Now())
	}
}

func aBatchIsWrittenWhole(t *testing.T, b *bench) {
	batch := journal.Batch{Stream: "run/a", Expect: journal.None}
	for i := range 50 {
		batch.Records = append(batch.Records, journal.Record{Kind: numbered("k", i), Key: numbered("key", i)})
	}
	if v := b.append(batch); v != 50 {
		t.Fatalf("version %d, want 50", v)
	}
	for i, r := range b.read("run/a") {
		if r.Kind != numbered("k", i) {
			t.Fatalf("record %d is %s", i, r.Kind)
		}
	}
	// One key of many is taken: nothing of the batch is written.
	batch.Expect, batch.Records = journal.Any, []journal.Record{{Kind: "new", Key: "new"}, {Kind: "old", Key: numbered("key", 7)}}
	b.refuses(batch, journal.ErrDuplicate)
	b.append(says("run/a", "new"))
}

func aSenselessBatchIsRefused(t *testing.T, b *bench) {
	one := []journal.Record{{Kind: "a"}}
	for what, batch := range map[string]journal.Batch{
		"no stream":       {Records: one},
		"no records":      {Stream: "run/a"},
		"no kind":         {Stream: "run/a", Records: []journal.Record{{}}},
		"a NUL":           {Stream: "run/\x00", Records: one},
		"not UTF-8":       {Stream: "run/\xff", Records: one},
		"a long name":     {Stream: strings.Repeat("a", 2000), Records: one},
		"a newline":       {Stream: "run/a", Records: []journal.Record{{Kind: "a", Key: "a\nb"}}},
		"an unseen state": {Stream: "run/a", Expect: -2, Records: one},
	} {
		if _, err := b.Append(t.Context(), batch); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	b.listed("", 10)
}

func aStaleVersionIsAConflict(t *testing.T, b *bench) {
	b.refuses(fact("run/a", 1), journal.ErrConflict)
	b.listed("", 10)
	b.append(fact("run/a", journal.None))
	b.refuses(fact("run/a", journal.None), journal.ErrConflict)
	b.refuses(fact("run/a", 2), journal.ErrConflict)
	b.append(fact("run/a", 1))
	b.append(fact("run/a", journal.Any))
	b.refuses(fact("run/a", 1), journal.ErrConflict)
	if n := len(b.read("run/a")); n != 3 {
		t.Fatalf("%d records, want 3", n)
	}
}

func aKeyIsTakenOncePerStream(t *testing.T, b *bench) {
	b.append(says("run/a", "guid"))
	b.refuses(says("run/a", "guid"), journal.ErrDuplicate)
	b.append(says("run/b", "guid"))
	b.append(says("run/a", "other"))
	twice := says("run/c", "guid")
	twice.Records = append(twice.Records, twice.Records[0])
	b.refuses(twice, journal.ErrDuplicate)
	b.rest("run/a")
	b.refuses(says("run/a", "guid"), journal.ErrDuplicate)
	b.rest("run/b")
	b.noWork() // a refused append is no work
}

func refusalsHaveAnOrder(t *testing.T, b *bench) {
	b.append(says("run/a", "guid"))
	wrong := says("run/a", "guid")
	wrong.Expect, wrong.Token = 7, 1
	b.refuses(wrong, journal.ErrLeaseLost)
	wrong.Token = 0
	b.refuses(wrong, journal.ErrDuplicate)
	wrong.Records[0].Key = "free"
	b.refuses(wrong, journal.ErrConflict)
}

func oneOfAHundredCreatesTheStream(t *testing.T, b *bench) {
	won := together(t, 100, journal.ErrConflict, func(ctx context.Context, _ int) error {
		_, err := b.Append(ctx, fact("run/a", journal.None))
		return err
	})
	if n := len(b.read("run/a")); won != 1 || n != 1 {
		t.Fatalf("%d won and %d records are there, want one", won, n)
	}
}

func oneOfAHundredAppendsTheKey(t *testing.T, b *bench) {
	won := together(t, 100, journal.ErrDuplicate, func(ctx context.Context, _ int) error {
		_, err := b.Append(ctx, says("run/a", "guid"))
		return err
	})
	if n := len(b.read("run/a")); won != 1 || n != 1 {
		t.Fatalf("%d won and %d records are there, want one", won, n)
	}
}

func appendsToManyStreamsDoNotMix(t *testing.T, b *bench) {
	const streams, each = 40, 10
	together(t, streams, nil, func(ctx context.Context, i int) error {
		for n := range int64(each) {
			batch := fact(numbered("run/", i), n)
			batch.Records[0].Data = []byte(batch.Stream)
			if _, err := b.Append(ctx, batch); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range streams {
		records := b.read(numbered("run/", i))
		if len(records) != each {
			t.Fatalf("%d records, want %d", len(records), each)
		}
		for _, r := range records {
			if string(r.Data) != numbered("run/", i) {
				t.Fatalf("stream %d has a record of %s", i, r.Data)
			}
		}
	}
}

func bigRecordsComeBack(t *testing.T, b *bench) {
	for _, size := range []int{0, 1, 21 << 10, 20 << 20} {
		data := bytes.Repeat([]byte{0, 1, 2, 0xff, '\n', 'x', '\r'}, size/7+1)[:size]
		v := b.append(journal.Batch{Stream: "run/a", Expect: journal.Any, Records: []journal.Record{{Kind: "big", Data: data}}})
		records, err := b.Read(t.Context(), "run/a", v-1)
		if err != nil || len(records) != 1 || !bytes.Equal(records[0].Data, data) {
			t.Fatalf("a record of %d bytes did not come back (%v)", size, err)
		}
	}
}

func aCancelledAppendWritesNothing(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Append(ctx, fact("run/a", journal.None)); !errors.Is(err, context.Canceled) {
		t.Fatalf("append: got %v, want cancelled", err)
	}
	if _, err := b.Lease(ctx, ttl); !errors.Is(err, context.Canceled) {
		t.Fatalf("lease: got %v, want cancelled", err)
	}
	if _, err := b.Read(ctx, "run/a", 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("read: got %v, want cancelled", err)
	}
	b.append(fact("run/a", journal.None))
}
