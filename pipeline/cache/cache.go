// Package cache keeps folders of steps for later runs.
//
// An entry is the contents of a cache's folders, laid out on the disk under the digest of all of it, and never changed. A
// key names an entry once, and is never pointed at another. A step gets a writable copy: an overlay on the entry, so that
// nothing is copied, or a real copy where overlays cannot be mounted.
//
// Only a run that may fill the cache has its copy kept: pipeline.State.MayFillCache says which. All others may read what
// those have written, and what they write themselves is thrown away; so what code from outside writes never reaches a run
// that is trusted further. Entries lie in a folder named after who wrote them all the same.
//
// The least recently used entries go when there is no room. A crash leaves at most what Open removes. Start reading at
// Lend in lend.go; keep.go is how an entry is made, index.go is what is known of all of them.
package cache

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// Options say where and how much is kept.
type Options struct {
	Dir   string       // a folder that no other server uses; created when missing
	Owner layers.Owner // whom the folders of steps belong to
	Size  int64        // bytes of all entries; 0 is 10 GiB
	Now   func() time.Time
	Log   *slog.Logger
}

// Store is a folder of caches. All methods may be called concurrently.
type Store struct {
	opts Options
	lay  layers.Layering

	mu      sync.Mutex
	records map[name]*record
	entries map[string]*entry // by digest
	open    map[string]*Lent  // by id
	total   int64             // bytes of entries
	moment  uint64            // counts uses
}

// Asker is a run that wants a cache: whose it is, how far it is trusted, and whether it may fill it.
type Asker struct {
	Repository int64
	Trust      pipeline.Trust
	Fills      bool
}

// AskerOf is the run as its state says.
func AskerOf(s pipeline.State) Asker {
	return Asker{Repository: s.Trigger.Repo.ID, Trust: s.Trust, Fills: s.MayFillCache()}
}

// ErrMayNot means that a run may not fill the cache.
var ErrMayNot = errors.New("cache: this run may not fill it")

// trusted is the folder of what runs wrote that may fill the cache. There is no other: nobody else's is kept.
const trusted = "trusted"

// Open uses a folder, after clearing away what a crash left half done in it.
func Open(o Options) (*Store, error) {
	if o.Size <= 0 {
		o.Size = 10 << 30
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Others may pass through (the owner of a step's folder must reach it), but not look around.
	if err := os.MkdirAll(o.Dir, 0o711); err != nil {
		return nil, fmt.Errorf("cache: make its folder: %w", err)
	}
	real, err := filepath.EvalSymlinks(o.Dir) // the kernel's list of mounts knows real paths only
	if err != nil {
		return nil, fmt.Errorf("cache: find its folder: %w", err)
	}
	o.Dir = real
	s := &Store{opts: o, records: map[name]*record{}, entries: map[string]*entry{}, open: map[string]*Lent{}}
	if err := layers.UnmountBelow(o.Dir); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if err := layers.RemoveAll(s.path("work")); err != nil {
		return nil, fmt.Errorf("cache: clear away what an earlier server left: %w", err)
	}
	if err := s.forgetOthers(); err != nil {
		return nil, err
	}
	for _, dir := range []string{"keys/" + trusted, "entries/" + trusted, "work"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			return nil, fmt.Errorf("cache: make its folders: %w", err)
		}
	}
	for _, dir := range []string{"", "work"} {
		if err := os.Chmod(s.path(dir), 0o711); err != nil { // whatever the umask says
			return nil, fmt.Errorf("cache: make its folders: %w", err)
		}
	}
	s.lay = layers.Probe(s.path("work", "probe"))
	if err := s.load(); err != nil {
		return nil, err
	}
	s.evict(0)
	return s, nil
}

// forgetOthers removes all entries when they belong to another user than steps run as now.
func (s *Store) forgetOthers() error {
	stamp := fmt.Sprintf("1 %d:%d\n", s.opts.Owner.UID, s.opts.Owner.GID)
	if old, err := os.ReadFile(s.path("stamp")); err == nil && string(old) == stamp {
		return nil
	}
	for _, dir := range []string{"keys", "entries"} {
		if err := layers.RemoveAll(s.path(dir)); err != nil {
			return fmt.Errorf("cache: clear away the entries of another user: %w", err)
		}
	}
	if err := os.WriteFile(s.path("stamp"), []byte(stamp), 0o600); err != nil {
		return fmt.Errorf("cache: mark its folder: %w", err)
	}
	return nil
}

// Close takes back what is still lent. No other call may be under way.
func (s *Store) Close() error {
	s.mu.Lock()
	var left []*Lent
	for _, l := range s.open {
		left = append(left, l)
	}
	s.mu.Unlock()
	var all []error
	for _, l := range left {
		all = append(all, l.Close())
	}
	return errors.Join(all...)
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.opts.Dir}, parts...)...)
}
