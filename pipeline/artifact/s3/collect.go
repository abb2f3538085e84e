package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

var _ artifact.Collector = (*Store)(nil)

// Collect is artifact.Collector's. It goes by the bucket's own time of each object. What a Put finds there it writes again
// when it is not young, so that between the age at which that happens and the grace there is a day at least, in which no
// Put relies on an object that could be removed.
func (s *Store) Collect(ctx context.Context, keep []pipeline.Digest, grace time.Duration) (artifact.Collected, error) {
	grace = max(grace, artifact.MinGrace)
	needed, err := artifact.Needed(ctx, s, keep)
	if err != nil {
		return artifact.Collected{}, err
	}
	names := map[string]bool{}
	for d := range needed {
		sum, err := parse(d)
		if err != nil {
			return artifact.Collected{}, err
		}
		names[s.name(blob, sum)], names[s.name(list, sum)] = true, true
		parts, err := s.parts(ctx, sum)
		if errors.Is(err, artifact.ErrNotFound) {
			continue // it is short
		}
		if err != nil {
			return artifact.Collected{}, fmt.Errorf("artifact/s3: nothing is removed: %w", err)
		}
		for _, part := range parts {
			names[s.name(blob, part)] = true
		}
	}
	return s.sweep(ctx, names, s.o.Now().Add(-grace))
}

// sweep removes objects of ours that are not named and older than a time. Those of others are left alone.
func (s *Store) sweep(ctx context.Context, names map[string]bool, before time.Time) (done artifact.Collected, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the listing, too
	defer cancel()
	for _, kind := range []string{list, blob} { // a list goes before what it lists
		prefix := strings.TrimSuffix(s.name(kind, sum256{}), hex.EncodeToString(make([]byte, len(sum256{}))))
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
