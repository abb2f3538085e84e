package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultLimit is how many bytes a log can have when the caller does not say.
	DefaultLimit = 64 << 20

	// patience is how long bytes may wait for more before readers see them.
	patience = 50 * time.Millisecond

	// tailSize is how many bytes of a log's end are kept beside its beginning, when it is cut and its limit has room for it.
	tailSize = 256 << 10

	// indexEvery is the distance of the places whose line number is known.
	indexEvery = 64 << 10
)

// Writer writes one log. Write and Close may be called from several goroutines.
type Writer struct {
	store *Store
	name  string
	limit int64
	live  *live
	log   *os.File
	index *os.File

	mu      sync.Mutex
	mask    *masker
	fresh   int // bytes that came since the last flush
	size    int64
	lines   int64
	sum     uint32 // CRC-32 of what is stored
	last    byte   // the last byte stored
	cut     bool   // the limit was reached
	keep    int    // how much of the end is kept then
	tail    []byte // the newest bytes after the cut, masked
	dropped int64
	entries []byte // of the index, not yet written
	err     error  // the first one; nothing is stored after it
	closed  bool

	timer   *time.Timer // runs while fresh bytes wait
	waiting bool
	flushes sync.WaitGroup // the timer's
}

// Writer begins a log. An attempt's log is written once: when the name exists, whoever wrote it, that is ErrExists and
// the log stays as it is. Secrets are masked in all their forms, see Validate for what they must be. The limit is in
// bytes of the stored log's beginning; zero is DefaultLimit. Of a log that is longer, the end is kept, too: it is written when
// the log is closed.
func (s *Store) Writer(name string, secrets []string, limit int64) (*Writer, error) {
	w, err := s.newWriter(name, secrets, limit)
	if err != nil {
		return nil, err
	}
	w.log, err = s.create(name)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %s", ErrExists, name)
	}
	if err != nil {
		return nil, fmt.Errorf("logs: begin %s: %w", name, err)
	}
	if _, err := w.start(); err != nil {
		return nil, errors.Join(err, s.root.Remove(name+logEnding)) // so that it can be begun again
	}
	return w, nil
}

// Resume goes on with a log whose process ended before it could close it. What was printed and not yet stored then is
// lost. ErrExists when the log is complete or still open, ErrNotFound when there is none.
func (s *Store) Resume(name string, secrets []string, limit int64) (*Writer, error) {
	w, err := s.newWriter(name, secrets, limit)
	if err != nil {
		return nil, err
	}
	w.log, err = s.root.OpenFile(name+logEnding, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("logs: resume %s: %w", name, err)
	}
	return w.start()
}

func (s *Store) newWriter(name string, secrets []string, limit int64) (*Writer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := Validate(secrets); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = DefaultLimit
	}
	w := &Writer{store: s, name: name, limit: limit, live: newLive(), mask: newMasker(secrets)}
	if limit >= 4*tailSize {
		w.keep = tailSize
	}
	return w, nil
}

// start takes possession of an open log and reads what is there.
func (w *Writer) start() (_ *Writer, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, w.closeFiles())
		}
	}()
	// The kernel drops the lock with the process, so a log that a killed process left can be resumed.
	if err := syscall.Flock(int(w.log.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%w: %s is being written", ErrExists, w.name)
	}
	if _, err := w.store.end(w.name, w.log); err == nil {
		return nil, fmt.Errorf("%w: %s is complete", ErrExists, w.name)
	}
	w.index, err = w.store.root.OpenFile(w.name+indexEnding, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("logs: begin %s: %w", w.name, err)
	}
	buf := make([]byte, BlockSize)
	for err == nil {
		var n int
		n, err = w.log.Read(buf) // and leaves the file at its end
		w.count(buf[:n])
	}
	if err != io.EOF {
		return nil, fmt.Errorf("logs: resume %s: %w", w.name, err)
	}
	w.cut = w.size > w.limit // the line that says so is beyond the limit
	if err := w.writeIndex(); err != nil {
		return nil, err
	}
	w.live.grow(w.size)
	w.store.mu.Lock()
	w.store.live[w.name] = w.live
	w.store.mu.Unlock()
	return w, nil
}

// Write takes what the step printed. It waits for the disk at most, never for a reader.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, os.ErrClosed
	}
	total := len(p)
	for len(p) > 0 {
		if w.err != nil || w.cut && w.keep == 0 {
			w.dropped += int64(len(p))
			break
		}
		n := min(len(p), BlockSize-w.fresh)
		w.mask.add(p[:n])
		w.fresh += n
		p = p[n:]
		if w.fresh == BlockSize {
			w.flush(false)
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	w.arm()
	return total, nil
}

// arm makes sure that what waits is flushed soon.
func (w *Writer) arm() {
	if w.fresh == 0 || w.waiting {
		return
	}
	w.waiting = true
	w.flushes.Add(1)
	if w.timer == nil {
		w.timer = time.AfterFunc(patience, w.patienceEnds)
		return
	}
	w.timer.Reset(patience)
}

func (w *Writer) patienceEnds() {
	defer w.flushes.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	if !w.closed && w.fresh > 0 {
		w.flush(false)
	}
}

// Close stores the rest and completes the log: readers see every byte before Close returns. Nothing is forced to the
// disk; a power cut may leave the log incomplete, and then it says so. Closing again does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	if w.waiting && w.timer.Stop() {
		w.flushes.Done()
	}
	w.flush(true)
	w.putTail()
	err := w.err
	// After a disk error the log ends with what is stored; the rest is counted as dropped.
	err = errors.Join(err, w.store.writeEnd(w.name, End{Size: w.size, CRC32: w.sum, Lines: w.lines, Dropped: w.dropped}))
	w.mu.Unlock()
	w.flushes.Wait()

	w.store.mu.Lock()
	delete(w.store.live, w.name)
	w.store.mu.Unlock()
	w.live.end() // wakes the followers, which then find the log complete
	return errors.Join(err, w.closeFiles())
}

