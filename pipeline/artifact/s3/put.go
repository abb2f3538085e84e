package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// Put is artifact.Store's. The manifest is written last: whoever finds it finds all that it names.
func (s *Store) Put(ctx context.Context, root string, globs []string, limits artifact.Limits) (artifact.Manifest, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, err := s.put(ctx, root, globs, limits)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("artifact/s3: store the files of %s: %w", root, err)
	}
	return m, nil
}

func (s *Store) put(ctx context.Context, root string, globs []string, limits artifact.Limits) (artifact.Manifest, error) {
	began := s.o.Now()
	if err := s.refresh(ctx); err != nil {
		return artifact.Manifest{}, err
	}
	encoder, err := frame.NewEncoder()
	if err != nil {
		return artifact.Manifest{}, err
	}
	defer encoder.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &putting{store: s, ctx: ctx, cancel: cancel, encoder: encoder, begun: map[string]bool{}, packed: map[frame.Key]bool{}, held: make(chan []byte, mostChunks)}
	for range mostChunks {
		p.held <- nil
	}
	p.buffers.New = func() any { return &buffers{} }
	p.packer = s.packer(p.request)
	m, err := artifact.Gather(ctx, root, globs, limits, p.keep)
	if err == nil && p.packer.several() {
		p.packer.rest(ctx) // while the others are under way
	}
	if err = p.sent(err); err != nil {
		return artifact.Manifest{}, err
	}
	if err := p.keepManifest(m); err != nil {
		return artifact.Manifest{}, err
	}
	if took := s.o.Now().Sub(began); took > mostPut {
		return artifact.Manifest{}, fmt.Errorf("it took %s, and what it found in the bucket may be about to be removed; store it again", took)
	}
	return m, p.still(ctx)
}

// mostPut is how long a Put may take. For what it has found in packs it relies on the listing with which it began; what is
// condemned after that stays for the grace of Collect, which is a day longer at least.
const mostPut = 24 * time.Hour

// keepManifest stores the list of the files, when they are stored: in the last pack, or behind it when it is large.
func (p *putting) keepManifest(m artifact.Manifest) error {
	encoded := m.Encode()
	if len(encoded) > artifact.MaxManifest {
		return fmt.Errorf("%w: the list of files has %d bytes", artifact.ErrTooBig, len(encoded))
	}
	if int64(len(encoded)) > p.store.small {
		p.packer.rest(p.ctx)
		if err := p.sent(nil); err != nil {
			return err
		}
	}
	_, err := p.keep(bytes.NewReader(encoded), int64(len(encoded)))
	if err == nil {
		p.packer.rest(p.ctx)
	}
	return p.sent(err)
}

// sent waits for all that is under way. The first failure counts, and not what came of it.
func (p *putting) sent(err error) error {
	p.sending.Wait()
	if cause := context.Cause(p.ctx); cause != nil {
		return cause
	}
	return err
}

// putting is one Put. Its requests go out while the next files are read.
type putting struct {
	store   *Store
	ctx     context.Context
	cancel  context.CancelCauseFunc
	sending sync.WaitGroup
	held    chan []byte // room for chunks; nil is room that was not made yet
	packer  *packer
	encoder frame.Encoder
	buffers sync.Pool // *buffers

	mu        sync.Mutex
	begun     map[string]bool    // names that this Put has sent, or found
	packed    map[frame.Key]bool // what this Put has packed, or found in a pack
	refreshed []object           // what was there, and so old that it might be about to be removed
}

type object struct {
	name    string
	content []byte
	sum     sum256 // of the content, for the server to compare
}

// keep is artifact.Keep. It returns before the bytes are stored; Put waits for that.
func (p *putting) keep(r io.Reader, size int64) (pipeline.Digest, error) {
	if size <= p.store.small {
		return p.keepSmall(r, size)
	}
	whole := sha256.New()
	parts := binary.LittleEndian.AppendUint64(nil, uint64(size))
	for left := size; left > 0 || len(parts) == 8; {
		chunk, err := p.chunk()
		if err != nil {
			return "", err
		}
		done := func() { p.held <- chunk }
		chunk = chunk[:min(left, int64(p.store.chunk))]
		if _, err := io.ReadFull(r, chunk); err != nil {
			done()
			return "", err
		}
		left -= int64(len(chunk))
		sum := sum256(sha256.Sum256(chunk))
		parts = append(parts, sum[:]...)
		if size > int64(p.store.chunk) {
			whole.Write(chunk)
		}
		p.send(object{p.store.name(blob, sum), chunk, sum}, done)
	}
	if err := artifact.ReadWhole(r, nil); err != nil {
		return "", err
	}
	if len(parts) == 8+sha256.Size { // it is its own one chunk
		return frame.DigestOf(sum256(parts[8:])), nil
	}
	p.send(object{p.store.name(list, sum256(whole.Sum(nil))), parts, sha256.Sum256(parts)}, func() {})
	return artifact.Sum(whole), nil
}

