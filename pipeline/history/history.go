// Package history remembers how tests have ended: for each branch and step, the last runs, test by test. It tells a failure
// that is new from one that the base branch has too, and a test that fails by turns from one that is broken.
//
// It is small and may be lost: nothing is decided by it. There is one file for each branch and step, below one directory;
// its runs, its tests and the number of files are bounded, and what is not used longest goes first. One server writes it.
//
// Start reading at Store.
package history

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// What is remembered at most.
const (
	Runs     = 20     // of a branch
	Tests    = 20_000 // of a step
	Branches = 500    // and steps, of a repository
	maxFile  = 32 << 20
)

// Key says of what a history is. Of a pull request the branch is "pull/12", of a branch "heads/main".
type Key struct {
	Repo   int64
	Branch string
	Step   string
}

// Outcome is how a test ended in one run.
type Outcome byte

// The outcomes, as stored.
const (
	Passed  Outcome = 'p'
	Failed  Outcome = 'f'
	Skipped Outcome = 's'
	Absent  Outcome = '-' // the run did not have the test
)

// Coverage is a part of lines.
type Coverage struct {
	Lines   int `json:"lines"`
	Covered int `json:"covered"`
}

// Branch is what is remembered of one branch and step. The zero value remembers nothing.
type Branch struct {
	Names    []string          `json:"runs"`  // the newest last
	Tests    map[string]string `json:"tests"` // an outcome for each of these runs
	Coverage *Coverage         `json:"coverage,omitempty"`
}

// Last is how a test ended in the newest run.
func (b Branch) Last(test string) Outcome {
	if all := b.Tests[test]; all != "" {
		return Outcome(all[len(all)-1])
	}
	return Absent
}

// Turns counts how often a test has gone from passing to failing, or back, and in how many runs it failed and ran.
func (b Branch) Turns(test string) (turns, failed, ran int) {
	last := Absent
	for _, o := range []byte(b.Tests[test]) {
		switch o := Outcome(o); o {
		case Passed, Failed:
			ran++
			if o == Failed {
				failed++
			}
			if last != Absent && o != last {
				turns++
			}
			last = o
		}
	}
	return turns, failed, ran
}

// with is the branch with one more run.
func (b Branch) with(run string, tests map[string]Outcome, coverage *Coverage) Branch {
	drop := max(len(b.Names)+1-Runs, 0)
	next := Branch{Names: append(slices.Clone(b.Names[drop:]), run), Tests: make(map[string]string, len(tests)), Coverage: coverage}
	before := len(next.Names) - 1
	for name, o := range tests {
		if len(next.Tests) == Tests {
			break
		}
		past := b.Tests[name]
		if past == "" {
			past = strings.Repeat(string(rune(Absent)), len(b.Names))
		}
		next.Tests[name] = past[len(past)-before:] + string(rune(o))
	}
	for name, past := range b.Tests {
		if _, again := tests[name]; again || len(next.Tests) >= Tests {
			continue
		}
		if past = past[len(past)-before:]; strings.Trim(past, string(rune(Absent))) != "" {
			next.Tests[name] = past + string(rune(Absent))
		}
	}
	return next
}

// sound reports whether what was read has the form that is written.
func (b Branch) sound() bool {
	if len(b.Names) > Runs || len(b.Tests) > Tests {
		return false
	}
	for _, all := range b.Tests {
		if len(all) != len(b.Names) || strings.Trim(all, "pfs-") != "" {
			return false
		}
	}
	return true
}

// Store is a directory of histories. All methods may be called concurrently.
type Store struct {
	dir string
	mu  sync.Mutex
}

// Open uses a directory, and makes it if it is absent.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: make the directory: %w", err)
	}
	return &Store{dir: dir}, nil
}

// file is a key's file. Branches have names that no file can have.
func (s *Store) file(k Key) string {
	sum := sha256.Sum256([]byte(k.Branch + "\x00" + k.Step))
	return filepath.Join(s.dir, fmt.Sprint(k.Repo), hex.EncodeToString(sum[:16])+".json.gz")
}

// Load gives what is remembered; the zero value when that is nothing. A damaged file is nothing, too.
func (s *Store) Load(k Key) (Branch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load(k)
}

func (s *Store) load(k Key) (b Branch, err error) {
	f, err := os.Open(s.file(k))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, fmt.Errorf("history: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	unzip, err := gzip.NewReader(f)
	if err != nil {
		return Branch{}, nil
	}
	if json.NewDecoder(io.LimitReader(unzip, maxFile)).Decode(&b) != nil || !b.sound() {
		return Branch{}, nil
	}
	return b, nil
}

// Add remembers a run. The same run twice is one.
func (s *Store) Add(k Key, run string, tests map[string]Outcome, coverage *Coverage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.load(k)
	if err != nil || slices.Contains(b.Names, run) {
		return err
	}
	if err := s.write(s.file(k), b.with(run, tests, coverage)); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if len(b.Names) > 0 {
		return nil // the file was there before
	}
	return s.prune(k.Repo)
}

// write replaces a file whole. It is not forced to the disk: a power cut may lose it.
func (s *Store) write(name string, b Branch) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	zip, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := errors.Join(json.NewEncoder(zip).Encode(b), zip.Close(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// prune keeps a repository's files within their number: those that were written longest ago go.
func (s *Store) prune(repo int64) error {
	dir := filepath.Join(s.dir, fmt.Sprint(repo))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) <= Branches {
		return err
	}
	type aged struct {
		name string
		at   time.Time
	}
	var all []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all = append(all, aged{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return a.at.Compare(b.at) })
	for _, old := range all[:max(len(all)-Branches, 0)] {
		if err := os.Remove(filepath.Join(dir, old.name)); err != nil {
			return fmt.Errorf("history: forget a branch: %w", err)
		}
	}
	return nil
}
