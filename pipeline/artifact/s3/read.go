package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// open opens a content by its digest. A short one is proven before its first byte is handed out; of a long one the last
// chunk is held back until the whole is proven.
func (s *Store) open(ctx context.Context, d pipeline.Digest) (io.ReadCloser, error) {
	sum, err := parse(d)
	if err != nil {
		return nil, err
	}
	if err := s.once(ctx); err != nil {
		return nil, err
	}
	r, err := s.openKnown(ctx, sum)
	if !errors.Is(err, artifact.ErrNotFound) {
		return r, err
	}
	if err := s.refresh(ctx); err != nil { // another server may have stored it
		return nil, err
	}
	content, err := s.packed(ctx, sum)
	if err == nil {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	if damaged := s.shelf.damaged(); damaged != nil && errors.Is(err, artifact.ErrNotFound) {
		err = damaged // it may be there, and who removes what is not needed must not take it for gone
	}
	return nil, err
}

func (s *Store) openKnown(ctx context.Context, sum sum256) (io.ReadCloser, error) {
	content, err := s.packed(ctx, sum)
	if errors.Is(err, artifact.ErrNotFound) {
		content, err = s.read(ctx, sum)
	}
	if err == nil {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	if !errors.Is(err, artifact.ErrNotFound) {
		return nil, err
	}
	parts, err := s.parts(ctx, sum)
	if err != nil {
		return nil, err
	}
	return &long{ctx: ctx, store: s, want: sum, parts: parts, sum: sha256.New()}, nil
}

// once lists the packs if that was never done.
func (s *Store) once(ctx context.Context) error {
	s.shelf.mu.RLock()
	listed := s.shelf.listed
	s.shelf.mu.RUnlock()
	if listed {
		return nil
	}
	return s.refresh(ctx)
}

// packed reads a content from the pack that has it, whole and proven: nothing else of the pack is read. Where the frame is
// damaged, or its pack was removed after its content went elsewhere, other packs are asked.
func (s *Store) packed(ctx context.Context, sum sum256) ([]byte, error) {
	k := frame.KeyOf(sum)
	for try := 1; ; try++ {
		at, ok := s.shelf.find(k)
		if !ok {
			return nil, artifact.ErrNotFound
		}
		stored, err := s.part(ctx, at.pack, int64(at.offset), int64(at.length))
		var content []byte
		if err == nil {
			content, err = s.prove(at.pack, stored, sum)
		}
		switch {
		case err == nil || try == tries:
			return content, err
		case errors.Is(err, artifact.ErrNotFound):
			if err := s.refresh(ctx); err != nil {
				return nil, err
			}
		case errors.Is(err, artifact.ErrCorrupt):
			s.shelf.spoil(k, at.pack)
			if other, _ := s.shelf.find(k); other.pack == at.pack {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// prove takes a content out of its frame.
func (s *Store) prove(p *pack, stored []byte, sum sum256) ([]byte, error) {
	h, payload, err := s.parseFrame(p, stored)
	if err != nil {
		return nil, err
	}
	content, err := s.decoder.Decode(h, payload)
	if err != nil {
		return nil, s.broken(p, sum, err.Error())
	}
	if h.Digest != sum || sha256.Sum256(content) != sum {
		return nil, s.broken(p, sum, "the frame holds something else")
	}
	return content, nil
}

// parseFrame takes a whole frame apart, whose checksums are right.
func (s *Store) parseFrame(p *pack, stored []byte) (frame.Head, []byte, error) {
	h, ok := frame.Parse(stored, p.salt)
	if !ok || len(stored) != frame.HeadSize+int(h.Stored) {
		return h, nil, fmt.Errorf("%w: the head of a frame in the pack %s is damaged", artifact.ErrCorrupt, s.prefixed(packs+p.name))
	}
	payload := stored[frame.HeadSize:]
	if frame.Checksum(payload) != h.Sum {
		return h, nil, s.broken(p, h.Digest, "the frame's payload is damaged")
	}
	return h, payload, nil
}

func (s *Store) broken(p *pack, sum sum256, how string) error {
	return fmt.Errorf("%w: %s in the pack %s: %s", artifact.ErrCorrupt, frame.DigestOf(sum), s.prefixed(packs+p.name), how)
}

// partInto fills b with the bytes of a pack from an offset on.
func (s *Store) partInto(ctx context.Context, p *pack, offset int64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var o minio.GetObjectOptions
	if err := o.SetRange(offset, offset+int64(len(b))-1); err != nil {
		return err
	}
	name := s.prefixed(packs + p.name)
	r, _, _, err := minio.Core{Client: s.client}.GetObject(ctx, s.o.Bucket, name, o)
	if err == nil {
		_, err = io.ReadFull(r, b)
		err = errors.Join(err, r.Close())
	}
	switch said := minio.ToErrorResponse(err); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case said.Code == minio.NoSuchKey:
		return artifact.ErrNotFound
	case said.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: the pack %s is too short", artifact.ErrCorrupt, name)
	}
	return fmt.Errorf("read the pack %s: %w", name, err)
}
