package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const childDir = "LOGS_TEST_DIR"

// TestMain can be a process that writes a log and never closes it.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(dir)
	if err == nil {
		var w *Writer
		if w, err = s.Writer(name, []string{"secret"}, 0); err == nil {
			_, err = io.Copy(w, os.Stdin)
		}
	}
	fmt.Println(err)
	select {}
}

const name = "run/7/guid-1/unit.a/1"

func opened(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func written(t testing.TB, s *Store, name string) string {
	t.Helper()
	b, err := s.root.ReadFile(name + logEnding)
	must(t, err)
	return string(b)
}

func TestALogIsMaskedStoredAndComplete(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, []string{"hunter2!"}, 0)
	must(t, err)
	if _, err := s.File(name); !errors.Is(err, ErrIncomplete) {
		t.Errorf("an open log was given as complete: %v", err)
	}
	for _, part := range []string{"login hun", "ter2!\nbye", "\nhunter2"} {
		_, err := w.Write([]byte(part))
		must(t, err)
	}
	must(t, w.Close())
	must(t, w.Close())
	const want = "login ***\nbye\nhunter2"
	f, err := s.File(name)
	must(t, err)
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != want || err != nil {
		t.Errorf("stored %q, %v, want %q", b, err, want)
	}
	if e, err := s.End(name); err != nil || e.Size != int64(len(want)) || e.Lines != 2 || e.Dropped != 0 {
		t.Errorf("the end says %+v, %v", e, err)
	}
	must(t, s.Verify(name))
	if _, err := w.Write([]byte("late")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed log took more: %v", err)
	}
}

func TestALogIsWrittenOnce(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, nil, 0)
	must(t, err)
	_, err = w.Write([]byte("first"))
	must(t, err)
	for range 2 {
		if _, err := s.Writer(name, nil, 0); !errors.Is(err, ErrExists) {
			t.Errorf("the log was begun again: %v", err)
		}
		if _, err := s.Resume(name, nil, 0); !errors.Is(err, ErrExists) {
			t.Errorf("an open or complete log was resumed: %v", err)
		}
		must(t, w.Close())
	}
	if got := written(t, s, name); got != "first" {
		t.Errorf("stored %q", got)
	}
	must(t, s.Verify(name))
	if _, err := s.Resume("run/7/other", nil, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing log was resumed: %v", err)
	}
}

func TestNamesThatCouldLeaveTheDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	s := opened(t)
	for _, bad := range []string{"", "/", "/etc/x", "..", "../x", "a/../b", "a//b", "a/", "./a", ".hidden", "a/.git/x", "a b", "a\nb", "a\x00b",
		`a\b`, "é", "a:b", "a~", strings.Repeat("a/", 40) + "a", strings.Repeat("a", 300), strings.Repeat("a", 600)} {
		if w, err := s.Writer(bad, nil, 0); err == nil {
			t.Errorf("%q was written", bad)
			_ = w.Close()
		}
		if _, err := s.Reader(bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q was read: %v", bad, err)
		}
	}
	// A link that someone planted leads nowhere either.
	outside := t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(s.root.Name(), "out")))
	if w, err := s.Writer("out/x", nil, 0); err == nil {
		t.Error("a log was written through a link to the outside")
		_ = w.Close()
	}
}

func TestALogOverItsLimitIsCutVisiblyAndCounted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit   int64
		parts   []string
		kept    string
		dropped int64
	}{
		{10, []string{"12345", "67890"}, "1234567890", 0},
		{10, []string{"12345", "678901", "234"}, "1234567890\n", 4},
		{6, []string{"12345\n", "x"}, "12345\n", 1},
		{8, []string{"a secret", "secret and more"}, "a ***\n", 0},
	} {
		s := opened(t)
		w, err := s.Writer(name, []string{"secret"}, c.limit)
		must(t, err)
		for _, p := range c.parts {
			n, err := w.Write([]byte(p))
			must(t, err)
			if n != len(p) {
				t.Errorf("took %d of %d bytes: the step would fail", n, len(p))
			}
		}
		must(t, w.Close())
		got := written(t, s, name)
		if c.limit == 8 { // where the mask shortens the text
			if !strings.HasPrefix(got, "a *** an\n[conveyor] ") || w.Dropped() != 6 {
				t.Errorf("stored %q, dropped %d", got, w.Dropped())
			}
			continue
		}
		text, line, cut := strings.Cut(got, "[conveyor] ")
		if text != c.kept || cut != (c.dropped > 0) || cut && !strings.Contains(line, fmt.Sprintf("limit of %d bytes", c.limit)) {
			t.Errorf("stored %q, want %q", got, c.kept)
		}
		if e, err := s.End(name); err != nil || e.Dropped != c.dropped || w.Dropped() != c.dropped {
			t.Errorf("dropped %d (%d in the end, %v), want %d", w.Dropped(), e.Dropped, err, c.dropped)
		}
		must(t, s.Verify(name))
	}
}

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

