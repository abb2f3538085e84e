package inside

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// keep is the keeper: it waits until the server and all first processes have come, and then does what the server asks for,
// until the server is gone.
func keep(args []string) error {
	flags := flag.NewFlagSet("keep", flag.ContinueOnError)
	patience := flags.Duration("patience", 10*time.Minute, "how long to wait for the server")
	services := flags.Int("services", 0, "how many services run beside the step")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ignoreTerm()
	k := &pod{services: map[string]net.Conn{}}
	server, err := k.gather(*patience, *services)
	if err != nil {
		return err
	}
	defer k.dismiss()
	session, err := wire.Serve(server)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	k.session = session
	hello, err := session.Open()
	if err != nil {
		return err
	}
	if err := errors.Join(wire.Send(hello, wire.Request{Kind: wire.Hello, Version: wire.Version}), hello.Close()); err != nil {
		return err
	}
	for {
		stream, err := session.Accept()
		if err != nil {
			return nil // the server has done with it
		}
		go func() {
			defer func() { _ = stream.Close() }()
			k.answer(ctx, stream)
		}()
	}
}

// pod is what the keeper keeps.
type pod struct {
	session  *yamux.Session
	step     net.Conn
	services map[string]net.Conn

	mu      sync.Mutex
	seen    map[string]wire.Seen
	running *running
}

// gather waits for everyone. Nothing of a step or a service runs yet, so nobody else can come; afterwards nobody is let in.
func (k *pod) gather(patience time.Duration, services int) (server net.Conn, err error) {
	l, err := net.Listen("unix", keeper)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	_ = l.(*net.UnixListener).SetDeadline(time.Now().Add(patience))
	for server == nil || k.step == nil || len(k.services) < services {
		conn, err := l.Accept()
		if err != nil {
			return nil, fmt.Errorf("not everyone has come: %w", err)
		}
		var r role
		if err := wire.Receive(conn, &r); err != nil {
			_ = conn.Close()
			continue
		}
		switch {
		case r.Server:
			server = conn
		case r.Service != "":
			k.services[r.Service] = conn
		default:
			k.step = conn
		}
	}
	return server, nil
}

// dismiss ends the first processes: they see that nobody holds them any more.
func (k *pod) dismiss() {
	_ = k.step.Close()
	for _, conn := range k.services {
		_ = conn.Close()
	}
}

func (k *pod) answer(ctx context.Context, stream net.Conn) {
	var r wire.Request
	if err := wire.Receive(stream, &r); err != nil {
		return
	}
	switch r.Kind {
	case wire.Fill:
		_ = wire.Send(stream, wire.Answer{Err: says(k.fill(ctx, r.To, stream))})
	case wire.Fetch:
		k.fetch(ctx, r.To, stream)
	case wire.Start:
		k.start(ctx, r.Step, wire.Frames{ReadWriter: stream})
	case wire.Kill:
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.running != nil {
			k.running.kill()
		}
	}
}

func says(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// boundless is for what comes from the server.
var boundless = wire.Most{Bytes: 1 << 62, Files: 1 << 62}

func (k *pod) fill(ctx context.Context, to string, from net.Conn) error {
	if err := wire.Unpack(ctx, from, to, boundless, -1, -1); err != nil {
		return err
	}
	seen, err := wire.Look(to)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen = map[string]wire.Seen{}
	}
	k.seen[to] = seen
	return nil
}

func (k *pod) fetch(ctx context.Context, from string, to net.Conn) {
	k.mu.Lock()
	seen, known := k.seen[from]
	k.mu.Unlock()
	if !known {
		_ = wire.Send(to, wire.Changes{Err: "it was never filled"})
		return
	}
	gone, err := seen.Gone(from)
	if wire.Send(to, wire.Changes{Gone: gone, Err: says(err)}) == nil && err == nil {
		_ = wire.Pack(ctx, from, to, seen.Changed) // the other side sees that it has no end
	}
}

// give writes the script and the secrets where the step finds them.
func (k *pod) give(s *wire.Step) error {
	if err := os.WriteFile(wire.Script, s.Script, 0o444); err != nil {
		return err
	}
	if len(s.Secrets) == 0 {
		return nil
	}
	if err := os.Mkdir(wire.Secrets, 0o755); err != nil {
		return err
	}
	for _, g := range s.Secrets {
		if err := os.WriteFile(wire.Secrets+"/"+g.Name, g.Value, 0o400); err != nil {
			return fmt.Errorf("give the secret %s: %w", g.Name, err)
		}
	}
	return nil
}

// open makes the step's way out: each connection is a stream of its own to the server.
func (k *pod) open() (net.Listener, error) {
	l, err := net.Listen("tcp4", sandbox.ProxyAddress)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				stream, err := k.session.Open()
				if err == nil {
					err = wire.Send(stream, wire.Request{Kind: wire.Out})
				}
				if err != nil {
					_ = conn.Close()
					return
				}
				wire.Join(conn, stream)
			}()
		}
	}()
	return l, nil
}
