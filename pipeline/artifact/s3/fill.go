package s3

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// packer fills packs and sends them. What it has sent is on the shelf; what it has not, is nowhere.
type packer struct {
	store *Store
	// send does something while the next pack is filled, and ends all when that fails.
	send func(name string, do func() error)

	room chan []byte // of packs that may be in memory at once

	mu      sync.Mutex
	pack    *pack // being filled, or nil
	content []byte
	sent    int
}

// mostPacks is how many packs one Put has in memory.
const mostPacks = 3

func (s *Store) packer(send func(string, func() error)) *packer {
	k := &packer{store: s, send: send, room: make(chan []byte, mostPacks)}
	for range mostPacks {
		k.room <- nil
	}
	return k
}

// add adds a frame. A pack that is full is sent.
func (k *packer) add(ctx context.Context, h frame.Head, payload []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pack == nil {
		select {
		case k.content = <-k.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		k.pack, k.content = &pack{}, k.content[:0]
		_, _ = rand.Read(k.pack.salt[:]) // never fails
	}
	k.pack.entries = append(k.pack.entries, frame.Entry{Key: frame.KeyOf(h.Digest), Offset: uint32(len(k.content))})
	if len(k.content) > frame.Most { // it is going to be a whole one
		k.content = slices.Grow(k.content, max(0, k.store.packSize+k.store.packSize/8+2*frame.Most-len(k.content)))
	}
	k.content = append(h.AppendTo(k.content, k.pack.salt), payload...)
	if len(k.content) >= k.store.packSize {
		k.flush(ctx)
	}
	return nil
}

// flush sends the pack as it is. The caller holds mu.
func (k *packer) flush(ctx context.Context) {
	if k.pack == nil {
		return
	}
	p, content := k.pack, k.content
	k.pack, k.content = nil, nil
	k.sent++
	p.size = int64(len(content))
	index := frame.Index{Salt: p.salt, Size: p.size, Entries: p.entries}.Encode()
	p.name = nameOf(index)
	content = append(content, index...)
	name := k.store.prefixed(packs + p.name)
	k.send(name, func() error {
		defer func() { k.room <- content }()
		// No other pack has this name, and whoever sends it twice, after an answer was lost, sends the same.
		err := k.store.write(ctx, object{name, content, sha256.Sum256(content)}, false)
		if err == nil {
			k.store.shelf.learn(p)
		}
		return err
	})
}

// rest sends what was added last. It says whether other packs went before.
func (k *packer) rest(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flush(ctx)
}

// several says that packs were sent already.
func (k *packer) several() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sent > 0
}

// buffers are what a small content is read into, and compressed into.
type buffers struct {
	content, compressed []byte
}

// keepSmall puts a content into a pack, unless there is one that has it.
func (p *putting) keepSmall(r io.Reader, size int64) (pipeline.Digest, error) {
	buf := p.buffers.Get().(*buffers)
	defer p.buffers.Put(buf)
	if int64(cap(buf.content)) < size {
		buf.content = make([]byte, size, max(size, 64<<10))
	}
	content := buf.content[:size]
	if err := artifact.ReadWhole(r, content); err != nil {
		return "", err
	}
	sum := sum256(sha256.Sum256(content))
	k := frame.KeyOf(sum)
	p.mu.Lock()
	packed := p.packed[k]
	p.packed[k] = true
	p.mu.Unlock()
	if packed || p.store.shelf.known(k) {
		return frame.DigestOf(sum), nil
	}
	h, payload, grown := p.encoder.Encode(frame.Blob, sum, content, buf.compressed)
	buf.compressed = grown
	if err := p.packer.add(p.ctx, h, payload); err != nil {
		return "", fmt.Errorf("pack %s: %w", frame.DigestOf(sum), err)
	}
	return frame.DigestOf(sum), nil
}
