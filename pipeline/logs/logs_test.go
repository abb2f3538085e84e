package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
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
