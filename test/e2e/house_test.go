// Package e2e plays whole stories: a local GitHub, the assembled product, real git, a real sandbox.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

const repo = "octo/shop"

// house is one Conveyor with a GitHub of its own.
type house struct {
	t      *testing.T
	gh     *github.Server
	app    *app.App
	config app.Config
	log    *safeBuffer
	stop   func()
}

// open starts a GitHub with octo/shop, its people, and a Conveyor that is installed there.
func open(t *testing.T, change ...func(*app.Config)) *house {
	t.Helper()
	check := &conform.Checker{}
	t.Cleanup(func() {
		for _, v := range check.Violations() {
			t.Errorf("GitHub's own description does not allow it: %s", v)
		}
	})
	gh, err := github.Start(github.Options{Dir: t.TempDir(), Wrap: check.Wrap})
	if err != nil {
		t.Fatal(err)
	}
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
		if err := gh.Grant(repo, login, role); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	registered := must(gh.RegisterApp("octo", github.Manifest{
		Name: "Conveyor", URL: "http://" + address, HookAttributes: &github.Hook{URL: "http://" + address + "/webhooks/github"},
		DefaultPermissions: map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "members": "read", "metadata": "read", "pull_requests": "write"},
		DefaultEvents:      []string{"issue_comment", "pull_request", "push"},
	}))(t)
	must(gh.InstallApp(registered.Slug, "octo", "shop"))(t)

	data := t.TempDir()
	h := &house{t: t, gh: gh, log: &safeBuffer{}, config: app.Config{
		Listen: address, PublicURL: "http://" + address, DataDir: data,
		GitHubURL: gh.URL(), GitHubAPIURL: strings.TrimSuffix(gh.APIURL(), "/"), AppID: registered.ID,
		PrivateKey: appgithub.NewSecret(registered.PEM), WebhookSecrets: []appgithub.Secret{appgithub.NewSecret(registered.WebhookSecret)},
		Sandbox: "auto", Workers: 2, Grace: 5 * time.Second, OpenPages: true,
	}}
	for _, c := range change {
		c(&h.config)
	}
	h.start()
	t.Cleanup(func() {
		h.stop()
		if t.Failed() {
			t.Logf("the server said:\n%s", h.log.String())
		}
	})
	return h
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
	h.app = a
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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

// quiet waits until every webhook is delivered and every stream rests.
func (h *house) quiet() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.gh.Quiet(ctx); err != nil {
		h.t.Fatal(err)
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !h.app.Resting(ctx) {
		select {
		case <-ctx.Done():
			h.t.Fatal("the server never came to rest")
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