// chunk waits for room for a chunk. All of them are reused, for making them is dear.
func (p *putting) chunk() ([]byte, error) {
	select {
	case chunk := <-p.held:
		if chunk == nil {
			chunk = make([]byte, p.store.chunk)
		}
		return chunk[:cap(chunk)], nil
	case <-p.ctx.Done():
		return nil, context.Cause(p.ctx)
	}
}

// send stores an object, should it not be there. done is called when its content is not needed any more.
func (p *putting) send(o object, done func()) {
	p.mu.Lock()
	begun := p.begun[o.name]
	p.begun[o.name] = true
	p.mu.Unlock()
	if begun {
		done()
		return
	}
	p.request(o.name, func() error {
		defer done()
		return p.stored(o)
	})
}

// request does something with the bucket while the next files are read.
func (p *putting) request(name string, do func() error) {
	p.sending.Go(func() {
		select {
		case p.store.slots <- struct{}{}:
			defer func() { <-p.store.slots }()
		case <-p.ctx.Done():
		}
		if err := do(); err != nil {
			p.cancel(fmt.Errorf("store %s: %w", name, err))
		}
	})
}

// mostChunks is how many chunks one Put has in memory.
const mostChunks = 6

// asked is how long a content must be, in bytes, for it to be asked for first. Of a shorter one the question costs as much
// as the content.
const asked = 64 << 10

// stored sees to it that an object is there, and young enough not to be removed.
func (p *putting) stored(o object) error {
	s := p.store
	if len(o.content) >= asked {
		if info, err := s.client.StatObject(p.ctx, s.o.Bucket, o.name, minio.StatObjectOptions{}); err == nil {
			return p.found(o, info)
		}
	}
	for try := 1; ; try++ {
		wrote := s.write(p.ctx, o, true)
		switch status := minio.ToErrorResponse(wrote).StatusCode; {
		case wrote == nil:
			return nil
		case status == http.StatusPreconditionFailed, status == http.StatusConflict: // it is there, or being written just now
		case status == 0 && p.ctx.Err() == nil: // cut off; some servers do that to who still sends what is there already
		default:
			return wrote
		}
		info, err := s.client.StatObject(p.ctx, s.o.Bucket, o.name, minio.StatObjectOptions{})
		if err == nil {
			return p.found(o, info)
		}
		if minio.ToErrorResponse(err).Code != minio.NoSuchKey || try == tries {
			return errors.Join(wrote, err)
		}
		select { // another has not finished it, or has just removed it
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		case <-time.After(time.Duration(try) * 50 * time.Millisecond):
		}
	}
}

// tries is how often an object is written of which the server says both that it is there and that it is not, or nothing.
const tries = 8

// found is about an object that was there. One of another size is none of ours: nobody could read it. One that is old is
// written again, so that it counts as new for those who remove what is old.
func (p *putting) found(o object, info minio.ObjectInfo) error {
	s := p.store
	if info.Size == int64(len(o.content)) && s.o.Now().Sub(info.LastModified) < refreshAfter {
		return nil
	}
	if err := s.write(p.ctx, o, false); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.refreshed) < 1000 { // of so many, at least some would be missed
		p.refreshed = append(p.refreshed, object{name: o.name})
	}
	return nil
}

// refreshAfter is how old an object may be that is left as it is. Grace of Collect is longer.
const refreshAfter = 24 * time.Hour

// still asks once more for what was old: another server may have been removing it just then.
func (p *putting) still(ctx context.Context) error {
	for _, o := range p.refreshed {
		if _, err := p.store.client.StatObject(ctx, p.store.o.Bucket, o.name, minio.StatObjectOptions{}); err != nil {
			return fmt.Errorf("what was stored is not there any more; it is to be stored again: %s: %w", o.name, err)
		}
	}
	return nil
}

// write writes an object; fresh: only where none is.
func (s *Store) write(ctx context.Context, o object, fresh bool) error {
	options := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	if fresh {
		options.SetMatchETagExcept("*")
	}
	// The sum is signed with the request, so that nothing else arrives.
	_, err := minio.Core{Client: s.client}.PutObject(ctx, s.o.Bucket, o.name, bytes.NewReader(o.content), int64(len(o.content)), "", hex.EncodeToString(o.sum[:]), options)
	return err
}
