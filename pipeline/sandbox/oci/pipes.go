package oci

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// pipes are the three that a runtime writes to: its output, its errors, and one on which the first byte says that the box
// stands and the script is about to run.
type pipes struct {
	ready, output, errors *pipe

	pumps  sync.WaitGroup
	stands chan struct{} // closed when the box stands
	said   []byte        // by the runtime, the first bytes
	stood  bool
	wrote  error // the first failure of the output's writer
}

type pipe struct{ ours, theirs *os.File }

const (
	pipeSize  = 1 << 20   // bytes; the most that the kernel gives without a capability
	chunkSize = 256 << 10 // bytes of one read: few wake-ups for a lot of output
	saidSize  = 16 << 10  // bytes of a runtime's errors that are kept

	// How long ends are waited for once every process that could hold them is gone.
	lastWords = 2 * time.Second
)

func newPipes(output io.Writer) (*pipes, error) {
	p := &pipes{stands: make(chan struct{})}
	for _, to := range []**pipe{&p.ready, &p.output, &p.errors} {
		one, err := newPipe()
		if err != nil {
			p.started()
			return nil, fmt.Errorf("make a pipe: %w", errors.Join(err, p.closeOurs()))
		}
		*to = one
	}
	_, _ = unix.FcntlInt(p.output.ours.Fd(), unix.F_SETPIPE_SZ, pipeSize) // a smaller one is slower, that is all
	p.pumps.Go(func() { p.wrote = pump(p.output.ours, output) })
	p.pumps.Go(func() {
		p.said, _ = io.ReadAll(io.LimitReader(p.errors.ours, saidSize))
		_, _ = io.Copy(io.Discard, p.errors.ours)
	})
	p.pumps.Go(func() {
		first := make([]byte, 1)
		n, _ := io.ReadFull(p.ready.ours, first)
		if p.stood = n == 1; p.stood {
			close(p.stands)
		}
		_, _ = io.Copy(io.Discard, p.ready.ours)
	})
	return p, nil
}

// newPipe has a reading end that can be waited for with a deadline, and a plain writing end.
func newPipe() (*pipe, error) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd[0], true); err != nil {
		return nil, errors.Join(err, unix.Close(fd[0]), unix.Close(fd[1]))
	}
	return &pipe{ours: os.NewFile(uintptr(fd[0]), "pipe"), theirs: os.NewFile(uintptr(fd[1]), "pipe")}, nil
}

// A step that prints without end would keep the server as busy as itself. So what it may print as fast as it can is a
// store that fills up again: the largest logs fit in, a flood does not.
const (
	floodStore  = 512 << 20 // bytes
	floodPerSec = 128 << 20 // bytes
)

// flood is what is left of that store.
type flood struct {
	left int64
	at   time.Time
}

// pause is for how long nothing is to be read after so many bytes.
func (f *flood) pause(n int, now time.Time) time.Duration {
	if gone := now.Sub(f.at); gone >= time.Minute {
		f.left = floodStore
	} else {
		f.left = min(floodStore, f.left+int64(gone)*floodPerSec/int64(time.Second))
	}
	f.at = now
	f.left -= int64(n)
	if f.left >= 0 {
		return 0
	}
	return time.Duration(-f.left) * time.Second / floodPerSec
}

// pump writes what comes to w until the end of r. When w fails it goes on reading, so that a step is not stopped by it.
func pump(r io.Reader, w io.Writer) (failed error) {
	chunk := make([]byte, chunkSize)
	f := flood{left: floodStore, at: time.Now()}
	for {
		n, err := r.Read(chunk)
		if wait := f.pause(n, time.Now()); wait > time.Millisecond {
			<-time.After(wait)
		}
		if n > 0 && failed == nil {
			_, failed = w.Write(chunk[:n])
		}
		if err != nil {
			return failed
		}
	}
}

// started gives up this server's copies of the ends that the runtime has.
func (p *pipes) started() {
	for _, one := range []*pipe{p.ready, p.output, p.errors} {
		if one != nil {
			_ = one.theirs.Close()
		}
	}
}

// finish reads what is left in the pipes. It reports whether the box ever stood, and whether the output could not be written.
func (p *pipes) finish() (stood bool, failed error) {
	for _, one := range []*pipe{p.ready, p.output, p.errors} {
		_ = one.ours.SetReadDeadline(time.Now().Add(lastWords)) // no process has the other end any more; this is for the case that one does
	}
	p.pumps.Wait()
	_ = p.closeOurs()
	return p.stood, p.wrote
}

func (p *pipes) closeOurs() error {
	var all []error
	for _, one := range []*pipe{p.ready, p.output, p.errors} {
		if one != nil {
			all = append(all, one.ours.Close())
		}
	}
	return errors.Join(all...)
}

// complaint is what the runtime said. After finish.
func (p *pipes) complaint() string { return box.OneLine(string(p.said)) }
