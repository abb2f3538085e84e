package github

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	jwt "github.com/golang-jwt/jwt/v4"
	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Config is what an App needs to speak.
type Config struct {
	APIURL     string            // "https://api.github.com", or "https://HOST/api/v3" of GitHub Enterprise Server
	WebURL     string            // "https://github.com": where people and git go
	AppID      int64             // the App's number
	PrivateKey []byte            // the App's key, PEM
	Transport  http.RoundTripper // below everything; nil is a private copy of net/http's own
	Now        func() time.Time  // nil is time.Now
	Log        *slog.Logger      // nil says nothing
	UserAgent  string            // empty is "conveyor"
	Observe    func(Call)        // told of every request, from many goroutines; nil tells nobody
}

// Call is one request to GitHub, for counting.
type Call struct {
	Installation int64         // 0 for what the App asks as itself
	Class        Class         // how much someone waits for it
	Route        string        // what it was for: "checks", "deployments", "comments", "roles", "pulls", "token", …
	Method       string        // GET, POST, …
	Status       int           // 0 when there was no answer
	Outcome      string        // "ok", "refused", "limited", "unavailable"; "held" when it was not sent, for a limit, for what is more urgent, or for want of a token
	Took         time.Duration // until the whole answer was read
}

// App is one GitHub App. It is safe for use by many goroutines.
type App struct {
	id      int64
	api     *url.URL // ends with a slash
	web     *url.URL // ends with a slash
	key     *rsa.PrivateKey
	base    http.RoundTripper
	now     func() time.Time
	log     *slog.Logger
	agent   string
	observe func(Call)
	self    atomic.Pointer[Self]
	itself  *gh.Client // speaks as the App, with limits of its own

	mu        sync.Mutex
	installed map[int64]*Installation
}

// New checks the configuration and makes no call. Its error says what to put right, and never holds the key.
func New(c Config) (*App, error) {
	if c.AppID <= 0 {
		return nil, fmt.Errorf("github: the App id is missing; it stands on the App's settings page")
	}
	api, err := parseBase("API", c.APIURL)
	if err != nil {
		return nil, err
	}
	web, err := parseBase("web", c.WebURL)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(c.PrivateKey)
	if err != nil {
		return nil, err
	}
	a := &App{
		id: c.AppID, api: api, web: web, key: key, base: c.Transport, now: c.Now, log: c.Log, agent: c.UserAgent,
		observe: c.Observe, installed: map[int64]*Installation{},
	}
	if a.base == nil {
		a.base = http.DefaultTransport.(*http.Transport).Clone()
	}
	a.base = &crowd{next: a.base, places: make(chan struct{}, maxCrowd)}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.agent == "" {
		a.agent = "conveyor"
	}
	if a.observe == nil {
		a.observe = func(Call) {}
	}
	a.itself = newClient(a.api, a.agent, newGuard(a, 0, newAsApp(a)))
	return a, nil
}

func parseKey(pem []byte) (*rsa.PrivateKey, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM(pem)
	if err != nil {
		// The parser's own words are left out: they are about the key's bytes.
		return nil, fmt.Errorf("github: the App's private key is not an RSA key in PEM form; download a new one from the App's settings page")
	}
	if key.N.BitLen() < 2048 {
		return nil, fmt.Errorf("github: the App's private key has only %d bits; generate a new one on the App's settings page", key.N.BitLen())
	}
	return key, nil
}

// Installation is the App in one account. The same id always gives the same Installation. It makes no call.
func (a *App) Installation(id int64) *Installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	in := a.installed[id]
	if in == nil {
		in = newInstallation(a, id)
		a.installed[id] = in
	}
	return in
}

func (a *App) all() []*Installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.installed))
}

// RevokeLeft ends the tokens whose end could not be told to GitHub when it was due.
func (a *App) RevokeLeft(ctx context.Context) error {
	var all []error
	for _, in := range a.all() {
		all = append(all, in.RevokeLeft(ctx))
	}
	return errors.Join(all...)
}

// Budget is what is left to the installation that has least, and until when the last of them is limited. limited counts
// those that are.
func (a *App) Budget() (least Budget, limited int) {
	least = Budget{Points: pointsPerMinute, Creates: createsPerMin, CreatesHour: createsPerHour, Calls: -1}
	for _, in := range a.all() {
		b := in.Budget()
		least.Points, least.Creates, least.CreatesHour = min(least.Points, b.Points), min(least.Creates, b.Creates), min(least.CreatesHour, b.CreatesHour)
		if b.Calls >= 0 && (least.Calls < 0 || b.Calls < least.Calls) {
			least.Calls = b.Calls
		}
		if !b.LimitedUntil.IsZero() {
			limited++
		}
		if b.LimitedUntil.After(least.LimitedUntil) {
			least.LimitedUntil, least.Why = b.LimitedUntil, b.Why
		}
	}
	return least, limited
}

// CloneURL is where git finds the repository. It holds no credentials.
func (a *App) CloneURL(repo pipeline.Repo) (string, error) {
	if err := checkRepo(repo); err != nil {
		return "", err
	}
	return a.web.JoinPath(repo.Owner, repo.Name+".git").String(), nil
}

// client is a go-github client of our own round tripper; all of them go through a guard.
func newClient(api *url.URL, agent string, g *guard) *gh.Client {
	c := gh.NewClient(&http.Client{Transport: g, CheckRedirect: g.redirect})
	c.BaseURL, c.UserAgent = api, agent
	return c
}

// WithRun names the run on whose behalf the calls are made. It is sent as X-Conveyor-Run, so that a call can be found
// again in a proxy's log.
func WithRun(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, runKey{}, headerSafe(run))
}

type (
	runKey   struct{}
	routeKey struct{}
	tokenKey struct{}
)

func withRoute(ctx context.Context, route string) context.Context {
	return context.WithValue(ctx, routeKey{}, route)
}

// headerSafe keeps what may stand in a header: printable ASCII, and not too much of it.
func headerSafe(s string) string {
	safe := make([]byte, 0, len(s))
	for i := 0; i < len(s) && len(safe) < 200; i++ {
		if s[i] >= 0x20 && s[i] < 0x7f {
			safe = append(safe, s[i])
		}
	}
	return string(safe)
}

// String names the App, and shows nothing of its key.
func (a *App) String() string { return fmt.Sprintf("GitHub App %d", a.id) }
