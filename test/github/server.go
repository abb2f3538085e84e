package github

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Options say how a Server starts. The zero value is a server on a free
// loopback port, with git directories in a new temporary directory.
type Options struct {
	Addr           string           // host:port to listen on; empty means a free port of 127.0.0.1
	Socket         string           // also listen on this Unix socket, which is how gh reaches a server without TLS; empty means not
	Dir            string           // where the bare repositories go; empty means a temporary directory, removed by Close
	Now            func() time.Time // the clock; nil means time.Now
	Log            *slog.Logger     // nil means no log
	WebhookTimeout time.Duration    // how long a receiver may take; zero means GitHub's 10 s
	RateLimit      int              // calls per hour and installation or user; zero means GitHub's 5,000, negative none
	Seed           uint64           // for faults with a probability
	HoldHooks      bool             // new Apps hear nothing before ReleaseHooks

	// NewKey makes the private keys of Apps; nil means a new RSA key of 2,048
	// bits each time. Tests that register many Apps may share one to save time.
	NewKey func() (*rsa.PrivateKey, error)

	First int64 // no number is lower than this, but those that Number gives; zero is 1000

	// Wrap stands between the network and the server; the conformance check
	// is put here. It sees REST, web and git requests alike.
	Wrap func(http.Handler) http.Handler
}

// Server is one GitHub. All its methods may be called from any goroutine.
type Server struct {
	opt     Options
	base    string // http://127.0.0.1:port, without a slash at the end
	listen  net.Listener
	http    *http.Server
	served  sync.WaitGroup
	ownsDir bool
	routes  []*route
	stop    context.CancelFunc // ends deliveries at Close
	ctx     context.Context
	workers sync.WaitGroup

	// mu guards everything below, and all state reachable from it. changed is
	// signalled after each change, so that Wait need not poll.
	mu       sync.Mutex
	changed  *sync.Cond
	seq      int64
	given    int64 // the number of what is made next, when it is given
	random   *mathrand.Rand
	users    map[string]*User // by lower-case login; organisations and bots too
	signedIn string           // who registers Apps in the browser
	teams    []*Team
	repos    []*Repo
	large    map[string]string // files in Git LFS, by hash
	apps     []*App
	tokens   map[string]*identity
	codes    map[string]*manifestCode
	faults   []*Fault
	hookBugs []*HookFault
	limits   map[string]*window
	calls    []Call
	log      []*Delivery // every delivery attempt, in order of time
}

// Start begins to listen and answers at once. The caller must Close it.
func Start(opt Options) (*Server, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if opt.WebhookTimeout == 0 {
		opt.WebhookTimeout = 10 * time.Second
	}
	if opt.RateLimit == 0 {
		opt.RateLimit = 5000
	}
	if opt.NewKey == nil {
		opt.NewKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	if opt.First == 0 {
		opt.First = 1000
	}
	if opt.Addr == "" {
		opt.Addr = "127.0.0.1:0"
	}
	if err := checkGit(); err != nil {
		return nil, err
	}
	s := &Server{
		opt: opt, seq: opt.First,
		random: mathrand.New(mathrand.NewPCG(opt.Seed, opt.Seed)),
		users:  map[string]*User{}, tokens: map[string]*identity{},
		codes: map[string]*manifestCode{}, limits: map[string]*window{},
	}
	s.changed = sync.NewCond(&s.mu)
	if opt.Dir == "" {
		dir, err := os.MkdirTemp("", "github-")
		if err != nil {
			return nil, fmt.Errorf("github: make a directory for repositories: %w", err)
		}
		s.opt.Dir, s.ownsDir = dir, true
	}
	if err := os.MkdirAll(s.opt.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("github: make %s: %w", s.opt.Dir, err)
	}
	listen, err := net.Listen("tcp", opt.Addr)
	if err != nil {
		return nil, fmt.Errorf("github: listen on %s: %w", opt.Addr, err)
	}
	s.listen, s.base = listen, "http://"+listen.Addr().String()
	s.routes = restRoutes()
	s.ctx, s.stop = context.WithCancel(context.Background())
	var handler http.Handler = s.handler()
	if opt.Wrap != nil {
		handler = opt.Wrap(handler)
	}
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(s.opt.Log.Handler(), slog.LevelDebug)}
	listeners := []net.Listener{listen}
	if opt.Socket != "" {
		socket, err := net.Listen("unix", opt.Socket)
		if err != nil {
			_ = listen.Close()
			return nil, fmt.Errorf("github: listen on %s: %w", opt.Socket, err)
		}
		listeners = append(listeners, socket)
	}
	for _, l := range listeners {
		s.served.Add(1)
		go func() {
			defer s.served.Done()
			_ = s.http.Serve(l)
		}()
	}
	return s, nil
}

// URL is the root of the web pages and of git, without a slash at the end.
func (s *Server) URL() string { return s.base }

// APIURL is the root of the REST API, with a slash at the end as go-github
// wants it; octokit wants it without.
func (s *Server) APIURL() string { return s.base + "/api/v3/" }

// Close stops listening, gives up waiting deliveries and ends what it started.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	s.served.Wait()
	s.mu.Lock()
	apps, repos := s.apps, s.repos
	for _, a := range apps {
		a.queue.close()
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	s.workers.Wait()
	for _, r := range repos {
		r.git.close()
	}
	if s.ownsDir {
		err = errors.Join(err, os.RemoveAll(s.opt.Dir))
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v3/", s.serveREST)
	mux.HandleFunc("/api/v3", s.serveREST)
	mux.HandleFunc("/", s.serveWeb)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/large-media/") {
			s.serveLarge(w, r)
			return
		}
		if isGit(r) {
			s.serveGit(w, r)
			return
		}
		if strings.HasPrefix(r.Host, "api.") { // api.github.localhost, as gh says it
			r.URL.Path = "/api/v3" + r.URL.Path
			if r.URL.RawPath != "" {
				r.URL.RawPath = "/api/v3" + r.URL.RawPath
			}
		}
		// Not through the mux for REST: it would redirect `//` and `..`.
		if len(r.URL.Path) >= 7 && r.URL.Path[:7] == "/api/v3" {
			s.serveREST(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Wait returns once the condition holds, or with the context's error. The
// condition is asked after every change of state; it must not block and must
// not call the Server's methods, only those of its View.
func (s *Server) Wait(ctx context.Context, condition func(*View) bool) error {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !condition(&View{s}) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("github: wait for a condition: %w", context.Cause(ctx))
		}
		if s.ctx.Err() != nil {
			return errors.New("github: wait for a condition: the server was closed")
		}
		s.changed.Wait()
	}
	return nil
}

// Look calls f once with the state as it is.
func (s *Server) Look(f func(*View)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&View{s})
}

// Number gives the next thing that is made its number, instead of the next free one.
func (s *Server) Number(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = id
}

// next gives an id. One rising sequence serves all kinds, so that an id of
// one kind used as another is always noticed.
func (s *Server) next() int64 {
	if id := s.given; id != 0 {
		s.given = 0
		return id
	}
	s.seq++
	return s.seq
}

func (s *Server) now() time.Time { return s.opt.Now().UTC() }

// stamp is a time the way GitHub writes it; the zero time is null.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}
