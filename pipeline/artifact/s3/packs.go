package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// A pack is one object: frames in a row, and behind them their index. Its name is the SHA-256 of the index and the length of
// it, so that the index can be read and proven without the rest. A pack is written by one request, and never changed: it is
// there whole or not at all.
//
// Beside a pack may lie its mark, PACK.condemned: nothing that is stored from then on relies on it.
type pack struct {
	name    string
	salt    frame.Salt
	size    int64         // bytes of frames
	entries []frame.Entry // by offset
	damaged error         // why its index cannot be used

	// Guarded by shelf.mu.
	written   time.Time // by the bucket; zero until it was listed
	condemned time.Time // zero where it is not
	round     uint64    // of the listing that was the last when it was put on the shelf
	bad       map[frame.Key]bool
}

const (
	packs     = "pack/"
	condemned = ".condemned"
	packSize  = 16 << 20 // a pack that has reached it is sent
	mostIndex = 16 << 20
)

var packName = regexp.MustCompile(`^[0-9a-f]{64}-[1-9][0-9]{0,8}$`)

func nameOf(index []byte) string {
	sum := sha256.Sum256(index)
	return hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(index))
}

// place is where a frame is.
type place struct {
	pack           *pack
	offset, length uint32
}

// shelf is what is known of the packs in the bucket. It never is more than a listing old when a Put begins.
type shelf struct {
	listing sync.Mutex // one listing at a time

	mu     sync.RWMutex
	packs  map[string]*pack
	index  map[frame.Key]place
	round  uint64
	listed bool
}

// rank says how far a place can be relied on: 0 is wholly, more is less.
func (p place) rank(k frame.Key) int {
	switch {
	case p.pack.bad[k]:
		return 2
	case !p.pack.condemned.IsZero():
		return 1
	}
	return 0
}

// add puts a pack on the shelf. The caller holds mu.
func (h *shelf) add(p *pack) {
	h.packs[p.name] = p
	p.each(func(e frame.Entry, length uint32) {
		here := place{p, e.Offset, length}
		if there, ok := h.index[e.Key]; !ok || there.rank(e.Key) > here.rank(e.Key) {
			h.index[e.Key] = here
		}
	})
}

// rebuild finds the places of all frames anew, after some have become worse or are gone. The caller holds mu.
func (h *shelf) rebuild() {
	h.index = make(map[frame.Key]place, len(h.index))
	for _, name := range slices.Sorted(maps.Keys(h.packs)) {
		h.add(h.packs[name])
	}
}

// each calls with all frames of a pack.
func (p *pack) each(do func(e frame.Entry, length uint32)) {
	for i, e := range p.entries {
		end := p.size
		if i+1 < len(p.entries) {
			end = int64(p.entries[i+1].Offset)
		}
		do(e, uint32(end-int64(e.Offset)))
	}
}

func (h *shelf) find(k frame.Key) (place, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	at, ok := h.index[k]
	return at, ok
}

// known says that a Put may rely on a content.
func (h *shelf) known(k frame.Key) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	at, ok := h.index[k]
	return ok && at.rank(k) == 0
}

// learn puts a pack on the shelf that has just been written.
func (h *shelf) learn(p *pack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.round = h.round
	h.add(p)
}

// spoil notes that a frame was damaged when it was read: what is stored from now on does not rely on it.
func (h *shelf) spoil(k frame.Key, p *pack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.bad == nil {
		p.bad = map[frame.Key]bool{}
	}
	if !p.bad[k] {
		p.bad[k] = true
		h.rebuild()
	}
}

// damaged is an error where there are packs of which nobody knows what they hold.
func (h *shelf) damaged() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(h.packs)) {
		if err := h.packs[name].damaged; err != nil {
			return err
		}
	}
	return nil
}

// listed is what the bucket says of one pack. Only its mark may be left of it.
type listed struct {
	there     bool
	size      int64
	written   time.Time
	condemned time.Time
}

func (s *Store) listPacks(ctx context.Context) (map[string]listed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all, prefix := map[string]listed{}, s.prefixed(packs)
	for o := range s.client.ListObjects(ctx, s.o.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, o.Err)
		}
		name, mark := strings.CutSuffix(strings.TrimPrefix(o.Key, prefix), condemned)
		if !packName.MatchString(name) {
			continue // none of ours
		}
		l := all[name]
		if mark {
			l.condemned = o.LastModified
		} else {
			l.there, l.size, l.written = true, o.Size, o.LastModified
		}
		all[name] = l
	}
	return all, ctx.Err()
}

// refresh makes the shelf what the bucket has now: one request for a thousand packs, and one for each pack that is new.
func (s *Store) refresh(ctx context.Context) error {
	h := &s.shelf
	h.listing.Lock()
	defer h.listing.Unlock()
	h.mu.Lock()
	h.round++
	round := h.round
	h.mu.Unlock()
	all, err := s.listPacks(ctx)
	if err != nil {
		return err
	}
	fresh, err := s.readIndexes(ctx, all)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	worse := false
	for name, p := range h.packs {
		l := all[name]
		if !l.there && p.round < round {
			delete(h.packs, name)
			worse = true
		}
		if l.there {
			p.written = l.written
		}
		if p.condemned.IsZero() && !l.condemned.IsZero() {
			p.condemned, worse = l.condemned, true
		}
	}
	for _, p := range fresh {
		if _, there := h.packs[p.name]; there {
			continue // learned in the meantime
		}
		p.written, p.condemned, p.round = all[p.name].written, all[p.name].condemned, round-1
		h.add(p)
	}
	if worse {
		h.rebuild()
	}
	h.listed = true
	return nil
}

// readIndexes reads the indexes of packs that are not on the shelf.
func (s *Store) readIndexes(ctx context.Context, all map[string]listed) (fresh []*pack, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var reading sync.WaitGroup
	for name, l := range all {
		s.shelf.mu.RLock()
		_, there := s.shelf.packs[name]
		s.shelf.mu.RUnlock()
		if there || !l.there {
			continue
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			reading.Wait()
			return nil, context.Cause(ctx)
		}
		reading.Go(func() {
			defer func() { <-s.slots }()
			p, err := s.readIndex(ctx, name, l.size)
			if errors.Is(err, artifact.ErrNotFound) {
				return // removed in the meantime
			}
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			fresh = append(fresh, p)
		})
	}
	reading.Wait()
	return fresh, context.Cause(ctx)
}

// readIndex reads the index of a pack, which has the length that its name says.
func (s *Store) readIndex(ctx context.Context, name string, size int64) (*pack, error) {
	p := &pack{name: name}
	length, err := strconv.ParseInt(name[strings.IndexByte(name, '-')+1:], 10, 64)
	if err == nil && length <= min(size, mostIndex) {
		b, err := s.part(ctx, p, size-length, length)
		if err != nil && !errors.Is(err, artifact.ErrCorrupt) {
			return nil, err
		}
		index, ok := frame.ParseIndex(b)
		if err == nil && ok && nameOf(b) == name && index.Size == size-length && index.Sound() {
			p.salt, p.size, p.entries = index.Salt, index.Size, index.Entries
			return p, nil
		}
	}
	p.damaged = fmt.Errorf("%w: the index of the pack %s is damaged; what only it holds cannot be read", artifact.ErrCorrupt, s.prefixed(packs+name))
	return p, nil
}

// part reads some bytes of a pack.
func (s *Store) part(ctx context.Context, p *pack, offset, length int64) ([]byte, error) {
	b := make([]byte, length)
	return b, s.partInto(ctx, p, offset, b)
}
