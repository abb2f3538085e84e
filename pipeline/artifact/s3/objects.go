package s3

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// read reads a blob, whole and proven.
func (s *Store) read(ctx context.Context, sum sum256) ([]byte, error) {
	content, err := s.object(ctx, s.name(blob, sum))
	if err == nil && sha256.Sum256(content) != sum {
		err = fmt.Errorf("%w: %s", artifact.ErrCorrupt, frame.DigestOf(sum))
	}
	return content, err
}

// parts reads a list. It is believed only as far as the whole that it gives has the digest.
func (s *Store) parts(ctx context.Context, sum sum256) (parts []sum256, err error) {
	data, err := s.object(ctx, s.name(list, sum))
	if err != nil {
		return nil, err
	}
	if len(data) <= 8 || (len(data)-8)%sha256.Size != 0 || binary.LittleEndian.Uint64(data) == 0 {
		return nil, fmt.Errorf("%w: the list of %s", artifact.ErrCorrupt, frame.DigestOf(sum))
	}
	for data = data[8:]; len(data) > 0; data = data[sha256.Size:] {
		parts = append(parts, sum256(data))
	}
	return parts, nil
}

// object reads an object that is no longer than one of ours may be.
func (s *Store) object(ctx context.Context, name string) ([]byte, error) {
	o, err := s.client.GetObject(ctx, s.o.Bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	data, err := io.ReadAll(io.LimitReader(o, chunkSize+1))
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, artifact.ErrNotFound
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil && len(data) > chunkSize {
		err = fmt.Errorf("%w: %s is larger than anything that is stored", artifact.ErrCorrupt, name)
	}
	return data, err
}

// long reads a content chunk by chunk.
type long struct {
	ctx   context.Context
	store *Store
	want  sum256
	parts []sum256 // still to come
	sum   hash.Hash
	chunk []byte // what is left of the current one
	err   error
}

func (l *long) Read(p []byte) (int, error) {
	for len(l.chunk) == 0 && l.err == nil {
		l.err = l.next()
	}
	if l.err != nil {
		return 0, l.err
	}
	n := copy(p, l.chunk)
	l.chunk = l.chunk[n:]
	return n, nil
}

func (l *long) next() error {
	if len(l.parts) == 0 {
		return io.EOF
	}
	chunk, err := l.store.read(l.ctx, l.parts[0])
	if errors.Is(err, artifact.ErrNotFound) {
		err = fmt.Errorf("%w: a part of %s is missing", artifact.ErrCorrupt, frame.DigestOf(l.want))
	}
	if err != nil {
		return err
	}
	l.parts = l.parts[1:]
	l.sum.Write(chunk)
	if len(l.parts) == 0 && sum256(l.sum.Sum(nil)) != l.want {
		return fmt.Errorf("%w: %s", artifact.ErrCorrupt, frame.DigestOf(l.want))
	}
	l.chunk = chunk
	return nil
}

func (l *long) Close() error {
	l.err, l.chunk = io.ErrClosedPipe, nil
	return nil
}
