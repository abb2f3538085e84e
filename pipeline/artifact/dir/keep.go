package dir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// keeper stores the objects of one Put. Its buffers and encoders go with it, so that an idle store holds none.
type keeper struct {
	store   *Store
	round   uint64
	encoder frame.Encoder
	buffers sync.Pool // *buffers, one per worker
}

type buffers struct {
	chunk      []byte
	compressed []byte
}

func (s *Store) keeper() (*keeper, error) {
	encoder, err := frame.NewEncoder()
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := &keeper{store: s, round: s.round, encoder: encoder}
	k.buffers.New = func() any { return &buffers{chunk: make([]byte, chunkSize)} }
	return k, s.broken
}

func (k *keeper) close() { k.encoder.Close() }

// keep is an artifact.Keep.
func (k *keeper) keep(r io.Reader, size int64) (pipeline.Digest, error) {
	buf := k.buffers.Get().(*buffers)
	defer k.buffers.Put(buf)
	if most := k.store.chunk * maxChunks; size > most {
		return "", fmt.Errorf("%w: one file can have %d bytes here", artifact.ErrTooBig, most)
	}
	if size > k.store.chunk {
		return k.keepLong(r, size, buf)
	}
	chunk := buf.chunk[:size]
	if err := artifact.ReadWhole(r, chunk); err != nil {
		return "", err
	}
	digest := sha256.Sum256(chunk)
	return frame.DigestOf(digest), k.frame(blob, digest, chunk, buf)
}

// has is an artifact.Has.
func (k *keeper) has(d pipeline.Digest, size int64) bool {
	digest, ok := frame.ParseDigest(d)
	if !ok {
		return false
	}
	if size <= k.store.chunk {
		k.store.use(frame.KeyOf(digest))
		return k.store.sound(blob, digest)
	}
	k.store.use(frame.KeyOf(digest))
	if !k.store.sound(list, digest) {
		return false
	}
	_, names, err := k.store.read(digest)
	if err != nil || len(names) <= 8 {
		return false
	}
	for names = names[8:]; len(names) >= len(digest); names = names[len(digest):] {
		k.store.use(key(names[:16]))
		if !k.store.sound(blob, sum256(names)) {
			return false
		}
	}
	return true
}

// keepLong cuts the object into chunks. The list comes last, when all that it names is stored.
func (k *keeper) keepLong(r io.Reader, size int64, buf *buffers) (pipeline.Digest, error) {
	whole := sha256.New()
	names := binary.LittleEndian.AppendUint64(nil, uint64(size))
	for left := size; left > 0; {
		chunk := buf.chunk[:min(left, k.store.chunk)]
		if _, err := io.ReadFull(r, chunk); err != nil {
			return "", err
		}
		left -= int64(len(chunk))
		whole.Write(chunk)
		digest := sha256.Sum256(chunk)
		if err := k.frame(blob, digest, chunk, buf); err != nil {
			return "", err
		}
		names = append(names, digest[:]...)
	}
	if err := artifact.ReadWhole(r, nil); err != nil {
		return "", err
	}
	digest := sum256(whole.Sum(nil))
	return frame.DigestOf(digest), k.frame(list, digest, names, buf)
}

func (k *keeper) keepBytes(b []byte) error {
	_, err := k.keep(bytes.NewReader(b), int64(len(b)))
	return err
}

// use notes that a Put relies on a frame.
func (s *Store) use(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent[k] = s.now()
	if len(s.recent) > s.remembered { // also where nothing is ever collected
		s.forget(s.now().Add(-artifact.MinGrace))
		s.remembered = max(1<<16, 2*len(s.recent))
	}
}

// forget drops what was used before a time. The caller holds mu.
func (s *Store) forget(since time.Time) {
	for k, used := range s.recent {
		if used.Before(since) {
			delete(s.recent, k)
		}
	}
}

// frame stores one frame unless a sound one is there.
func (k *keeper) frame(kind byte, digest sum256, content []byte, buf *buffers) error {
	k.store.use(frame.KeyOf(digest))
	if k.store.sound(kind, digest) {
		return nil
	}
	h, payload, grown := k.encoder.Encode(kind, digest, content, buf.compressed)
	buf.compressed = grown
	return k.store.append(h, payload, k.round)
}
