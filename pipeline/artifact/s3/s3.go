// Package s3 keeps artifacts in a bucket that speaks S3.
//
// Small contents go together, compressed, into packs: for each of them a request of its own would cost more than its bytes.
// A larger content is an object under its own SHA-256. What is longer than a chunk is cut into chunks, each an object of its
// own, and has a list of them. So nothing is sent twice that is known to be there, and an upload that was cut off goes on
// where it was, at the next pack or chunk. No object is ever changed.
//
// What is read is checked against its SHA-256 before it is believed; the bucket is not trusted. Several servers may use
// one bucket. Start reading at Store, then put.go and fill.go; packs.go tells what is known of the packs, collect.go and
// condemn.go remove what nobody needs.
//
//	PREFIX/pack/<sha256 of the index>-<its length>  frames in a row, as package frame tells, and their index
//	PREFIX/pack/<the same>.condemned                empty; the pack is to be removed
//	PREFIX/blob/<sha256>                            a larger content of at most one chunk, or a chunk
//	PREFIX/list/<sha256>                            of a longer content: its size, then the SHA-256 of each chunk
//
// Buckets from before there were packs have small contents under blob/, too.
package s3

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
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
	slots  chan struct{}

	chunk     int   // the most that an object holds that is no pack
	small     int64 // contents up to this many bytes go into packs
	packSize  int   // a pack that has reached it is sent
	wasteful  int64 // of a pack, a part of one in so many may be needed by nobody
	mergeFrom int   // of so many small packs, one is made

	shelf   shelf
	decoder frame.Decoder

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
	decoder, err := frame.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("artifact/s3: %w", err)
	}
	s := &Store{client: client, o: o, chunk: chunkSize, small: frame.Most, packSize: packSize, wasteful: wasteful, mergeFrom: mergeFrom,
		slots: make(chan struct{}, o.Concurrency), decoder: decoder}
	s.shelf.packs, s.shelf.index = map[string]*pack{}, map[frame.Key]place{}
	there, err := client.BucketExists(ctx, o.Bucket)
	if err != nil {
		return nil, fmt.Errorf("artifact/s3: ask %s for the bucket %s: %w", o.Endpoint, o.Bucket, err)
	}
	if !there {
		return nil, fmt.Errorf("artifact/s3: %s has no bucket %s; make it, private and with no rule that removes objects", o.Endpoint, o.Bucket)
	}
	return s, nil
}

type sum256 = frame.Sum

const (
	blob = "blob/"
	list = "list/"
)

func (s *Store) name(kind string, sum sum256) string {
	return s.prefixed(kind + hex.EncodeToString(sum[:]))
}

// prefixed is the whole name of an object.
func (s *Store) prefixed(name string) string {
	if s.o.Prefix != "" {
		name = s.o.Prefix + "/" + name
	}
	return name
}

func parse(d pipeline.Digest) (sum sum256, err error) {
	sum, ok := frame.ParseDigest(d)
	if !ok {
		return sum, fmt.Errorf("%w: not a digest", artifact.ErrNotFound)
	}
	return sum, nil
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
		err = s.extract(ctx, m, dir, limits)
	}
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/s3: lay out %q: %w", digest, err)
	}
	return m, nil
}
