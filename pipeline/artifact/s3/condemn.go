package s3

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

const (
	wasteful  = 4 // a quarter
	mergeFrom = 8
)

// A pack is removed in two steps, so that no Put ever relies on one that goes:
//
//  1. What is needed of it is copied to a new pack. Then it gets a mark: it is condemned.
//  2. When the mark has been there for the grace, what has come to be needed of it since is copied as well. Then it is removed.
//
// A Put lists packs and marks when it begins, and does not rely on what is condemned. One that listed before the mark was
// there has ended a day after it at the latest, and what it has stored is named a day later: a Collect that begins then knows
// it. So neither the order of requests of several servers matters, nor how long one of them stands still, nor where it dies:
// all that is left is a pack too many, or a mark, and the next Collect goes on from there.
//
// Condemned is a pack of which nothing is needed, or that is wasteful, or that is one of many small ones; and that is older
// than the grace, for who has stored it may not have named it yet.
type condemning struct {
	store  *Store
	needed map[frame.Key]bool
	before time.Time // a grace before it was asked what is needed; what is younger stays

	home    map[frame.Key]*pack // which pack is to keep what is needed
	leaving map[string]*pack
	kept    []error // about packs that must stay although they should go
}

// condemn removes packs, or what they waste.
func (c *condemning) condemn(ctx context.Context) (done artifact.Collected, err error) {
	c.choose()
	if err := c.move(ctx); err != nil {
		return done, err
	}
	s := c.store
	for _, name := range slices.Sorted(maps.Keys(c.leaving)) {
		if !c.marked(name).IsZero() {
			continue
		}
		err := s.write(ctx, object{s.prefixed(packs + name + condemned), nil, sha256.Sum256(nil)}, true)
		switch status := minio.ToErrorResponse(err).StatusCode; {
		case err == nil, status == http.StatusPreconditionFailed, status == http.StatusConflict: // another has just done it
		default:
			return done, fmt.Errorf("artifact/s3: condemn the pack %s: %w", name, err)
		}
	}
	done, err = c.remove(ctx)
	return done, errors.Join(append(c.kept, err, s.refresh(ctx))...)
}

func (c *condemning) marked(name string) time.Time {
	h := &c.store.shelf
	h.mu.RLock()
	defer h.mu.RUnlock()
	return c.leaving[name].condemned
}

// choose finds a home for all that is needed, and the packs that are to go.
func (c *condemning) choose() {
	h := &c.store.shelf
	h.mu.RLock()
	defer h.mu.RUnlock()
	var small []*pack
	for _, p := range slices.SortedFunc(maps.Values(h.packs), func(a, b *pack) int { return cmp.Compare(a.name, b.name) }) {
		if !p.condemned.IsZero() {
			c.leaving[p.name] = p
			continue
		}
		useful := int64(0)
		p.each(func(e frame.Entry, length uint32) {
			if c.needed[e.Key] && c.home[e.Key] == nil && !p.bad[e.Key] {
				c.home[e.Key] = p
				useful += int64(length)
			}
		})
		switch {
		case p.written.IsZero() || !p.written.Before(c.before): // it may be needed soon
		case useful == 0 || useful < p.size-p.size/c.store.wasteful:
			c.leaving[p.name] = p
		case p.size < int64(c.store.packSize/4):
			small = append(small, p)
		}
	}
	if len(small) >= c.store.mergeFrom {
		for _, p := range small {
			c.leaving[p.name] = p
		}
	}
}

// move copies what is needed and has no other home to new packs. They are there when it returns.
func (c *condemning) move(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sending sync.WaitGroup
	packer := c.store.packer(func(name string, do func() error) {
		sending.Go(func() {
			if err := do(); err != nil {
				cancel(fmt.Errorf("artifact/s3: nothing is removed, because %s was not stored: %w", name, err))
			}
		})
	})
	moved := map[frame.Key]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.leaving)) {
		p := c.leaving[name]
		if err := c.movePack(ctx, p, packer, moved); errors.Is(err, artifact.ErrCorrupt) {
			c.kept = append(c.kept, fmt.Errorf("artifact/s3: the pack %s is not removed: %w", name, err))
			delete(c.leaving, name)
		} else if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			cancel(err)
		}
	}
	packer.rest(ctx)
	sending.Wait()
	return context.Cause(ctx)
}

func (c *condemning) movePack(ctx context.Context, p *pack, packer *packer, moved map[frame.Key]bool) error {
	var places []place
	keys := map[place]frame.Key{}
	p.each(func(e frame.Entry, length uint32) {
		home := c.home[e.Key]
		if c.needed[e.Key] && !moved[e.Key] && (home == nil || c.leaving[home.name] != nil) {
			at := place{p, e.Offset, length}
			places, keys[at] = append(places, at), e.Key
		}
	})
	var damage error
	for _, part := range spans(places) {
		b, err := c.store.part(ctx, p, part.offset, part.end-part.offset)
		if err != nil {
			return err
		}
		for _, at := range part.frames {
			stored := b[int64(at.offset)-part.offset:][:at.length]
			h, payload, err := c.store.parseFrame(p, stored)
			if err == nil && frame.KeyOf(h.Digest) != keys[at] {
				err = c.store.broken(p, h.Digest, "the index names another frame there")
			}
			if err != nil {
				c.store.shelf.spoil(keys[at], p)
				damage = err
				continue
			}
			if err := packer.add(ctx, h, payload); err != nil {
				return err
			}
			moved[keys[at]] = true
		}
	}
	return damage
}

// remove removes the packs that were condemned a grace before it was known what is needed; and marks of which the pack is
// gone.
func (c *condemning) remove(ctx context.Context) (done artifact.Collected, err error) {
	s := c.store
	all, err := s.listPacks(ctx)
	if err != nil {
		return done, fmt.Errorf("artifact/s3: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		l := all[name]
		if l.condemned.IsZero() || !l.condemned.Before(c.before) || l.there && c.leaving[name] == nil {
			continue
		}
		// The pack goes before its mark: a pack without one would be relied on.
		for _, object := range []string{packs + name, packs + name + condemned} {
			if err := s.client.RemoveObject(ctx, s.o.Bucket, s.prefixed(object), minio.RemoveObjectOptions{}); err != nil {
				return done, fmt.Errorf("artifact/s3: remove %s: %w", object, err)
			}
		}
		if l.there {
			done.Objects, done.Bytes = done.Objects+1, done.Bytes+l.size
		}
	}
	return done, nil
}
