package sourcetest

import (
	"bytes"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Server is a real Git server over HTTP (git http-backend) that asks for a token as GitHub does: the user
// x-access-token with the token as password.
type Server struct {
	base    string // http://127.0.0.1:port
	root    string
	backend string
	fetches atomic.Int64
	mu      sync.Mutex
	rules   Rules
	large   *Large
}

// Rules say how the server behaves.
type Rules struct {
	Token      string                    // who has another one is refused; empty: everybody may read
	ByNameOnly bool                      // serves what a ref shows and nothing by id, as old servers do
	Moved      map[string]string         // answers the path "/owner/name.git" with a redirect to that address
	OnRequest  func(r *http.Request)     // sees each request while git waits for the answer
	Hold       func(*http.Request) error // called before an answer to a fetch; returns when it may go on
}

// NewServer starts a server without repositories, with the token already set. It ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("git is not installed; apt-get install git: %v", err)
	}
	s := &Server{root: t.TempDir(), rules: Rules{Token: "ghs_canary" + strings.Repeat("7", 26)}}
	s.backend = filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	if _, err := os.Stat(s.backend); err != nil {
		t.Fatalf("git came without its HTTP server; apt-get install git: %v", err)
	}
	web := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(web.Close)
	s.base = web.URL
	return s
}

// URL is where a repository is fetched from.
func (s *Server) URL(repo pipeline.Repo) string { return s.base + "/" + repo.Slug() + ".git" }

// Change changes how the server behaves from the next request on.
func (s *Server) Change(change func(*Rules)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.rules)
}

// Token is the one that the server takes.
func (s *Server) Token() string { return s.now().Token }

func (s *Server) now() Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules
}

// Fetches counts how often a client has started to fetch.
func (s *Server) Fetches() int { return int(s.fetches.Load()) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	rules := s.now()
	if rules.OnRequest != nil {
		rules.OnRequest(r)
	}
	start := strings.HasSuffix(r.URL.Path, "/info/refs")
	if start {
		s.fetches.Add(1)
	}
	for from, to := range rules.Moved {
		if rest, ok := strings.CutPrefix(r.URL.Path, from); ok {
			http.Redirect(w, r, to+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
	}
	if user, password, _ := r.BasicAuth(); rules.Token != "" && (user != "x-access-token" || password != rules.Token) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Git"`)
		http.Error(w, "\x1b[31mno: "+r.Header.Get("Authorization"), http.StatusUnauthorized) // a server that repeats secrets
		return
	}
	s.mu.Lock()
	large := s.large
	s.mu.Unlock()
	switch {
	case large == nil:
	case strings.HasSuffix(r.URL.Path, ".git/info/lfs/objects/batch"):
		large.batch(w, r, s.base)
		return
	case strings.HasPrefix(r.URL.Path, "/large/"):
		large.give(w, r)
		return
	}
	if rules.Hold != nil && !start {
		if rules.Hold(r) != nil {
			return
		}
	}
	env := []string{"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	if rules.ByNameOnly {
		r.Header.Del("Git-Protocol") // the second version of the protocol serves everything by id
	} else if v := r.Header.Get("Git-Protocol"); v != "" {
		env = append(env, "GIT_PROTOCOL="+v)
	}
	var complaint bytes.Buffer
	h := cgi.Handler{Path: s.backend, Root: "/", Env: env, Stderr: &complaint}
	h.ServeHTTP(w, r)
}

// Repository is a repository on the server.
type Repository struct {
	pipeline.Repo
	dir    string
	mu     sync.Mutex
	number int // of commits made; each gets a second of its own
}

// Repository makes an empty repository.
func (s *Server) Repository(t testing.TB, id int64, owner, name string) *Repository {
	t.Helper()
	r := &Repository{Repo: pipeline.Repo{ID: id, Owner: owner, Name: name, Branch: "main"}, dir: filepath.Join(s.root, owner, name+".git")}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r.git(t, nil, "init", "--quiet", "--bare", "--initial-branch=main", ".")
	return r
}
