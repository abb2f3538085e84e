package dir

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
)

// aged is a store of small packs and chunks to which all that it holds is old.
func aged(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := open(dir, slog.New(slog.DiscardHandler), 512, 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	day := 0
	s.now = func() time.Time { // each question is a month after the one before
		day += 30
		return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
	}
	return s
}

func TestItForgetsWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	artifacttest.Collect(t, func(t testing.TB) artifact.Store { return aged(t, t.TempDir()) })
}

func size(t testing.TB, dir string) (n int64) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "*"+packEnding))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

func TestTheRoomIsGivenBackAndTheRestOutlivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := aged(t, dir)
	var all []artifact.Manifest
	for n := range 20 {
		files := map[string]string{"own": strings.Repeat(string(rune('a'+n)), 40), "shared": "what all of them have, cut into chunks"}
		m, err := s.Put(t.Context(), artifacttest.Write(t, files), []string{"**"}, artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	before := size(t, dir)
	done, err := s.Collect(t.Context(), []pipeline.Digest{all[3].Digest(), all[17].Digest()}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if after := size(t, dir); after > before/3 || done.Objects == 0 {
		t.Errorf("of %d bytes, %d are left: %+v", before, after, done)
	}
	for range 2 {
		for _, m := range []artifact.Manifest{all[3], all[17]} {
			if _, err := s.Extract(t.Context(), m.Digest(), filepath.Join(t.TempDir(), "out"), artifact.Limits{}); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = aged(t, dir)
	}
}

func TestWhatWasJustStoredOrFoundStays(t *testing.T) {
	t.Parallel()
	s := aged(t, t.TempDir())
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	put := func(content string) artifact.Manifest {
		m, err := s.Put(t.Context(), artifacttest.Write(t, map[string]string{"f": content}), []string{"**"}, artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old, again := put("old"), put("again")
	now = now.Add(30 * 24 * time.Hour)
	put("again") // which relies on what is there
	fresh := put("fresh")
	if _, err := s.Collect(t.Context(), nil, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		m    artifact.Manifest
		gone bool
	}{{"old", old, true}, {"again", again, false}, {"fresh", fresh, false}} {
		_, err := s.Extract(t.Context(), c.m.Digest(), filepath.Join(t.TempDir(), "out"), artifact.Limits{})
		if c.gone != (err != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
