package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

var _ artifact.Collector = (*Store)(nil)

// Collect is artifact.Collector's. It goes by the bucket's own time of each object. Of packs, condemning tells how.
//
// What a Put finds of other objects it writes again when it is not young, so that between the age at which that happens and
// the grace there is a day at least, in which no Put relies on an object that could be removed.
func (s *Store) Collect(ctx context.Context, keep []pipeline.Digest, grace time.Duration) (artifact.Collected, error) {
	start := s.o.Now()
	before := start.Add(-max(grace, artifact.MinGrace))
	if err := s.refresh(ctx); err != nil {
		return artifact.Collected{}, fmt.Errorf("artifact/s3: nothing is removed: %w", err)
	}
	needed, err := artifact.Needed(ctx, s, keep)
	if err != nil {
		return artifact.Collected{}, err
	}
	lists, err := s.lists(ctx)
	if err != nil {
		return artifact.Collected{}, err
	}
	names, keys := map[string]bool{}, map[frame.Key]bool{}
	for d := range needed {
		sum, err := parse(d)
		if err != nil {
			return artifact.Collected{}, err
		}
		keys[frame.KeyOf(sum)] = true
		names[s.name(blob, sum)], names[s.name(list, sum)] = true, true
		if !lists[s.name(list, sum)] {
			if err := s.accounted(ctx, sum); err != nil {
				return artifact.Collected{}, fmt.Errorf("artifact/s3: nothing is removed: %w", err)
			}
			continue // it is short
		}
		parts, err := s.parts(ctx, sum)
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return artifact.Collected{}, fmt.Errorf("artifact/s3: nothing is removed: %w", err)
		}
		for _, part := range parts {
			names[s.name(blob, part)] = true
		}
	}
	done, err := s.sweep(ctx, names, before)
	if err != nil {
		return done, err
	}
	c := &condemning{store: s, needed: keys, before: before, home: map[frame.Key]*pack{}, leaving: map[string]*pack{}}
	removed, err := c.condemn(ctx)
	done.Objects, done.Bytes = done.Objects+removed.Objects, done.Bytes+removed.Bytes
	return done, err
}

// lists are the names of all lists.
func (s *Store) lists(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := map[string]bool{}
	for o := range s.client.ListObjects(ctx, s.o.Bucket, minio.ListObjectsOptions{Prefix: s.prefixed(list), Recursive: true}) {
		if o.Err != nil {
			return nil, fmt.Errorf("artifact/s3: list %s: %w", s.prefixed(list), o.Err)
		}
		all[o.Key] = true
	}
	return all, ctx.Err()
}

// accounted fails where a content may be in a pack of which nobody knows what it holds.
func (s *Store) accounted(ctx context.Context, sum sum256) error {
	damaged := s.shelf.damaged()
	if damaged == nil {
		return nil
	}
	if _, ok := s.shelf.find(frame.KeyOf(sum)); ok {
		return nil
	}
	_, err := s.client.StatObject(ctx, s.o.Bucket, s.name(blob, sum), minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return damaged
	}
	return err
}

// sweep removes objects of ours that are not named and older than a time. Those of others are left alone.
func (s *Store) sweep(ctx context.Context, names map[string]bool, before time.Time) (done artifact.Collected, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the listing, too
	defer cancel()
	for _, kind := range []string{list, blob} { // a list goes before what it lists
		prefix := s.prefixed(kind)
		for o := range s.client.ListObjects(ctx, s.o.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			if o.Err != nil {
				return done, fmt.Errorf("artifact/s3: list %s: %w", prefix, o.Err)
			}
			if names[o.Key] || !ours(strings.TrimPrefix(o.Key, prefix)) || !o.LastModified.Before(before) {
				continue
			}
			removed, err := s.remove(ctx, o.Key, before)
			if err != nil {
				return done, err
			}
			if removed {
				done.Objects, done.Bytes = done.Objects+1, done.Bytes+o.Size
			}
		}
	}
	return done, nil
}

// remove asks once more for the age of what was listed a while ago, and then removes it, while no Put of this server is
// under way.
func (s *Store) remove(ctx context.Context, name string, before time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.client.StatObject(ctx, s.o.Bucket, name, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return false, nil
	}
	if err == nil && !info.LastModified.Before(before) {
		return false, nil
	}
	if err == nil {
		err = s.client.RemoveObject(ctx, s.o.Bucket, name, minio.RemoveObjectOptions{})
	}
	if err != nil {
		return false, fmt.Errorf("artifact/s3: remove %s: %w", name, err)
	}
	return true, nil
}

// ours says that a name is one that this package gives.
func ours(name string) bool { return pipeline.Digest("sha256:" + name).Valid() }
