package github_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

// world is a local GitHub with conformance on and an App that listens.
type world struct {
	*github.Server
	t     *testing.T
	check *conform.Checker
	clock *clock
	inbox *inbox
	app   github.App
}

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// inbox is a receiver of webhooks.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	got    []heard
	answer func(heard) int
}

type heard struct {
	event   string
	header  http.Header
	raw     []byte
	payload map[string]any
}

func (h heard) name() string {
	if action, ok := h.payload["action"].(string); ok {
		return h.event + "." + action
	}
	return h.event
}

func newInbox(t *testing.T) *inbox {
	in := &inbox{}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the GitHub was closed in the middle of it
		}
		h := heard{event: r.Header.Get("X-GitHub-Event"), header: r.Header, raw: body}
		if err := json.Unmarshal(body, &h.payload); err != nil {
			t.Error(err)
		}
		in.mu.Lock()
		in.got = append(in.got, h)
		answer := in.answer
		in.mu.Unlock()
		if answer != nil {
			w.WriteHeader(answer(h))
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) names() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []string
	for _, h := range in.got {
		out = append(out, h.name())
	}
	return out
}

func (in *inbox) last(name string) (heard, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := len(in.got) - 1; i >= 0; i-- {
		if in.got[i].name() == name {
			return in.got[i], true
		}
	}
	return heard{}, false
}

// manifest asks for what the product asks for.
func manifest(hook string) github.Manifest {
	return github.Manifest{
		Name: "Conveyor", URL: "https://conveyor.example", RedirectURL: hook + "/setup/done", HookAttributes: &github.Hook{URL: hook + "/hooks"},
		DefaultPermissions: map[string]string{"checks": "write", "deployments": "write", "pull_requests": "write", "issues": "write",
			"contents": "read", "metadata": "read", "members": "read", "statuses": "read"},
		DefaultEvents: []string{"push", "pull_request", "pull_request_review", "issue_comment", "create", "delete", "deployment", "deployment_status", "repository", "status"},
	}
}

// sharedKey saves a second of prime numbers in every test.
var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func start(t *testing.T, change ...func(*github.Options)) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, check: &conform.Checker{}, clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, inbox: newInbox(t)}
	opt := github.Options{NewKey: sharedKey, Dir: t.TempDir(), Now: w.clock.now, Wrap: w.check.Wrap, Seed: 7}
	for _, f := range change {
		f(&opt)
	}
	server, err := github.Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = server
	t.Cleanup(func() {
		for _, d := range w.Deliveries() {
			w.check.Webhook(d.Event, d.Payload)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range w.check.Violations() {
			t.Errorf("does not conform: %s", v)
		}
	})
	w.AddOrg("acme", "ada")
	return w
}

// ready is a world with an installed App and a repository with one commit.
func ready(t *testing.T, change ...func(*github.Options)) (w *world, sha string, gh *gogithub.Client) {
	t.Helper()
	w = start(t, change...)
	w.must(w.CreateRepo("acme", "shop", true))
	app, err := w.RegisterApp("acme", manifest(w.inbox.URL))
	w.ok(err)
	w.app = app
	i, err := w.InstallApp(app.Slug, "acme")
	w.ok(err)
	sha = w.commit("main", "ada", map[string]string{"README.md": "hello\n"})
	return w, sha, w.installation(i.ID, nil)
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	w.ok(err)
}

func (w *world) commit(branch, actor string, files map[string]string) string {
	w.t.Helper()
	sha, err := w.Commit("acme/shop", branch, actor, "change "+branch, files)
	w.ok(err)
	return sha
}

func (w *world) quiet() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.ok(w.Quiet(ctx))
}

func (w *world) jwt(change func(jwt.MapClaims)) string {
	w.t.Helper()
	return w.sign(w.app, change)
}

func (w *world) sign(app github.App, change func(jwt.MapClaims)) string {
	w.t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(app.PEM))
	w.ok(err)
	now := w.clock.now()
	claims := jwt.MapClaims{"iss": strconv.FormatInt(app.ID, 10), "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix()}
	if change != nil {
		change(claims)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	w.ok(err)
	return text
}

// with makes a client that sends this credential.
func (w *world) with(token string) *gogithub.Client {
	w.t.Helper()
	client := gogithub.NewClient(&http.Client{})
	if token != "" {
		client = client.WithAuthToken(token)
	}
	base, err := url.Parse(w.APIURL())
	w.ok(err)
	client.BaseURL = base
	return client
}

func (w *world) asApp() *gogithub.Client { return w.with(w.jwt(nil)) }

func (w *world) token(id int64, opt *gogithub.InstallationTokenOptions) string {
	w.t.Helper()
	token, _, err := w.asApp().Apps.CreateInstallationToken(context.Background(), id, opt)
	w.ok(err)
	return token.GetToken()
}

func (w *world) installation(id int64, opt *gogithub.InstallationTokenOptions) *gogithub.Client {
	w.t.Helper()
	return w.with(w.token(id, opt))
}

// api makes a bare call and decodes the answer.
func (w *world) api(token, method, path, body string, header ...string) (int, http.Header, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequest(method, strings.TrimSuffix(w.APIURL(), "/")+path, strings.NewReader(body))
	w.ok(err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer res.Body.Close()
	var out map[string]any
	text, err := io.ReadAll(res.Body)
	w.ok(err)
	_ = json.Unmarshal(text, &out)
	return res.StatusCode, res.Header, out
}

// git runs git as a user of the machine would, away from its configuration.
func (w *world) git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=grace", "GIT_AUTHOR_EMAIL=grace@example.com", "GIT_COMMITTER_NAME=grace", "GIT_COMMITTER_EMAIL=grace@example.com"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (w *world) mustGit(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.git(dir, args...)
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (w *world) cloneURL(token string) string {
	return strings.Replace(w.URL(), "http://", "http://x-access-token:"+token+"@", 1) + "/acme/shop.git"
}

func sha256Sign(secret string, body []byte) string {
	return "sha256=" + github.Sign(secret, body, sha256.New)
}