func TestAKilledWritersLogIsFollowedAndResumed(t *testing.T) {
	t.Parallel()
	s := opened(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+s.root.Name())
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	killed := false
	kill := func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	defer kill()
	lines := strings.Repeat("a line of another process\n", 10_000)
	_, err = io.WriteString(in, lines+"with a secret")
	must(t, err)

	want := lines + "with a ***"
	eventually(t, "the other process has begun the log", func() bool {
		_, err := s.root.Stat(name + logEnding)
		return err == nil
	})
	next, stop := pull(s.Follow(t.Context(), name, 0))
	defer stop()
	if got, err := next(len(want)); got != want || err != nil {
		t.Fatalf("saw %d bytes of another process, %v, want %d", len(got), err, len(want))
	}
	if _, err := s.Resume(name, nil, 0); !errors.Is(err, ErrExists) {
		t.Errorf("a log that another process writes was resumed: %v", err)
	}
	kill()

	w, err := s.Resume(name, []string{"secret"}, 0)
	must(t, err)
	_, err = w.Write([]byte("\nand one more secret\n"))
	must(t, err)
	must(t, w.Close())
	if got := written(t, s, name); got != want+"\nand one more ***\n" {
		t.Errorf("the log ends with %q", got[len(lines):])
	}
	must(t, s.Verify(name))
	if offset, err := s.Line(name, 10_002); err != nil || offset != int64(len(want)+1) {
		t.Errorf("the last line starts at %d, %v, want %d", offset, err, len(want)+1)
	}
	if got, err := next(len("\nand one more ***\n")); got != "\nand one more ***\n" || err != nil {
		t.Errorf("the follower saw %q, %v", got, err)
	}
}

// eventually asks again and again, and gives up with the test's patience.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestAResumedLogKeepsItsLimit(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, nil, 10)
	must(t, err)
	_, err = w.Write([]byte("123456789012345"))
	must(t, err)
	w.mu.Lock()
	w.flush(false)
	w.mu.Unlock()
	cut := written(t, s, name)
	must(t, w.closeFiles()) // what a killed process leaves
	again, err := Open(s.root.Name())
	must(t, err)
	defer again.Close()
	r, err := again.Resume(name, nil, 10)
	must(t, err)
	_, err = r.Write([]byte("more"))
	must(t, err)
	must(t, r.Close())
	if got := written(t, again, name); got != cut {
		t.Errorf("stored %q after the cut %q", got, cut)
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

func TestADamagedLogIsFoundOut(t *testing.T) {
	t.Parallel()
	s := opened(t)
	w, err := s.Writer(name, nil, 0)
	must(t, err)
	_, err = w.Write([]byte("all is well"))
	must(t, err)
	must(t, w.Close())
	path := filepath.Join(s.root.Name(), name+logEnding)
	must(t, os.WriteFile(path, []byte("all is bad!"), 0o600))
	if err := s.Verify(name); err == nil {
		t.Error("nobody noticed other bytes")
	}
	must(t, os.Truncate(path, 3))
	if _, err := s.End(name); !errors.Is(err, ErrIncomplete) {
		t.Errorf("a log that lost its end is complete: %v", err)
	}
}

// TestOneLineOf64MBNeedsLittleMemory is not parallel: it looks at the memory of the whole process.
func TestOneLineOf64MBNeedsLittleMemory(t *testing.T) {
	s := opened(t)
	long := make([]byte, 8000)
	for i, random := 0, rand.New(rand.NewPCG(1, 1)); i < len(long); i++ {
		long[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[random.IntN(36)]
	}
	w, err := s.Writer(name, []string{"a secret", string(long)}, 1<<30)
	must(t, err)
	chunk := append(bytes.Repeat(long[:7000], 8), long...) // always in the middle of a long secret, and sometimes all of it
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1024 {
		_, err := w.Write(chunk)
		must(t, err)
	}
	must(t, w.Close())
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("64 MiB through the writer took %d MiB of memory", used>>20)
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
