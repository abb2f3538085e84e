package artifact

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Collector is a store that can forget.
type Collector interface {
	// Collect removes what belongs to none of the artifacts that are named, as far as it was not stored within the grace.
	// What they share with others stays, and a store may keep a little of the rest beside it, or for a while. Whatever cannot
	// be found out about one of them ends it before anything is removed; one that is not there names nothing. It may be
	// repeated, and may run while artifacts are stored and read.
	Collect(ctx context.Context, keep []pipeline.Digest, grace time.Duration) (Collected, error)
}

// Collected is what was removed.
type Collected struct {
	Objects int
	Bytes   int64 // as they were stored
}

// MinGrace is the shortest grace that a Collector takes: what is stored now may be named by nothing yet.
const MinGrace = 2 * 24 * time.Hour

// Needed lists the digests of all that artifacts consist of: their manifests, and their files.
func Needed(ctx context.Context, s Store, keep []pipeline.Digest) (map[pipeline.Digest]bool, error) {
	needed := map[pipeline.Digest]bool{}
	for _, digest := range keep {
		if needed[digest] {
			continue
		}
		m, err := s.Manifest(ctx, digest)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("artifact: nothing is removed, because %s cannot be read: %w", digest, err)
		}
		needed[digest] = true
		for _, f := range m.Files {
			if f.Digest != "" {
				needed[f.Digest] = true
			}
		}
	}
	return needed, nil
}
