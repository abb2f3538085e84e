package github_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	appID        = 77
	installation = 7
)

var shop = pipeline.Repo{ID: 501, Owner: "acme", Name: "shop", Installation: installation, Branch: "main"}

var sha = pipeline.Commit(strings.Repeat("a1", 20))

// key is one RSA key for all tests; making one takes longer than a test.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key())})
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

// newClock is far from the machine's own, so that a use of the wrong one shows.
func newClock() *clock { return &clock{t: time.Date(2041, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// stub is a GitHub that gives out tokens and answers everything else as the test says.
type stub struct {
	*httptest.Server
	clock  *clock
	minted atomic.Int64                     // tokens given
	asked  atomic.Int64                     // other requests
	mint   atomic.Pointer[http.HandlerFunc] // what answers token requests instead
	last   atomic.Pointer[http.Header]      // of the last other request
	answer func(http.ResponseWriter, *http.Request)
}

func newStub(t *testing.T, answer http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{clock: newClock(), answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.clock.now().UTC().Format(http.TimeFormat))
		if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
			s.asked.Add(1)
			header := r.Header.Clone()
			s.last.Store(&header)
			s.answer(w, r)
			return
		}
		if mint := s.mint.Load(); mint != nil {
			(*mint)(w, r)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":"ghs_canary%04d.abcdefghijklmnop","expires_at":%q}`, s.minted.Add(1), s.clock.now().Add(time.Hour).Format(time.RFC3339))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) setMint(h http.HandlerFunc) { s.mint.Store(&h) }

func (s *stub) app(t *testing.T, change ...func(*github.Config)) *github.App {
	t.Helper()
	c := github.Config{APIURL: s.URL + "/api/v3", WebURL: s.URL, AppID: appID, PrivateKey: keyPEM(), Now: s.clock.now}
	for _, f := range change {
		f(&c)
	}
	app, err := github.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func (s *stub) installation(t *testing.T) *github.Installation {
	t.Helper()
	return s.app(t).Installation(installation)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// pull answers like a pull request, for tests that need any read.
func pull(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, `{"number":3,"state":"open","head":{"sha":%q,"ref":"topic","repo":null},"base":{"ref":"main","repo":{"id":501}},"user":{"id":9,"login":"ada"}}`, sha)
}

// created answers every write with a number.
func created(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"id":4711}`)
}

func check() github.CheckRun {
	return github.CheckRun{
		ExternalID: "run/501/guid conveyor / test", Name: "conveyor / test", Commit: sha, Status: pipeline.InProgress,
		Title: "Running", Summary: "All of it",
	}
}
