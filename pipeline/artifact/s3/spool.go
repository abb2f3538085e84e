package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// Frames that are needed together are read together: what lies between two of them is read along when it is short, up to a
// length that is no burden to hold.
const (
	mostGap  = 64 << 10
	mostSpan = 4 << 20
)

// span is a part of a pack in which frames are needed.
type span struct {
	pack          *pack
	offset, end   int64
	frames        []place
	spooledOffset int64
}

// spans joins places, in packs and behind each other, to as few parts as they need.
func spans(places []place) (all []span) {
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.pack.name, b.pack.name), cmp.Compare(a.offset, b.offset))
	})
	for _, at := range places {
		offset, end := int64(at.offset), int64(at.offset)+int64(at.length)
		if n := len(all); n > 0 {
			last := &all[n-1]
			if last.pack == at.pack && offset-last.end <= mostGap && end-last.offset <= mostSpan {
				last.end, last.frames = end, append(last.frames, at)
				continue
			}
		}
		all = append(all, span{pack: at.pack, offset: offset, end: end, frames: []place{at}})
	}
	return all
}

// extract lays an artifact out. What it needs of packs is read before, in few requests, into a file beside the folder that
// has no name, and so ends with this process.
func (s *Store) extract(ctx context.Context, m artifact.Manifest, dir string, limits artifact.Limits) error {
	if err := m.Check(limits); err != nil {
		return err
	}
	spool, err := s.spool(ctx, m, dir)
	if err != nil {
		return err
	}
	defer spool.close()
	return artifact.Lay(ctx, m, dir, limits, func(d pipeline.Digest) (io.ReadCloser, error) {
		if content, ok := spool.read(d); ok {
			return io.NopCloser(bytes.NewReader(content)), nil
		}
		return s.open(ctx, d)
	})
}

// spool has frames of packs on the disk. What it does not have, or is damaged, is for the bucket to give.
type spool struct {
	store  *Store
	file   *os.File
	mu     sync.Mutex
	frames map[frame.Key]spooled
}

type spooled struct {
	place
	at int64 // in the file
}

// fewFrames are read one by one.
const fewFrames = 4

func (s *Store) spool(ctx context.Context, m artifact.Manifest, dir string) (*spool, error) {
	to := &spool{store: s, frames: map[frame.Key]spooled{}}
	seen := map[frame.Key]bool{}
	keys := map[place]frame.Key{}
	var places []place
	for _, f := range m.Files {
		sum, ok := frame.ParseDigest(f.Digest)
		if k := frame.KeyOf(sum); ok && !seen[k] {
			seen[k] = true
			if at, ok := s.shelf.find(k); ok {
				places, keys[at] = append(places, at), k
			}
		}
	}
	if len(places) <= fewFrames {
		return to, nil
	}
	file, err := os.CreateTemp(filepath.Dir(dir), ".conveyor-packs-*")
	if err != nil {
		return nil, err
	}
	to.file = file
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	var reading sync.WaitGroup
	at := int64(0)
	for _, part := range spans(places) {
		part.spooledOffset = at
		at += part.end - part.offset
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		reading.Go(func() {
			defer func() { <-s.slots }()
			b, err := s.part(ctx, part.pack, part.offset, part.end-part.offset)
			if err == nil {
				_, err = file.WriteAt(b, part.spooledOffset)
			}
			if err != nil {
				return // each of them is asked for when its turn comes, and says what is wrong
			}
			to.mu.Lock()
			defer to.mu.Unlock()
			for _, f := range part.frames {
				to.frames[keys[f]] = spooled{f, part.spooledOffset + int64(f.offset) - part.offset}
			}
		})
	}
	reading.Wait()
	if ctx.Err() != nil {
		to.close()
		return nil, context.Cause(ctx)
	}
	return to, nil
}

// read gives a content that is whole and proven.
func (f *spool) read(d pipeline.Digest) ([]byte, bool) {
	sum, ok := frame.ParseDigest(d)
	if !ok {
		return nil, false
	}
	at, ok := f.frames[frame.KeyOf(sum)]
	if !ok {
		return nil, false
	}
	stored := make([]byte, at.length)
	if _, err := f.file.ReadAt(stored, at.at); err != nil {
		return nil, false
	}
	content, err := f.store.prove(at.pack, stored, sum)
	return content, err == nil
}

func (f *spool) close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}
