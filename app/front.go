package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// front is where this server is reached: one listener and one HTTP server from the first page of the set-up to the end. What
// it shows may change while it serves: a request that has begun is finished by what was shown then, the next one is
// answered by what is shown now, and no connection is closed for it.
type front struct {
	listener net.Listener
	server   *http.Server
	shown    atomic.Pointer[http.Handler]
	hangUp   context.CancelFunc // ends the streams of those who follow a page live
	last     func() (context.Context, context.CancelFunc)
	begun    sync.Once
	serving  atomic.Bool
	ended    chan error // why it serves no more; closed after that
}

// newFront listens, and answers nobody before it is begun.
func newFront(ctx context.Context, address string, log *slog.Logger) (*front, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("app: CONVEYOR_LISTEN %s cannot be used: %w", address, err)
	}
	up, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	f := &front{listener: listener, hangUp: hangUp, ended: make(chan error, 1)}
	f.last = func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	}
	f.server = &http.Server{
		Handler: f, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return up },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return f, nil
}

// ServeHTTP answers with what is shown when the request arrives.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*f.shown.Load()).ServeHTTP(w, r) }

// show changes what is shown.
func (f *front) show(h http.Handler) { f.shown.Store(&h) }

// begin serves until close, once however often it is called.
func (f *front) begin() {
	f.begun.Do(func() {
		f.serving.Store(true)
		go func() {
			if err := f.server.Serve(f.listener); !errors.Is(err, http.ErrServerClosed) {
				f.ended <- fmt.Errorf("app: the server stopped: %w", err)
			}
			close(f.ended)
		}()
	})
}

// close lets requests that have begun finish, for a moment, cuts off the rest, and ends. It may be repeated.
func (f *front) close() error {
	f.begun.Do(func() { close(f.ended) }) // and it never begins
	f.hangUp()
	closing, cancel := f.last()
	defer cancel()
	if f.server.Shutdown(closing) != nil {
		_ = f.server.Close() // those who are cut off come back by themselves
	}
	if !f.serving.Load() {
		_ = f.listener.Close() // nobody has used it
	}
	for range f.ended { // it has said why, or ends as it was told
	}
	return nil
}
