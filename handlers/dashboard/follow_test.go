package dashboard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/handlers/dashboard"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// normal is what a reader gets of a log's bytes: the protocol knows no carriage return.
func normal(log []byte) string {
	return string(bytes.ReplaceAll(bytes.ReplaceAll(log, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\v")))
}

// hardPieces are what breaks naive streams: line ends of all kinds, characters of several bytes, halves of them, the
// protocol's own words.
var hardPieces = []string{"\n", "\r", "\r\n", "\r\r\n", "\n\n", "é", "€", "𝄞", "👩‍🚀", "\xe2", "\x82", "\xff", "\x00", "\v", "data: x", "id: 7\n", "event: end\n\n", ": c", " ", "plain words ", "\x1b[31m", "\ufeff"}

func TestEveryByteOfALogArrivesOnceHoweverOftenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	url := s.serve().URL
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 24 {
		log := hardLog(random, []int{300, 20_000, 700_000}[round%3])
		run := s.request(nil)
		s.start(run, "unit", 1)
		s.print(run, "unit", 1, string(log))
		// Any offset may be asked for, in the middle of a character, too.
		at := random.IntN(len(log) + 1)
		id, ended := strconv.Itoa(at), false
		var got strings.Builder
		for n := 0; !ended; n++ {
			stream, err := dial(url+address(run)+"/log/unit/1", id)
			must(t, err)
			if n < 8 { // the connection breaks after so many bytes, wherever that is
				stream.lines.Reset(io.LimitReader(stream.body, random.Int64N(int64(2*(len(log)-at)+200))))
			}
			for {
				e, err := stream.read()
				if errors.Is(err, io.ErrNoProgress) {
					t.Fatal("something of the log became part of the protocol")
				}
				if err != nil {
					break
				}
				if id = e.id; e.name == "end" {
					ended = true
					break
				}
				if got.WriteString(e.data); e.name != "log" {
					t.Fatalf("got the event %q, with %.100q", e.name, e.data)
				}
			}
			stream.close()
		}
		if want := normal(log[at:]); got.String() != want {
			t.Fatalf("from %d on, got %d bytes, want %d; they differ at %d", at, got.Len(), len(want), differ(got.String(), want))
		}
		if id != strconv.Itoa(len(log)) {
			t.Fatalf("the last id is %s, want the log's size, %d", id, len(log))
		}
	}
}

// hardLog puts hard pieces together, to a log of about a size.
func hardLog(random *rand.Rand, size int) (log []byte) {
	for len(log) < size {
		log = append(log, hardPieces[random.IntN(len(hardPieces))]...)
	}
	return log
}

func differ(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestALogThatIsBeingWrittenArrivesWholeOverManyConnections(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	url := s.serve().URL + address(run) + "/log/unit/1"
	var written, got strings.Builder
	id := ""
	for i := range 40 {
		text := fmt.Sprintf("line %d: 50 €\r%s", i, hardPieces[i%len(hardPieces)])
		_, err := w.Write([]byte(text))
		must(t, err)
		written.WriteString(text)
		if i == 39 {
			must(t, w.Close())
			s.finish(run, "unit", 1, time.Second, passed)
		}
		stream := connect(t, url, id)
		if id == "" {
			if e := stream.named("start"); e.data != "1" {
				t.Fatalf("the first line is %q", e.data)
			}
		}
		for n := len(got.String()); len(got.String()) == n || i == 39; {
			e := stream.next()
			if id = e.id; e.name == "end" {
				break
			}
			got.WriteString(e.data)
		}
		stream.close()
	}
	if want := normal([]byte(written.String())); got.String() != want {
		t.Errorf("they differ at %d:\ngot  %q\nwant %q", differ(got.String(), want), got.String(), want)
	}
}

func TestWhatIsUndecidedWaitsForTheNextPiece(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pieces := hardPieces
		if rapid.Bool().Draw(t, "text only") {
			pieces = slices.DeleteFunc(slices.Clone(pieces), func(piece string) bool { return !utf8.ValidString(piece) })
		}
		log := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 40).Draw(t, "pieces"), ""))
		var sent []byte
		var held []byte
		for rest := log; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 9)).Draw(t, "piece")
			data := append(held, rest[:n]...)
			rest = rest[n:]
			sure := dashboard.Decided(data)
			if len(data)-sure > 3 {
				t.Fatalf("%d bytes are held back", len(data)-sure)
			}
			if utf8.Valid(log) && !utf8.Valid(data[:sure]) {
				t.Fatalf("%q cuts a character, and a browser decodes each event for itself", data[:sure])
			}
			sent = append(sent, dashboard.WithoutReturns(bytes.Clone(data[:sure]))...)
			held = bytes.Clone(data[sure:])
		}
		if sent = append(sent, dashboard.WithoutReturns(held)...); string(sent) != normal(log) {
			t.Fatalf("got %q, want %q", sent, normal(log))
		}
	})
}

func TestALogThatHasNotBegunIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	stream := connect(t, s.serve().URL+address(run)+"/log/unit/1", "")
	s.print(run, "unit", 1, "at last\n")
	stream.named("start")
	if e := stream.named("log"); e.data != "at last\n" || e.id != "8" {
		t.Errorf("got %q with the id %s", e.data, e.id)
	}
	stream.named("end")
}

func TestTheStreamOfAStepThatPrintedNothingEnds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	stream := connect(t, s.serve().URL+address(run)+"/log/unit/1", "")
	s.tell(run, pipeline.CancelRequested{Reason: "by @maintainer", At: s.later(time.Second)})
	stream.named("end")
}

func TestALogThatAKilledServerLeftEndsWithItsStep(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.pages.Hurry(20*time.Millisecond, 5*time.Millisecond, time.Minute)
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1) // nobody ends it before the test does
	t.Cleanup(func() { must(t, w.Close()) })
	_, err := w.Write([]byte("half a li"))
	must(t, err)
	stream := connect(t, s.serve().URL+address(run)+"/log/unit/1", "")
	stream.named("start")
	stream.named("log")
	s.tell(run, pipeline.CancelRequested{Reason: "by @maintainer", At: s.later(time.Second)})
	stream.named("end")
}

func TestAQuietStreamBeats(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.pages.Hurry(10*time.Millisecond, 5*time.Millisecond, time.Minute)
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	url := s.serve().URL + address(run)
	for _, path := range []string{"/state", "/log/unit/1"} {
		stream := connect(t, url+path, "")
		for stream.beats < 3 {
			line, err := stream.lines.ReadString('\n')
			must(t, err)
			if strings.HasPrefix(line, ":") {
				stream.beats++
			}
		}
	}
	must(t, w.Close())
}

func TestALongLogBeginsNearItsEndOrAtTheLineThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	s.start(run, "lint", 1)
	var text strings.Builder
	for i := 1; text.Len() < 9<<20; i++ {
		fmt.Fprintf(&text, "line %d %s\n", i, strings.Repeat("x", i%90))
	}
	total := strings.Count(text.String(), "\n")
	s.print(run, "unit", 1, text.String())
	live := s.writer(run, "lint", 1)
	_, err := live.Write([]byte(text.String()))
	must(t, err)
	url := s.serve().URL + address(run) + "/log/"
	for _, c := range []struct {
		log, query string
		first      int
	}{{"unit/1", "", total - 50_000}, {"unit/1", "?line=1234", 1134}, {"unit/1", "?line=40", 1}, {"unit/1", "?line=99999999", total - 50_000}, {"lint/1", "?line=1234", 1134}} {
		stream := connect(t, url+c.log+c.query, "")
		if e := stream.named("start"); e.data != strconv.Itoa(c.first) {
			t.Errorf("%s%s begins at line %s, want %d", c.log, c.query, e.data, c.first)
		}
		if e := stream.named("log"); !strings.HasPrefix(e.data, fmt.Sprintf("line %d ", c.first)) {
			t.Errorf("%s%s begins with %.20q, want line %d", c.log, c.query, e.data, c.first)
		}
		stream.close()
	}
	must(t, live.Close())
}

// The following two look at all goroutines, so they run alone.

func TestAReaderThatDoesNotReadHoldsUpNobodyAndLosesItsStream(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := newShop(t)
	s.pages.Hurry(time.Minute, 5*time.Millisecond, 200*time.Millisecond)
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	server := s.serve()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	must(t, err)
	_, err = fmt.Fprintf(c, "GET %s/log/unit/1 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", address(run))
	must(t, err)
	block := []byte(strings.Repeat("a line that nobody reads\n", 10_000))
	for range 120 { // 30 MB: more than all buffers on the way hold
		_, err := w.Write(block)
		must(t, err)
	}
	// The log is not ended: nothing but its own slowness ends this reader's stream.
	waitFor(t, "the handler ends", func() bool { return !running("follow.go") })
	must(t, w.Close())
	must(t, c.Close())
	server.Close()
	must(t, goleak.Find(before))
}

func TestAReaderThatGoesAwayEndsItsHandler(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	s.start(run, "lint", 1)
	w := s.writer(run, "unit", 1)
	server := s.serve()
	for _, path := range []string{"/state", "/log/unit/1", "/log/lint/1"} { // the last one has not begun
		stream := connect(t, server.URL+address(run)+path, "")
		if path != "/log/lint/1" {
			stream.next()
		}
		stream.close()
	}
	waitFor(t, "the handlers end", func() bool { return !running("handlers/dashboard.(*Pages)") })
	must(t, w.Close())
	server.Close()
	must(t, goleak.Find(before))
}

func TestAnEndedRequestIsNoError(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	answer := serveOnce(s, "GET", address(run), ctx)
	if answer.Code == 503 || answer.Body.Len() > 0 {
		t.Errorf("a request that nobody waits for was answered with %d and %d bytes", answer.Code, answer.Body.Len())
	}
	if _, err := s.logs.End("none"); !errors.Is(err, logs.ErrNotFound) {
		t.Error(err)
	}
}
