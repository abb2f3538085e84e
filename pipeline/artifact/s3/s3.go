// Package s3 keeps artifacts in a bucket that speaks S3.
//
// Content goes into one object for each digest, under its own SHA-256. What is longer than a chunk is cut into chunks, each
// an object of its own, and has a list of them. So nothing is ever sent twice: what is there already is not sent again, and
// an upload that was cut off goes on where it was, at the next chunk. An object is written only where none is (If-None-Match),
// and never changed.
//
// What is read is checked against its SHA-256 before it is believed; the bucket is not trusted. Several servers may use
// one bucket. Start reading at Store, then put.go; collect.go removes what nobody needs.
//
//	PREFIX/blob/<sha256>  a content of at most one chunk, or a chunk
//	PREFIX/list/<sha256>  of a longer content: its size, then the SHA-256 of each chunk
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// Options say where the bucket is.
type Options struct {
	Endpoint    string // HOST or HOST:PORT
	Insecure    bool   // http, and not https
	Bucket      string
	Prefix      string // of all names, without slashes at its ends; may be empty
	Region      string // empty asks the server
	KeyID       string // empty asks the cloud's metadata service for a role
	Secret      string
	Transport   http.RoundTripper // nil is a plain one
	Now         func() time.Time  // to tell how old an object is
	Concurrency int               // requests at once; 0 means 16
}

// Store is an artifact.Store. Make it with Open.
type Store struct {
	client *minio.Client
	o      Options
	chunk  int
	slots  chan struct{}

	// mu is held for reading by each Put, and for writing while objects are removed: what a Put has found there stays.
	mu sync.RWMutex
}

var _ artifact.Store = (*Store)(nil)

// chunkSize is the most that one object holds, and the most of a long file that an upload which was cut off sends twice.
const chunkSize = 8 << 20

// Open asks whether the bucket can be used.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	o.Prefix = strings.Trim(o.Prefix, "/")
	c := credentials.NewStaticV4(o.KeyID, o.Secret, "")
	if o.KeyID == "" {
		c = credentials.NewIAM("")
	}
	client, err := minio.New(o.Endpoint, &minio.Options{Creds: c, Secure: !o.Insecure, Region: o.Region, Transport: o.Transport, MaxRetries: 5})
	if err != nil {
		return nil, fmt.Errorf("artifact/s3: %s: %w", o.Endpoint, err)
	}
	s := &Store{client: client, o: o, chunk: chunkSize, slots: make(chan struct{}, o.Concurrency)}
	there, err := client.BucketExists(ctx, o.Bucket)
	if err != nil {
		return nil, fmt.Errorf("artifact/s3: ask %s for the bucket %s: %w", o.Endpoint, o.Bucket, err)
	}
	if !there {
		return nil, fmt.Errorf("artifact/s3: %s has no bucket %s; make it, private and with no rule that removes objects", o.Endpoint, o.Bucket)
	}
	return s, nil
}

type sum256 = [sha256.Size]byte

const (
	blob = "blob/"
	list = "list/"
)

func (s *Store) name(kind string, sum sum256) string {
	name := kind + hex.EncodeToString(sum[:])
	if s.o.Prefix != "" {
		name = s.o.Prefix + "/" + name
	}
	return name
}

func parse(d pipeline.Digest) (sum sum256, err error) {
	if !d.Valid() {
		return sum, fmt.Errorf("%w: not a digest", artifact.ErrNotFound)
	}
	_, err = hex.Decode(sum[:], []byte(strings.TrimPrefix(string(d), "sha256:")))
	return sum, err
}

func digestOf(sum sum256) pipeline.Digest {
	return pipeline.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Manifest is artifact.Store's.
func (s *Store) Manifest(ctx context.Context, digest pipeline.Digest) (artifact.Manifest, error) {
	m, err := s.manifest(ctx, digest)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/s3: read the manifest %q: %w", digest, err)
	}
	return m, nil
}

func (s *Store) manifest(ctx context.Context, digest pipeline.Digest) (artifact.Manifest, error) {
	r, err := s.open(ctx, digest)
	if err != nil {
		return artifact.Manifest{}, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, artifact.MaxManifest+1))
	if err != nil {
		return artifact.Manifest{}, err
	}
	return artifact.Decode(b)
}

// Open is artifact.Store's.
func (s *Store) Open(ctx context.Context, file pipeline.Digest) (io.ReadCloser, error) {
	r, err := s.open(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("artifact/s3: open %q: %w", file, err)
	}
	return r, nil
}

// Extract is artifact.Store's.
func (s *Store) Extract(ctx context.Context, digest pipeline.Digest, dir string, limits artifact.Limits) (artifact.Manifest, error) {
	m, err := s.manifest(ctx, digest)
	if err == nil {
		err = artifact.Lay(ctx, m, dir, limits, func(d pipeline.Digest) (io.ReadCloser, error) { return s.open(ctx, d) })
	}
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/s3: lay out %q: %w", digest, err)
	}
	return m, nil
}

// open opens a content by its digest. A short one is proven before its first byte is handed out; of a long one the last
// chunk is held back until the whole is proven.
func (s *Store) open(ctx context.Context, d pipeline.Digest) (io.ReadCloser, error) {
	sum, err := parse(d)
	if err != nil {
		return nil, err
	}
	content, err := s.read(ctx, sum)
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

// read reads a blob, whole and proven.
func (s *Store) read(ctx context.Context, sum sum256) ([]byte, error) {
	content, err := s.object(ctx, s.name(blob, sum))
	if err == nil && sha256.Sum256(content) != sum {
		err = fmt.Errorf("%w: %s", artifact.ErrCorrupt, digestOf(sum))
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
		return nil, fmt.Errorf("%w: the list of %s", artifact.ErrCorrupt, digestOf(sum))
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
		err = fmt.Errorf("%w: a part of %s is missing", artifact.ErrCorrupt, digestOf(l.want))
	}
	if err != nil {
		return err
	}
	l.parts = l.parts[1:]
	l.sum.Write(chunk)
	if len(l.parts) == 0 && sum256(l.sum.Sum(nil)) != l.want {
		return fmt.Errorf("%w: %s", artifact.ErrCorrupt, digestOf(l.want))
	}
	l.chunk = chunk
	return nil
}

func (l *long) Close() error {
	l.err, l.chunk = io.ErrClosedPipe, nil
	return nil
}