func (w *Writer) closeFiles() error {
	var err error
	if w.index != nil {
		err = w.index.Close()
	}
	// Closing alone would leave the lock, for a moment, to a child that this process is just starting.
	return errors.Join(err, syscall.Flock(int(w.log.Fd()), syscall.LOCK_UN), w.log.Close())
}

// Dropped is how many bytes were not stored, because of the limit or of a disk that failed.
func (w *Writer) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// flush masks what waits and stores what is decided. The caller holds mu.
func (w *Writer) flush(end bool) {
	w.fresh = 0
	b := w.mask.next(end)
	if w.cut || w.err != nil {
		w.dropped += int64(len(b))
		w.remember(b)
		return
	}
	if room := w.limit - w.size; int64(len(b)) > room {
		w.dropped += int64(len(b)) - room
		w.put(b[:room])
		w.cut = true
		w.remember(b[room:])
		if w.keep == 0 {
			// What is held back is not masked any more, so it must not be stored either: it is counted with the rest.
			w.dropped += int64(len(w.mask.next(true)))
		}
		w.put(w.cutLine())
	} else {
		w.put(b)
	}
	if err := w.writeIndex(); err != nil && w.err == nil {
		w.err = err
	}
	w.live.grow(w.size)
}

// cutLine is what a person sees at the end of a log that was too long. It starts on a line of its own.
func (w *Writer) cutLine() []byte {
	var b []byte
	if w.size > 0 && w.last != '\n' {
		b = append(b, '\n')
	}
	follows := ""
	if w.keep > 0 {
		follows = " Its last lines follow when the step has ended."
	}
	return fmt.Appendf(b, "[conveyor] The log is cut here: it reached its limit of %d bytes. The step goes on; print less, or write to a file.%s\n", w.limit, follows)
}

// remember keeps the newest bytes after the cut.
func (w *Writer) remember(b []byte) {
	if w.keep == 0 || w.err != nil {
		return
	}
	w.tail = append(w.tail, b[max(0, len(b)-w.keep):]...)
	if len(w.tail) > 2*w.keep {
		w.tail = w.tail[:copy(w.tail, w.tail[len(w.tail)-w.keep:])]
	}
}

// putTail ends a log that was cut with its last lines, whole ones where there are any, and says what is missing before them.
func (w *Writer) putTail() {
	if len(w.tail) == 0 {
		return
	}
	tail := w.tail[max(0, len(w.tail)-w.keep):]
	if at := bytes.IndexByte(tail, '\n'); int64(len(tail)) < w.dropped && at >= 0 && at < len(tail)-1 {
		tail = tail[at+1:]
	}
	w.dropped -= int64(len(tail))
	if w.dropped > 0 {
		w.put(fmt.Appendf(nil, "[conveyor] %d bytes are left out here. These are the last ones:\n", w.dropped))
	}
	w.put(tail)
	w.tail = nil
	if err := w.writeIndex(); err != nil && w.err == nil {
		w.err = err
	}
	w.live.grow(w.size)
}

func (w *Writer) put(b []byte) {
	if w.err != nil || len(b) == 0 {
		return
	}
	n, err := w.log.Write(b)
	w.count(b[:n])
	if err != nil {
		w.dropped += int64(len(b) - n)
		w.err = fmt.Errorf("logs: write %s: %w", w.name, err)
	}
}

// count brings size, lines, checksum and index up to stored bytes.
func (w *Writer) count(b []byte) {
	if len(b) == 0 {
		return
	}
	w.sum = crc32.Update(w.sum, crc32.IEEETable, b)
	w.last = b[len(b)-1]
	for len(b) > 0 {
		n := min(int64(len(b)), indexEvery-w.size%indexEvery)
		w.lines += int64(bytes.Count(b[:n], newline))
		w.size += n
		b = b[n:]
		if w.size%indexEvery == 0 {
			w.entries = binary.LittleEndian.AppendUint64(w.entries, uint64(w.lines))
		}
	}
}

var newline = []byte{'\n'}

func (w *Writer) writeIndex() error {
	if len(w.entries) == 0 {
		return nil
	}
	_, err := w.index.Write(w.entries)
	w.entries = w.entries[:0]
	if err != nil {
		return fmt.Errorf("logs: write the index of %s: %w", w.name, err)
	}
	return nil
}
