// Package e2e plays whole stories: a local GitHub, the assembled product, real git, a real sandbox.
package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

const repo = "octo/shop"

// patience is how long a test waits for something before it fails: much longer than it takes, for machines that are busy.
const patience = 3 * time.Minute

// house is one Conveyor with a GitHub of its own.
type house struct {
	t      *testing.T
	github github.Options
	gh     *github.Server
	at     github.Installation
	config app.Config
	rights map[string]string // permissions of the App beside those that it always has
	log    *safeBuffer
	stop   func()
	rests  func(context.Context) bool // whether the server has nothing to do
}

// key is the private key of all Apps: making one takes longer than a story.
var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// open starts a GitHub with octo/shop, its people, and a Conveyor that is installed there.
func open(t *testing.T, change ...func(*house)) *house {
	t.Helper()
	h := found(t, change...)
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

// found is a house whose Conveyor does not run yet.
func found(t *testing.T, change ...func(*house)) *house {
	t.Helper()
	check := &conform.Checker{}
	h := &house{
		t: t, log: &safeBuffer{}, stop: func() {},
		github: github.Options{Dir: t.TempDir(), Wrap: check.Wrap, NewKey: key},
		config: app.Config{DataDir: t.TempDir(), Sandbox: "auto", Workers: 2, Grace: 5 * time.Second, OpenPages: true},
	}
	for _, c := range change {
		c(h)
	}
	t.Cleanup(func() {
		for _, v := range check.Violations() {
			t.Errorf("GitHub's own description does not allow it: %s", v)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", h.log.String())
		}
	})
	gh, err := github.Start(h.github)
	if err != nil {
		t.Fatal(err)
	}
	h.gh = gh
	t.Cleanup(func() {
		if err := gh.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, login := range []string{"author", "reader", "maintainer"} {
		gh.AddUser(login)
	}
	gh.AddOrg("octo", "maintainer")
	must(gh.CreateRepo("octo", "shop", true))(t)
	for login, role := range map[string]string{"author": "write", "reader": "read", "maintainer": "maintain"} {
		h.grant(login, role)
	}
	address := freeAddress(t)
	rights := map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "members": "read", "merge_queues": "read", "metadata": "read", "pull_requests": "write"}
	maps.Copy(rights, h.rights)
	registered := must(gh.RegisterApp("octo", github.Manifest{
		Name: "Conveyor", URL: "http://" + address, HookAttributes: &github.Hook{URL: "http://" + address + "/webhooks/github"},
		DefaultPermissions: rights,
		DefaultEvents:      []string{"issue_comment", "merge_group", "pull_request", "push", "repository"},
	}))(t)
	h.at = must(gh.InstallApp(registered.Slug, "octo", "shop"))(t)
	c := &h.config
	c.Listen, c.PublicURL, c.GitHubURL, c.GitHubAPIURL = address, "http://"+address, gh.URL(), strings.TrimSuffix(gh.APIURL(), "/")
	c.AppID, c.PrivateKey, c.WebhookSecrets = registered.ID, appgithub.NewSecret(registered.PEM), []appgithub.Secret{appgithub.NewSecret(registered.WebhookSecret)}
	return h
}

var houses atomic.Uint32

// freeAddress is an address that nobody listens on, and that nobody gets by asking for any free one: it is this test's own
// number in 127.0.0.0/8.
func freeAddress(t *testing.T) string {
	t.Helper()
	n := houses.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+os.Getpid()%250, n/250, 1+n%250))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// start starts Conveyor on the house's data.
func (h *house) start() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, h.config, slog.New(slog.NewTextHandler(h.log, nil)))
	if err != nil {
		cancel()
		h.t.Fatal(err)
	}
	h.rests = a.Resting
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-done, a.Close()); err != nil {
				h.t.Errorf("the server did not end well: %v", err)
			}
		})
	}
}

// wait waits for a state of the local GitHub.
func (h *house) wait(what string, condition func(*github.View) bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.gh.Wait(ctx, condition); err != nil {
		h.t.Fatalf("waited for %s: %v", what, err)
	}
}

// concluded waits until a check run is completed.
func (h *house) concluded(sha, name string) (run github.CheckRun) {
	h.t.Helper()
	h.wait(name+" of "+sha[:7], func(v *github.View) bool {
		var ok bool
		run, ok = v.CheckRun(repo, sha, name)
		return ok && run.Status == "completed"
	})
	return run
}

// quiet waits until every webhook is delivered and every stream rests. What is done last may raise one more webhook, so
// that both must be true twice in a row.
func (h *house) quiet() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for calm := 0; calm < 2; calm++ {
		if err := h.gh.Quiet(ctx); err != nil {
			h.t.Fatal(err)
		}
		h.until("rest", func() bool {
			rests := h.rests(ctx)
			if !rests {
				calm = -1
			}
			return rests
		})
	}
}

// until asks again and again, until the answer is yes.
func (h *house) until(what string, condition func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			h.t.Fatalf("waited for %s, in vain", what)
		case <-look.C:
		}
	}
}

// push commits files to a branch, the plan among them.
func (h *house) push(branch, who, message string, files map[string]string) string {
	h.t.Helper()
	return must(h.gh.Commit(repo, branch, who, message, files))(h.t)
}

// plan is a plan of one stage, with what follows.
func plan(script string, more ...string) map[string]string {
	text := "version: 1\non: {push: {branches: [main]}, pull_request: {}}\nstages:\n  - name: test\n    steps:\n      - name: unit\n        run: |\n"
	for line := range strings.Lines(script) {
		text += "          " + line
	}
	return map[string]string{".github/conveyor.yml": text + "\n" + strings.Join(more, "\n"), "README.md": "shop\n"}
}

// withSites is a plan that builds a site and deploys it to a preview, staging, and production behind a maintainer.
func withSites(page string) map[string]string {
	files := plan("mkdir dist && cp page.html dist/index.html",
		"        artifact: {name: site, paths: [dist/**]}",
		"environments:",
		"  preview: {on: pull_request, artifact: site, target: {static: preview}}",
		"  staging: {on: {branch: main}, artifact: site, target: {static: staging}}",
		"  production:",
		"    after: staging",
		"    artifact: site",
		"    target: {static: production}",
		"    approve: {by: [maintain], not_author: true}",
	)
	files["page.html"] = page
	return files
}

// site is where a static environment's current release lies.
func (h *house) site(env string) string {
	return filepath.Join(h.config.DataDir, "sites", filepath.FromSlash(env), "current")
}

// must is for calls that only fail when the test itself is wrong.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
