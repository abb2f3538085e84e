package dir

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

var _ artifact.Collector = (*Store)(nil)

// wasteful is the part of a pack that must be of no use for the rest to be moved and its room to be given back.
const wasteful = 4 // a quarter

// Collect is artifact.Collector's. What is not needed leaves the index at once. A pack of which much is not needed is
// emptied: what is needed moves to the last pack, and the file is cut to nothing; it stays, so that packs keep their numbers.
//
// What a Put of this process has stored or found within the grace counts as needed. No other process stores anything here,
// and what an earlier one has stored is named by the journal, or by nobody ever.
func (s *Store) Collect(ctx context.Context, keep []pipeline.Digest, grace time.Duration) (done artifact.Collected, err error) {
	needed, err := artifact.Needed(ctx, s, keep)
	if err != nil {
		return done, err
	}
	keys, err := s.needs(needed)
	if err != nil {
		return done, fmt.Errorf("artifact/dir: nothing is removed: %w", err)
	}
	since := s.now().Add(-max(grace, artifact.MinGrace))
	s.mu.RLock()
	packs := len(s.packs)
	s.mu.RUnlock()
	for i := range packs {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		one, err := s.collectPack(i, keys, since)
		done.Objects, done.Bytes = done.Objects+one.Objects, done.Bytes+one.Bytes
		if err != nil {
			return done, fmt.Errorf("artifact/dir: remove what is not needed: %w", err)
		}
	}
	return done, nil
}

// needs are the keys of all frames that contents consist of. A content that is not there needs nothing.
func (s *Store) needs(contents map[pipeline.Digest]bool) (map[key]bool, error) {
	keys := map[key]bool{}
	for d := range contents {
		digest, ok := frame.ParseDigest(d)
		if !ok {
			return nil, fmt.Errorf("%q is not a digest", d)
		}
		keys[frame.KeyOf(digest)] = true
		h, payload, err := s.frame(digest, s.borrow())
		s.giveBack(payload)
		if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
			continue // it cannot be read any more; what is left of it harms nobody
		}
		if err != nil {
			return nil, err
		}
		if h.Kind != list {
			continue
		}
		_, names, err := s.read(digest)
		if err != nil {
			return nil, err
		}
		for names = names[min(8, len(names)):]; len(names) >= sha256.Size; names = names[sha256.Size:] {
			keys[key(names[:16])] = true
		}
	}
	return keys, nil
}

// entry is a frame of a pack.
type entry struct {
	key key
	at  place
}

// collectPack does one pack, while no Put is under way.
func (s *Store) collectPack(i int, needed map[key]bool, since time.Time) (done artifact.Collected, err error) {
	s.puts.Lock()
	defer s.puts.Unlock()
	var kept, dead []entry
	s.mu.Lock()
	if s.broken != nil {
		s.mu.Unlock()
		return done, s.broken
	}
	if err := s.flush(); err != nil {
		s.mu.Unlock()
		return done, err
	}
	for k, at := range s.index {
		switch {
		case at.number() != i:
		case needed[k] || !s.recent[k].Before(since):
			kept = append(kept, entry{k, at})
		default:
			dead = append(dead, entry{k, at})
		}
	}
	s.forget(since)
	p := s.packs[i]
	s.mu.Unlock()
	if len(dead) == 0 && (len(kept) > 0 || p.size == 0) {
		return done, nil
	}
	useful, err := s.stored(p, kept)
	if err != nil {
		return done, err
	}
	if done.Bytes, err = s.stored(p, dead); err != nil {
		return done, err
	}
	done.Objects = len(dead)
	s.mu.Lock()
	for _, e := range dead {
		if s.index[e.key] == e.at {
			delete(s.index, e.key)
		}
	}
	s.mu.Unlock()
	if useful > p.size-p.size/wasteful {
		s.mu.Lock()
		s.writeIndex(i)
		s.mu.Unlock()
		return done, nil
	}
	return done, s.empty(i, kept)
}

// stored is how many bytes frames have in their pack.
func (s *Store) stored(p *pack, entries []entry) (n int64, err error) {
	for _, e := range entries {
		var b [headSize]byte
		if err := readAt(p, b[:], int64(e.at.offset)); err != nil {
			return 0, err
		}
		if h, ok := frame.Parse(b[:], p.salt); ok {
			n += headSize + int64(h.Stored)
		}
	}
	return n, nil
}

// empty moves what is kept of a pack to the last one, and gives its room back once that is on the disk. A frame that is
// damaged keeps its pack as it is.
func (s *Store) empty(i int, kept []entry) error {
	slices.SortFunc(kept, func(a, b entry) int { return cmp.Compare(a.at.offset, b.at.offset) })
	s.mu.Lock()
	var err error
	if i == len(s.packs)-1 {
		err = s.roll()
	}
	round := s.round
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for _, e := range kept {
		h, payload, err := s.frameAt(s.packs[i], int64(e.at.offset), s.borrow())
		if err == nil {
			err = s.move(e, h, payload, round)
		}
		s.giveBack(payload)
		if errors.Is(err, artifact.ErrCorrupt) {
			s.log.Error("artifact pack: it is not emptied, because a frame in it is damaged", "pack", s.packs[i].name, "err", err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	if err := s.commit(round); err != nil {
		return err
	}
	s.moving.Lock()
	defer s.moving.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packs[i]
	if err := os.Remove(s.path(p, indexEnding)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	p.size = 0
	return nil
}

// move adds a frame to the last pack, in place of the one that it was read from.
func (s *Store) move(e entry, h head, payload []byte, round uint64) error {
	s.mu.Lock()
	if s.index[e.key] == e.at {
		s.index[e.key] = place{e.at.pack &^ proven, e.at.offset} // so that it is added again
	}
	s.mu.Unlock()
	return s.append(h, payload, round)
}
