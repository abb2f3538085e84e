package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func TestFollowersSeeEveryByteOnceAndInOrder(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, []string{"a secret of 3 words"}, 0)
	must(t, err)
	closed := make(chan struct{})
	type got struct {
		text []byte
		from int64
	}
	results := make([]got, 6)
	var followers sync.WaitGroup
	for i := range results {
		results[i].from = int64(i * 1000)
		followers.Go(func() {
			next := results[i].from
			for p, err := range s.Follow(t.Context(), name, next) {
				if err != nil {
					t.Error(err)
					return
				}
				if p.Offset != next || len(p.Data) == 0 || len(p.Data) > BlockSize {
					t.Errorf("a piece of %d bytes at %d, want it at %d", len(p.Data), p.Offset, next)
				}
				next += int64(len(p.Data))
				results[i].text = append(results[i].text, p.Data...)
				if i == 0 {
					<-closed // the slowest reader there can be; the writer would hang if it waited
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(7, 7))
	var all bytes.Buffer
	for range 400 {
		chunk := bytes.Repeat([]byte{byte('a' + random.IntN(26))}, random.IntN(20_000))
		chunk = append(chunk, "\na secret of 3 words\n"...)
		all.Write(bytes.ReplaceAll(chunk, []byte("a secret of 3 words"), []byte(Mask)))
		for len(chunk) > 0 {
			n := min(len(chunk), 1+random.IntN(5000))
			_, err := w.Write(chunk[:n])
			must(t, err)
			chunk = chunk[n:]
		}
	}
	must(t, w.Close())
	close(closed)
	followers.Wait()
	for i, r := range results {
		if !bytes.Equal(r.text, all.Bytes()[r.from:]) {
			t.Errorf("follower %d got %d bytes, other than the %d that were written", i, len(r.text), all.Len()-int(r.from))
		}
	}
	var again []byte // of the complete log, without a writer
	for p, err := range s.Follow(t.Context(), name, 0) {
		must(t, err)
		again = append(again, p.Data...)
	}
	if !bytes.Equal(again, all.Bytes()) {
		t.Error("the complete log reads otherwise")
	}
}

func TestALiveTailIsSeenBeforeTheLogIsClosed(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, []string{"secret"}, 0)
	must(t, err)
	next, stop := pull(s.Follow(t.Context(), name, 0))
	defer stop()
	for _, line := range []string{"compiling\n", "testing", " and secr"} {
		_, err := w.Write([]byte(line))
		must(t, err)
		want := strings.TrimSuffix(line, "secr") // may be the start of a secret
		if got, err := next(len(want)); got != want || err != nil {
			t.Fatalf("saw %q, %v, want %q", got, err, want)
		}
	}
	if r, err := s.Reader(name); err != nil || r.Complete() || r.Size() != int64(len("compiling\ntesting and ")) {
		t.Errorf("the reader says %v complete, %d bytes, %v", r.Complete(), r.Size(), err)
	}
	must(t, w.Close())
	if got, err := next(4); got != "secr" || err != nil {
		t.Errorf("at the end came %q, %v", got, err)
	}
	if got, err := next(1); err != io.EOF {
		t.Errorf("after the end came %q, %v", got, err)
	}
}

func TestAFollowerGoesWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, nil, 0)
	must(t, err)
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = w.Write([]byte("x"))
	must(t, err)
	var last error
	for _, err := range s.Follow(ctx, name, 0) {
		cancel() // with the first piece
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the last error is %v", last)
	}
	for _, err := range s.Follow(t.Context(), "run/none", 0) {
		last = err
	}
	if !errors.Is(last, ErrNotFound) {
		t.Errorf("following nothing gave %v", last)
	}
}

func TestLinesAreFoundWithAndWithoutTheIndex(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, nil, 0)
	must(t, err)
	var starts []int64
	size := int64(0)
	for i := range 30_000 {
		line := fmt.Sprintf("%d%s\n", i, strings.Repeat("x", i%37))
		if i%5000 == 4999 {
			line = strings.Repeat("long ", 40_000) + "\n" // over three indexed places
		}
		starts = append(starts, size)
		size += int64(len(line))
		_, err := w.Write([]byte(line))
		must(t, err)
	}
	must(t, w.Close())
	check := func(how string) {
		for i := 0; i < len(starts); i += 7 {
			if offset, err := s.Line(name, int64(i+1)); err != nil || offset != starts[i] {
				t.Fatalf("%s: line %d starts at %d, %v, want %d", how, i+1, offset, err, starts[i])
			}
		}
		if _, err := s.Line(name, int64(len(starts)+1)); err != io.EOF {
			t.Errorf("%s: a line after the last one: %v", how, err)
		}
	}
	check("with the index")
	must(t, s.root.Remove(name+indexEnding))
	if offset, err := s.Line(name, 29_000); err != nil || offset != starts[28_999] {
		t.Errorf("without the index line 29000 starts at %d, %v", offset, err)
	}
}

func TestTheTailIsTheLastLinesAndNeverMuch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "",
		"one":                               "one",
		"one\ntwo\nthree\n":                 "two\nthree\n",
		"one\ntwo\nthree":                   "two\nthree",
		"\n\n\n":                            "\n\n",
		strings.Repeat("x", 100_000):        strings.Repeat("x", 64<<10),
		strings.Repeat("x", 100_000) + "\n": strings.Repeat("x", 64<<10-1) + "\n",
		strings.Repeat("x", 100_000) + "\nlast\n":          "last\n",
		"a\n" + strings.Repeat("x", 100_000) + "\nb\nlast": "b\nlast",
	} {
		s := opened(t)
		w, err := s.Writer(name, nil, 0)
		must(t, err)
		_, err = w.Write([]byte(text))
		must(t, err)
		must(t, w.Close())
		if got, err := s.Tail(name, 2); string(got) != want || err != nil {
			t.Errorf("the tail of %d bytes is %.40q (%d), %v, want %.40q (%d)", len(text), got, len(got), err, want, len(want))
		}
	}
}

// pull turns Follow into a function that returns the next n bytes.
func pull(pieces func(func(Block, error) bool)) (next func(n int) (string, error), stop func()) {
	r, w := io.Pipe()
	var done sync.WaitGroup
	done.Go(func() {
		for p, err := range pieces {
			if err != nil {
				_ = w.CloseWithError(err)
				return
			}
			if _, err := w.Write(p.Data); err != nil {
				return
			}
		}
		_ = w.Close()
	})
	next = func(n int) (string, error) {
		b := make([]byte, n)
		got, err := io.ReadFull(r, b)
		return string(b[:got]), err
	}
	return next, func() { _ = r.Close(); done.Wait() }
}
