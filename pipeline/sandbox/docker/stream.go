package docker

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// stream is the connection to a container's first process: the step's output, the process's own words, and its input.
type stream struct {
	conn   client.HijackedResponse
	stands chan struct{}
	pumps  sync.WaitGroup
	said   words
	output *patient
	broken error
}

// How long the rest of the output is waited for when the container has ended: what the engine still holds.
const lastWords = 30 * time.Second

func newStream(conn client.HijackedResponse, output io.Writer) *stream {
	s := &stream{conn: conn, stands: make(chan struct{}), output: &patient{to: output}}
	heard, says := io.Pipe()
	s.pumps.Go(func() {
		_, s.broken = stdcopy.StdCopy(s.output, says, conn.Reader)
		_ = says.Close()
	})
	s.pumps.Go(func() { s.said = hear(heard, func() { close(s.stands) }) })
	return s
}

// begin gives the first process the word to run the script.
func (s *stream) begin() { _, _ = s.conn.Conn.Write([]byte("go\n")) } // to one that has ended: its words say why

// finish reads what is left. The container has ended.
func (s *stream) finish() (words, error) {
	_ = s.conn.CloseWrite() // Podman waits for the end of the input, too
	_ = s.conn.Conn.SetReadDeadline(time.Now().Add(lastWords))
	s.pumps.Wait()
	s.conn.Close()
	return s.said, errors.Join(s.output.failed, s.broken)
}

// close may be repeated.
func (s *stream) close() {
	s.conn.Close()
	s.pumps.Wait()
}

// patient takes what its writer does not take any more, so that a step is not stopped by it.
type patient struct {
	to     io.Writer
	failed error // the first
}

func (p *patient) Write(b []byte) (int, error) {
	if p.failed == nil {
		_, p.failed = p.to.Write(b)
	}
	return len(b), nil
}
