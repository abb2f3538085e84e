package dir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// openObject opens an object by its digest. A short one is verified before the first byte is handed out; of a long one
// the last chunk is held back until the whole is verified.
func (s *Store) openObject(d pipeline.Digest) (io.ReadCloser, error) {
	digest, ok := frame.ParseDigest(d)
	if !ok {
		return nil, fmt.Errorf("%w: not a digest", artifact.ErrNotFound)
	}
	kind, content, err := s.read(digest)
	if err != nil {
		return nil, err
	}
	if kind == blob {
		if sha256.Sum256(content) != digest {
			return nil, fmt.Errorf("%w: %s", artifact.ErrCorrupt, d)
		}
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	if len(content) <= 8 || (len(content)-8)%sha256.Size != 0 { // one chunk at least, or its reader would end unverified
		return nil, fmt.Errorf("%w: %s", artifact.ErrCorrupt, d)
	}
	return &long{store: s, want: digest, size: int64(binary.LittleEndian.Uint64(content)), names: content[8:], sum: sha256.New()}, nil
}

// long reads an object chunk by chunk.
type long struct {
	store *Store
	want  sum256
	size  int64
	names []byte // digests of the chunks still to come
	sum   hash.Hash
	chunk []byte // what is left of the current one
	seen  int64
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
	if len(l.names) == 0 {
		return io.EOF
	}
	_, chunk, err := l.store.read(sum256(l.names))
	if errors.Is(err, artifact.ErrNotFound) {
		err = fmt.Errorf("%w: a part of %s is missing", artifact.ErrCorrupt, frame.DigestOf(l.want))
	}
	if err != nil {
		return err
	}
	l.names = l.names[sha256.Size:]
	l.sum.Write(chunk)
	l.seen += int64(len(chunk))
	if len(l.names) == 0 && (sum256(l.sum.Sum(nil)) != l.want || l.seen != l.size) {
		return fmt.Errorf("%w: %s", artifact.ErrCorrupt, frame.DigestOf(l.want))
	}
	l.chunk = chunk
	return nil
}

func (l *long) Close() error {
	l.err, l.chunk = errClosed, nil
	return nil
}

// read returns a frame's content. Its checksum is right; whether it has the digest is for the caller to prove.
func (s *Store) read(digest sum256) (kind byte, content []byte, err error) {
	h, payload, err := s.frame(digest, s.borrow())
	defer s.giveBack(payload)
	if err != nil {
		return 0, nil, err
	}
	content, err = s.decoder.Decode(h, payload)
	if err != nil {
		return 0, nil, damaged(digest, err.Error())
	}
	return h.Kind, content, nil
}

// frame reads the frame of a digest as it is stored, into buf when that is large enough.
func (s *Store) frame(digest sum256, buf []byte) (head, []byte, error) {
	s.moving.RLock()
	defer s.moving.RUnlock()
	p, at, err := s.find(digest)
	if err != nil {
		return head{}, buf, err
	}
	h, buf, err := s.frameAt(p, at, buf)
	if err == nil && h.Digest != digest {
		err = damaged(digest, "the frame's head is damaged")
	}
	return h, buf, err
}

// frameAt reads the frame that begins at an offset.
func (s *Store) frameAt(p *pack, at int64, buf []byte) (head, []byte, error) {
	var b [headSize]byte
	if err := readAt(p, b[:], at); err != nil {
		return head{}, buf, err
	}
	h, ok := frame.Parse(b[:], p.salt)
	if !ok {
		return head{}, buf, fmt.Errorf("%w: a frame's head in %s is damaged", artifact.ErrCorrupt, p.name)
	}
	if cap(buf) < int(h.Stored) {
		buf = make([]byte, h.Stored)
	}
	buf = buf[:h.Stored]
	if err := readAt(p, buf, at+headSize); err != nil {
		return head{}, buf, err
	}
	if frame.Checksum(buf) != h.Sum {
		return head{}, buf, damaged(h.Digest, "the frame's payload is damaged")
	}
	return h, buf, nil
}

func readAt(p *pack, b []byte, at int64) error {
	_, err := p.file.ReadAt(b, at)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %s ends too early", artifact.ErrCorrupt, p.name)
	case errors.Is(err, os.ErrClosed):
		return errClosed
	}
	return err
}

func damaged(digest sum256, how string) error {
	return fmt.Errorf("%w: %s: %s", artifact.ErrCorrupt, frame.DigestOf(digest), how)
}

// find returns the place of a frame that can be read from its file.
func (s *Store) find(digest sum256) (*pack, int64, error) {
	s.mu.RLock()
	at, ok := s.index[frame.KeyOf(digest)]
	closed := s.broken == errClosed
	written := ok && !closed && int64(at.offset) < s.packs[at.number()].size
	s.mu.RUnlock()
	if closed {
		return nil, 0, errClosed
	}
	if !ok {
		return nil, 0, artifact.ErrNotFound
	}
	if !written { // it still is in pending
		s.mu.Lock()
		err := s.flush()
		s.mu.Unlock()
		if err != nil {
			return nil, 0, err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.packs[at.number()], int64(at.offset), nil
}

// sound tells whether a good frame of this digest is stored. One that this process did not write is read once: after a
// crash, or on an old disk, a frame may be there and still be damaged, and an artifact must not be built on it.
func (s *Store) sound(kind byte, digest sum256) bool {
	s.mu.RLock()
	at, ok := s.index[frame.KeyOf(digest)]
	s.mu.RUnlock()
	if !ok {
		return false
	}
	if at.pack&proven != 0 {
		return true
	}
	h, payload, err := s.frame(digest, s.borrow())
	s.giveBack(payload)
	if err != nil || h.Kind != kind {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index[frame.KeyOf(digest)] == at {
		s.index[frame.KeyOf(digest)] = place{at.pack | proven, at.offset}
	}
	return true
}

func (s *Store) borrow() []byte {
	if b, ok := s.scratch.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

func (s *Store) giveBack(b []byte) {
	if b != nil {
		s.scratch.Put(&b)
	}
}
