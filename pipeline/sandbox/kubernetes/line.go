package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// line is the stream to a pod's keeper, with streams in it. When it is cut, everything in the pod ends.
type line struct {
	session *yamux.Session
	outs    chan net.Conn // connections of the step that look for its way out
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the command in the pod has
	why     error         // then
	serving sync.WaitGroup
}

// dial reaches the keeper of a pod that stands, and returns when everyone in it has come.
func (s *Sandbox) dial(ctx context.Context, pod string) (_ *line, err error) {
	at := s.cluster.at("", "pods", pod, "exec")
	at.RawQuery = url.Values{"container": {keeper}, "command": {wire.Program, "link"}, "stdin": {"true"}, "stdout": {"true"}, "stderr": {"true"}}.Encode()
	exec, err := remotecommand.NewWebSocketExecutor(s.cluster.config, http.MethodGet, at.String())
	if err != nil {
		return nil, err
	}
	l := &line{outs: make(chan net.Conn), ended: make(chan struct{})}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	in, says := io.Pipe()
	hears, out := io.Pipe()
	complaint := &short{}
	go func() {
		defer close(l.ended)
		l.why = exec.StreamWithContext(running, remotecommand.StreamOptions{Stdin: in, Stdout: out, Stderr: complaint})
		if text := complaint.String(); text != "" {
			l.why = errors.Join(l.why, errors.New(oneLine(text)))
		}
		_ = in.CloseWithError(io.ErrClosedPipe)
		_ = out.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if l.session, err = wire.Dial(&pipes{hears, says}); err != nil {
		l.close()
		return nil, err
	}
	hello := make(chan error, 1)
	l.serving.Go(func() { l.accept(running, hello) })
	select {
	case err = <-hello:
	case <-l.ended:
		err = fmt.Errorf("the line to it was cut: %w", l.why)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

type pipes struct {
	*io.PipeReader
	*io.PipeWriter
}

func (p *pipes) Close() error { return errors.Join(p.PipeReader.Close(), p.PipeWriter.Close()) }

// short keeps the first words of what is said.
type short struct {
	mu   sync.Mutex
	text []byte
}

func (s *short) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p[:min(len(p), max(0, 1000-len(s.text)))]...)
	return len(p), nil
}

func (s *short) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

// accept takes what the pod opens.
func (l *line) accept(ctx context.Context, hello chan<- error) {
	for {
		stream, err := l.session.AcceptStream()
		if err != nil {
			hello <- err
			return
		}
		hello := hello
		l.serving.Go(func() {
			var r wire.Request
			switch err := wire.Receive(stream, &r); {
			case err == nil && r.Kind == wire.Hello:
				if r.Version != wire.Version {
					err = fmt.Errorf("the program in it speaks version %d, and the server version %d: give CONVEYOR_KUBERNETES_POD_IMAGE the image of this server's version", r.Version, wire.Version)
				}
				select {
				case hello <- err:
				default:
				}
			case err == nil && r.Kind == wire.Out:
				select {
				case l.outs <- half{stream}:
					return
				case <-ctx.Done():
				}
			}
			_ = stream.Close()
		})
	}
}

// open opens a stream with a word.
func (l *line) open(r wire.Request) (*yamux.Stream, error) {
	stream, err := l.session.OpenStream()
	if err != nil {
		return nil, err
	}
	return stream, wire.Send(stream, r)
}

// close cuts the line: the command in the pod sees the end of it, and ends. One that does not is left to itself. It may be
// repeated.
func (l *line) close() {
	if l.session != nil {
		_ = l.session.Close()
	}
	late := time.NewTimer(3 * time.Second)
	defer late.Stop()
	select {
	case <-l.ended:
	case <-late.C:
	}
	l.cancel()
	<-l.ended
	l.serving.Wait()
}

// half is a connection of which one side may say that it has nothing more to say: that is what a stream's Close means.
type half struct{ *yamux.Stream }

func (h half) CloseWrite() error { return h.Stream.Close() }

// wayOut is a listener on the loopback of the pod, as the server sees it.
type wayOut struct {
	l    *line
	once sync.Once
	shut chan struct{}
}

func (w *wayOut) Accept() (net.Conn, error) {
	select {
	case conn := <-w.l.outs:
		return conn, nil
	case <-w.shut:
		return nil, net.ErrClosed
	case <-w.l.ended:
		return nil, net.ErrClosed
	}
}

func (w *wayOut) Close() error {
	w.once.Do(func() { close(w.shut) })
	return nil
}

func (w *wayOut) Addr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp4", sandbox.ProxyAddress)
	return a
}

// serveOut serves the step's way out until stop is called, which returns its failure and may be repeated.
func (l *line) serveOut(ctx context.Context, out func(context.Context, net.Listener) error) (stop func() error) {
	if out == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &wayOut{l: l, shut: make(chan struct{})}
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		failed = out(ctx, w)
		_ = w.Close()
	}()
	return func() error {
		cancel()
		<-done
		if failed != nil {
			return fmt.Errorf("the step's way out failed: %w", failed)
		}
		return nil
	}
}
