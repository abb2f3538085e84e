// Package egress is the one way out of a step's box: a proxy that connects a step with the hosts that it may reach.
//
// A box has no network but its own loopback. When a step may reach something, the sandbox opens a listener there and the
// proxy serves it from outside: plain requests are passed on, for everything else a tunnel is asked for (CONNECT, RFC 9110
// 9.3.6). Names are resolved here, and what they resolve to is looked at before it is connected with, so that no name leads
// to this machine, its network, or a cloud's metadata.
//
// It never sees into a tunnel: of HTTPS it knows the host and the port, and nothing else. Start reading at Proxy.Serve.
package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Policy says what may be reached.
type Policy struct {
	Rules   []Rule         // any of them will do
	Full    bool           // every public host on every port, whatever the rules say
	Private []netip.Prefix // ranges that are not public and may be reached all the same
}

// Proxy serves one step. It is used once.
type Proxy struct {
	policy Policy
	dialer net.Dialer
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu       sync.Mutex
	refused  map[string]string // host and port, with the reason
	reached  map[string]*traffic
	overflow int
}

type traffic struct{ in, out int64 }

const (
	mostHosts   = 100 // that are remembered, for the report
	mostTunnels = 256 // at once
)

// New makes a proxy for one step.
func New(p Policy) *Proxy {
	return &Proxy{
		policy: p, dialer: net.Dialer{Timeout: 15 * time.Second}, lookup: net.DefaultResolver.LookupNetIP,
		refused: map[string]string{}, reached: map[string]*traffic{},
	}
}

// Serve answers what comes to the listener until ctx ends. Then it closes the listener and every connection.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(&bounded{Listener: l, places: make(chan struct{}, mostTunnels), closed: ctx.Done()})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *Proxy) handler() http.Handler {
	transport := &http.Transport{
		DialContext: p.dial, Proxy: nil, DisableCompression: true, MaxIdleConns: 16, IdleConnTimeout: 30 * time.Second,
		ResponseHeaderTimeout: 5 * time.Minute,
	}
	forward := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Header.Del("Proxy-Authorization") },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, sentence(err), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, authority := r.Method, r.URL.Host
		if r.Method == http.MethodConnect {
			method, authority = "", r.Host
		} else if r.URL.Scheme != "http" || r.URL.Host == "" {
			http.Error(w, "This is a proxy: ask it for an absolute http:// address, or for a tunnel (CONNECT).", http.StatusBadRequest)
			return
		}
		host, port, err := split(authority)
		if err != nil {
			http.Error(w, sentence(err), http.StatusBadRequest)
			return
		}
		if reason := p.refuses(method, host, port); reason != "" {
			p.refuse(net.JoinHostPort(host, strconv.Itoa(port)), reason)
			http.Error(w, "Conveyor refused the connection: "+reason, http.StatusForbidden)
			return
		}
		if method == "" {
			p.tunnel(w, r, host, port)
			return
		}
		forward.ServeHTTP(w, r)
	})
}

// split takes a host and a port from the authority of a request.
func split(authority string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(authority)
	if err != nil {
		host, text = strings.Trim(authority, "[]"), "80"
	}
	port, err = strconv.Atoi(text)
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if err != nil || port < 1 || port > 65535 || host == "" {
		return "", 0, fmt.Errorf("%.100q names no host and port", authority)
	}
	return host, port, nil
}

// refuses is empty for what may be asked for.
func (p *Proxy) refuses(method, host string, port int) string {
	if p.policy.Full || slices.ContainsFunc(p.policy.Rules, func(r Rule) bool { return r.allows(method, host, port) }) {
		return ""
	}
	return fmt.Sprintf("%.200s, port %d, is not on the list of what steps may reach", host, port)
}

// errNotPublic is for addresses that no step may reach.
var errNotPublic = errors.New("leads to an address that is not public")

// dial connects with a host whose name was allowed: with an address that was looked at, never with a name.
func (p *Proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := split(address)
	if err != nil {
		return nil, err
	}
	addresses, err := p.lookup(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("the name %.200s was not found", host)
	}
	var last error
	for _, a := range addresses {
		if !mayReach(a, p.policy.Private) {
			if last == nil {
				last = fmt.Errorf("%.200s %w", host, errNotPublic)
			}
			continue
		}
		conn, err := p.dialer.DialContext(ctx, network, netip.AddrPortFrom(a.Unmap(), uint16(port)).String())
		if err == nil {
			return &counted{Conn: conn, in: p.count(host, port, false), out: p.count(host, port, true)}, nil
		}
		last = fmt.Errorf("%.200s, port %d, does not answer", host, port)
	}
	if errors.Is(last, errNotPublic) {
		p.refuse(net.JoinHostPort(host, strconv.Itoa(port)), last.Error())
	}
	return nil, last
}

// tunnel joins the step with the host, byte by byte.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, host string, port int) {
	out, err := p.dial(r.Context(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		status := http.StatusBadGateway
		if errors.Is(err, errNotPublic) {
			status = http.StatusForbidden
		}
		http.Error(w, sentence(err), status)
		return
	}
	defer func() { _ = out.Close() }()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "A tunnel is only made over HTTP/1.1.", http.StatusHTTPVersionNotSupported)
		return
	}
	defer func() { _ = in.Close() }()
	stop := context.AfterFunc(r.Context(), func() { _, _ = in.Close(), out.Close() })
	defer stop()
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(out, buffered) // what the step had sent already is in the buffer
		closeWrite(out)
	})
	both.Go(func() {
		_, _ = io.Copy(in, out)
		closeWrite(in)
	})
	both.Wait()
}

// closeWrite says that no more will come, where the connection can say so for one direction.
func closeWrite(c net.Conn) {
	if counted, ok := c.(*counted); ok {
		c = counted.Conn
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}

func sentence(err error) string { return "Conveyor could not connect: " + err.Error() + "." }
