package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// name is a key of one repository.
type name struct {
	repository   int64
	family, name string
}

// record is what a key points at. It is written once.
type record struct {
	Digest string    `json:"digest"`
	Size   int64     `json:"size"` // bytes
	Files  int       `json:"files"`
	Saved  time.Time `json:"saved"`

	used uint64 // the moment of its last use
}

// entry is one content.
type entry struct {
	size  int64
	users int // steps that stand on it; at 0 it may go
}

var hexForm = regexp.MustCompile(`^[0-9a-f]{32,64}$`)

func (n name) folder() string {
	return filepath.Join("keys", trusted, strconv.FormatInt(n.repository, 10), n.family)
}
func (n name) file() string { return filepath.Join(n.folder(), n.name+".json") }

func entryFolder(digest string) string { return filepath.Join("entries", trusted, digest) }

// load reads what there is. What is half there is removed: a key without its entry, and an entry without a key.
func (s *Store) load() error {
	files, err := filepath.Glob(s.path("keys", trusted, "*", "*", "*"))
	if err != nil {
		return fmt.Errorf("cache: look for keys: %w", err)
	}
	uses := map[*record]time.Time{}
	for _, path := range files {
		n, ok := nameOf(path)
		text, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		var r record
		if !ok || err != nil || statErr != nil || json.Unmarshal(text, &r) != nil || !hexForm.MatchString(r.Digest) || !s.there(r.Digest) {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("cache: remove a broken key: %w", err)
			}
			continue
		}
		s.records[n] = &r
		uses[&r] = info.ModTime()
		if s.entries[r.Digest] == nil {
			s.entries[r.Digest] = &entry{size: r.Size}
			s.total += r.Size
		}
	}
	inOrder := make([]*record, 0, len(uses))
	for r := range uses {
		inOrder = append(inOrder, r)
	}
	slices.SortFunc(inOrder, func(a, b *record) int { return uses[a].Compare(uses[b]) })
	for _, r := range inOrder {
		s.moment++
		r.used = s.moment
	}
	kept, err := os.ReadDir(s.path("entries", trusted))
	if err != nil {
		return fmt.Errorf("cache: look for entries: %w", err)
	}
	for _, e := range kept {
		if s.entries[e.Name()] == nil {
			if err := layers.RemoveAll(s.path(entryFolder(e.Name()))); err != nil {
				return fmt.Errorf("cache: remove what no key names: %w", err)
			}
		}
	}
	return nil
}

func (s *Store) there(digest string) bool {
	info, err := os.Lstat(s.path(entryFolder(digest)))
	return err == nil && info.IsDir()
}

func nameOf(path string) (name, bool) {
	key, ok := strings.CutSuffix(filepath.Base(path), ".json")
	family := filepath.Base(filepath.Dir(path))
	repository, err := strconv.ParseInt(filepath.Base(filepath.Dir(filepath.Dir(path))), 10, 64)
	return name{repository, family, key}, ok && err == nil && hexForm.MatchString(key) && hexForm.MatchString(family)
}

// find is the entry of a key, or else the newest of its family: same repository, same declaration. Its user must leave it.
func (s *Store) find(n name) (found name, r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r = s.records[n]; r != nil {
		found = n
	} else {
		for other, candidate := range s.records {
			if other.repository == n.repository && other.family == n.family && (r == nil || candidate.Saved.After(r.Saved)) {
				found, r = other, candidate
			}
		}
	}
	if r == nil {
		return name{}, nil
	}
	s.moment++
	r.used = s.moment
	s.entries[r.Digest].users++
	now := s.opts.Now()
	_ = os.Chtimes(s.path(found.file()), now, now) // for the order after a restart, and nothing else
	copied := *r
	return found, &copied
}

func (s *Store) leave(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[digest].users--
}

// evict makes room for so many more bytes: the least recently used go first, and none that a step stands on.
func (s *Store) evict(more int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.total+more > s.opts.Size {
		last := map[string]uint64{}
		for _, r := range s.records {
			last[r.Digest] = max(last[r.Digest], r.used)
		}
		oldest := ""
		for digest, e := range s.entries { // one without a key is older than all others
			if e.users == 0 && (oldest == "" || last[digest] < last[oldest]) {
				oldest = digest
			}
		}
		if oldest == "" {
			return
		}
		if err := s.remove(oldest); err != nil {
			s.opts.Log.Warn("an old cache could not be removed", "digest", oldest, "err", err)
			return
		}
	}
}

// remove forgets an entry: its keys first, so that none ever points at half of it.
func (s *Store) remove(digest string) error {
	for n, r := range s.records {
		if r.Digest != digest {
			continue
		}
		if err := os.Remove(s.path(n.file())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		delete(s.records, n)
	}
	s.total -= s.entries[digest].size
	delete(s.entries, digest)
	gone := s.path("work", "gone-"+digest)
	if err := os.Rename(s.path(entryFolder(digest)), gone); err != nil {
		return err
	}
	return layers.RemoveAll(gone)
}
