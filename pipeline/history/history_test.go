package history_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline/history"
)

func opened(t testing.TB) (*history.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := history.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

var main = history.Key{Repo: 7, Branch: "heads/main", Step: "unit"}

func load(t testing.TB, s *history.Store, k history.Key) history.Branch {
	t.Helper()
	b, err := s.Load(k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(t testing.TB, s *history.Store, k history.Key, run string, tests map[string]history.Outcome) {
	t.Helper()
	if err := s.Add(k, run, tests, nil); err != nil {
		t.Fatal(err)
	}
}

func TestATestThatFailsByTurnsHasTurnsAndABrokenOneHasOne(t *testing.T) {
	t.Parallel()
	s, _ := opened(t)
	for i, o := range "pfpspf" {
		broken := history.Failed
		if i == 0 {
			broken = history.Passed
		}
		add(t, s, main, fmt.Sprint("run/", i), map[string]history.Outcome{"turns": history.Outcome(o), "broken": broken})
	}
	b := load(t, s, main)
	if turns, failed, ran := b.Turns("turns"); turns != 3 || failed != 2 || ran != 5 {
		t.Errorf("%d turns, %d of %d", turns, failed, ran)
	}
	if turns, failed, ran := b.Turns("broken"); turns != 1 || failed != 5 || ran != 6 {
		t.Errorf("%d turns, %d of %d", turns, failed, ran)
	}
	if turns, _, ran := b.Turns("unknown"); turns+ran != 0 || b.Last("unknown") != history.Absent || b.Last("turns") != history.Failed {
		t.Errorf("%+v", b)
	}
}

func TestTheSameRunTwiceIsOne(t *testing.T) {
	t.Parallel()
	s, _ := opened(t)
	for range 3 {
		add(t, s, main, "run/1", map[string]history.Outcome{"a": history.Passed})
	}
	if b := load(t, s, main); len(b.Names) != 1 || b.Tests["a"] != "p" {
		t.Errorf("%+v", b)
	}
}

func TestBranchesStepsAndRepositoriesAreKeptApart(t *testing.T) {
	t.Parallel()
	s, _ := opened(t)
	add(t, s, main, "run/1", map[string]history.Outcome{"a": history.Failed})
	for _, other := range []history.Key{{Repo: 8, Branch: "heads/main", Step: "unit"}, {Repo: 7, Branch: "pull/1", Step: "unit"}, {Repo: 7, Branch: "heads/main", Step: "slow"}, {Repo: 7, Branch: "heads/mainunit"}} {
		if b := load(t, s, other); len(b.Names) != 0 {
			t.Errorf("%+v: %+v", other, b)
		}
	}
}

func TestADamagedFileIsNothingAndIsWrittenAnew(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"", "not gzip", "\x1f\x8b\x08\x00"} {
		s, dir := opened(t)
		add(t, s, main, "run/1", map[string]history.Outcome{"a": history.Failed})
		files, _ := filepath.Glob(filepath.Join(dir, "7", "*"))
		if len(files) != 1 {
			t.Fatal(files)
		}
		if err := os.WriteFile(files[0], []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if b := load(t, s, main); len(b.Names) != 0 {
			t.Errorf("%q: %+v", damage, b)
		}
		add(t, s, main, "run/2", map[string]history.Outcome{"a": history.Passed})
		if b := load(t, s, main); b.Last("a") != history.Passed {
			t.Errorf("%q: %+v", damage, b)
		}
	}
}

func TestNoMoreThanTheLastBranchesAreKept(t *testing.T) {
	t.Parallel()
	s, dir := opened(t)
	for i := range history.Branches + 5 {
		add(t, s, history.Key{Repo: 7, Branch: fmt.Sprint("pull/", i), Step: "unit"}, "run/1", map[string]history.Outcome{"a": history.Passed})
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "7", "*")); len(files) != history.Branches {
		t.Errorf("%d files", len(files))
	}
}

// TestWhateverComesTheHistoryIsTheLastRuns holds the store against a plain list of runs.
func TestWhateverComesTheHistoryIsTheLastRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "history-")
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		s, err := history.Open(dir)
		if err != nil {
			r.Fatal(err)
		}
		outcome := rapid.SampledFrom([]history.Outcome{history.Passed, history.Failed, history.Skipped})
		var runs []map[string]history.Outcome
		for i := range rapid.IntRange(1, history.Runs+10).Draw(r, "runs") {
			run := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), outcome, 0, 4).Draw(r, "run")
			if err := s.Add(main, fmt.Sprint(i), run, nil); err != nil {
				r.Fatal(err)
			}
			runs = append(runs, run)
		}
		runs = runs[max(0, len(runs)-history.Runs):]
		b, err := s.Load(main)
		if err != nil {
			r.Fatal(err)
		}
		for _, test := range []string{"a", "b", "c", "d"} {
			var want strings.Builder
			for _, run := range runs {
				o, ok := run[test]
				if !ok {
					o = history.Absent
				}
				want.WriteByte(byte(o))
			}
			if strings.Trim(want.String(), "-") == "" {
				want.Reset()
			}
			if b.Tests[test] != want.String() {
				r.Fatalf("%s is %q, want %q", test, b.Tests[test], want.String())
			}
		}
	})
}
