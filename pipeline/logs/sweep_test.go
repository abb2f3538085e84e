package logs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// aged writes a log that was written to some hours ago.
func aged(t *testing.T, s *Store, name, text string, hours int, now time.Time) {
	t.Helper()
	w, err := s.Writer(name, nil, 0)
	must(t, err)
	_, err = w.Write([]byte(text))
	must(t, err)
	must(t, w.Close())
	at := now.Add(-time.Duration(hours) * time.Hour)
	must(t, os.Chtimes(filepath.Join(s.root.Name(), name+logEnding), at, at))
}

func left(t *testing.T, s *Store) []string {
	t.Helper()
	names, err := s.Names("run")
	must(t, err)
	return names
}

func yes(string) bool { return true }

func TestOldLogsAreRemovedAndItIsKnownThatTheyWere(t *testing.T) {
	t.Parallel()
	s, now := opened(t), time.Now()
	aged(t, s, "run/7/a/unit/1", "old", 10, now)
	aged(t, s, "run/7/a/unit/2", "new", 1, now)
	aged(t, s, "run/7/b/unit/1", "old and wanted", 10, now)
	open, err := s.Writer("run/7/c/unit/1", nil, 0)
	must(t, err)
	past := now.Add(-20 * time.Hour)
	must(t, os.Chtimes(filepath.Join(s.root.Name(), "run/7/c/unit/1.log"), past, past))
	var asked []string
	swept, err := s.Sweep(t.Context(), Keep{Since: now.Add(-5 * time.Hour)}, func(name string) bool {
		asked = append(asked, name)
		return !strings.HasPrefix(name, "run/7/b/")
	})
	must(t, err)
	if swept != (Swept{Logs: 1, Bytes: 3}) || !slices.Equal(left(t, s), []string{"run/7/a/unit/2", "run/7/b/unit/1", "run/7/c/unit/1"}) {
		t.Errorf("%+v, left %v", swept, left(t, s))
	}
	if slices.Contains(asked, "run/7/a/unit/2") {
		t.Error("it was asked about a log that is to stay")
	}
	_, err = open.Write([]byte("goes on"))
	must(t, err)
	must(t, open.Close())
	for name, want := range map[string]bool{"run/7/a/unit/1": true, "run/7/a/unit/2": false, "run/7/b/unit/9": false, "../x": false} {
		if at, removed := s.Removed(name); removed != want || want && now.Sub(at).Abs() > time.Minute {
			t.Errorf("%s removed: %v, %v", name, removed, at)
		}
	}
	if _, err := s.Tail("run/7/a/unit/1", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("the log that was removed: %v", err)
	}
}

func TestTheOldestLogsMakeRoom(t *testing.T) {
	t.Parallel()
	s, now := opened(t), time.Now()
	for i, name := range []string{"run/7/a/unit/1", "run/7/b/unit/1", "run/7/c/unit/1"} {
		aged(t, s, name, strings.Repeat("x", 100), 3-i, now)
	}
	if swept, err := s.Sweep(t.Context(), Keep{Bytes: 300}, yes); err != nil || swept.Logs != 0 {
		t.Errorf("%+v, %v", swept, err)
	}
	if swept, err := s.Sweep(t.Context(), Keep{Bytes: 250}, yes); err != nil || swept.Logs != 1 {
		t.Errorf("%+v, %v", swept, err)
	}
	if got := left(t, s); !slices.Equal(got, []string{"run/7/b/unit/1", "run/7/c/unit/1"}) {
		t.Error(got)
	}
	if swept, err := s.Sweep(t.Context(), Keep{}, yes); err != nil || swept.Logs != 0 {
		t.Errorf("without a limit: %+v, %v", swept, err)
	}
}

func TestPlainTextIsTheSameInWhateverPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"\x1b[31m", "\x1b[0m", "\x1b", "[", "a line\n", "\n", "\x1b]8;;https://example.com\x07", "link\x1b]8;;\x07", "ä", "\r", "\x1b(B", "~"}), 0, 40).Draw(r, "parts"), ""))
		got, err := io.ReadAll(PlainReader(iotest.OneByteReader(bytes.NewReader(text))))
		if err != nil || !bytes.Equal(got, Plain(bytes.Clone(text))) {
			r.Fatalf("%q became %q, %v; want %q", text, got, err, Plain(text))
		}
	})
	if got := string(Plain([]byte("\x1b[1;31mred\x1b[0m \x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\"))); got != "red link" {
		t.Errorf("%q", got)
	}
}
