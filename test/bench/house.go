package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

const slug = "octo/shop"

// house is a Conveyor in a process of its own, installed at a local GitHub with one repository.
type house struct {
	s            *session
	dir, data    string
	address      string
	github       *github.Server
	app          github.App
	installation github.Installation
	repo         github.Repo
	env          []string
	requests     atomic.Int64 // that reached the local GitHub, of any kind
	server       *process
}

// build sets a house up. The server is not started yet.
func build(s *session, env ...string) (_ *house, err error) {
	h := &house{s: s}
	if h.dir, err = os.MkdirTemp("", "conveyor-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := os.Chmod(h.dir, 0o755); err != nil { // bundles lie below it, and runtimes look at them as another user
		return nil, err
	}
	h.data = filepath.Join(h.dir, "conveyor")
	count := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.requests.Add(1)
			next.ServeHTTP(w, r)
		})
	}
	if h.github, err = github.Start(github.Options{Dir: filepath.Join(h.dir, "github"), RateLimit: -1, Wrap: count}); err != nil {
		return nil, err
	}
	if h.address, err = freeAddress(); err != nil {
		return nil, err
	}
	h.github.AddUser("author")
	h.github.AddOrg("octo", "owner")
	if h.repo, err = h.github.CreateRepo("octo", "shop", true); err != nil {
		return nil, err
	}
	if err := h.github.Grant(slug, "author", "write"); err != nil {
		return nil, err
	}
	h.app, err = h.github.RegisterApp("octo", github.Manifest{
		Name: "Conveyor", URL: "http://" + h.address, HookAttributes: &github.Hook{URL: "http://" + h.address + "/webhooks/github"},
		DefaultPermissions: map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "members": "read", "merge_queues": "read", "metadata": "read", "pull_requests": "write"},
		DefaultEvents:      []string{"issue_comment", "merge_group", "pull_request", "push", "repository"},
	})
	if err != nil {
		return nil, err
	}
	if h.installation, err = h.github.InstallApp(h.app.Slug, "octo", "shop"); err != nil {
		return nil, err
	}
	h.env = append(os.Environ(),
		"CONVEYOR_LISTEN="+h.address, "CONVEYOR_PUBLIC_URL=http://"+h.address, "CONVEYOR_DATA_DIR="+h.data,
		"CONVEYOR_GITHUB_URL="+h.github.URL(), "CONVEYOR_GITHUB_API_URL="+strings.TrimSuffix(h.github.APIURL(), "/"),
		"CONVEYOR_APP_ID="+strconv.FormatInt(h.app.ID, 10), "CONVEYOR_PRIVATE_KEY="+h.app.PEM, "CONVEYOR_WEBHOOK_SECRET="+h.app.WebhookSecret,
		"CONVEYOR_GRACE=1s", "CONVEYOR_REDIS_URL=",
		"CONVEYOR_SWEEP_EVERY=0") // calls are counted, and what is looked for every minute belongs to no delivery
	h.env = append(h.env, env...)
	return h, nil
}

// open starts the server, and returns when it is ready.
func (h *house) open(ctx context.Context) (err error) {
	argv := []string{h.s.conveyor, "serve"}
	if h.s.profile != "" {
		argv = []string{h.s.self, "as-conveyor", filepath.Join(h.s.profile, h.s.name)}
	}
	if h.server, err = start(h.env, nil, argv...); err != nil {
		return err
	}
	return h.until(ctx, time.Minute, "ready", func() bool {
		page, err := h.page(ctx, "/readyz")
		return err == nil && strings.HasSuffix(page, "ready\n")
	})
}

// until looks again and again, and gives up when the server ends.
func (h *house) until(ctx context.Context, most time.Duration, what string, true func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("waited for %s for %s", what, most))
	defer cancel()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for !true() {
		select {
		case <-ctx.Done():
			return h.blame(context.Cause(ctx))
		case <-h.server.ended:
			return h.blame(errors.New("the server ended"))
		case <-look.C:
		}
	}
	return nil
}

// wait waits for a state of the local GitHub.
func (h *house) wait(ctx context.Context, what string, condition func(*github.View) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("waited a minute for %s", what))
	defer cancel()
	if err := h.github.Wait(ctx, condition); err != nil {
		return h.blame(errors.Join(context.Cause(ctx), err))
	}
	return nil
}

// rest waits until nothing is owed any more.
func (h *house) rest(ctx context.Context, most time.Duration) error {
	if err := h.github.Quiet(ctx); err != nil {
		return err
	}
	return h.until(ctx, most, "the server to rest", func() bool {
		page, err := h.page(ctx, "/metrics")
		return err == nil && strings.Contains(page, "\nconveyor_streams_waiting 0\n")
	})
}

func (h *house) blame(err error) error {
	return fmt.Errorf("%w; the server's last words:\n%s", err, h.server.last)
}

func (h *house) page(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.address+path, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(res.Body)
	return string(text), errors.Join(err, res.Body.Close())
}

// runtime is the OCI runtime that the server has found.
func (h *house) runtime(ctx context.Context) (string, error) {
	page, err := h.page(ctx, "/readyz?verbose")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"crun", "runc", "runsc"} {
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "[+] sandbox:") && strings.Contains(line, name) {
				return name, nil
			}
		}
	}
	return "", fmt.Errorf("the server has no OCI runtime; it says:\n%s", page)
}

// push commits a plan and a file, and returns the commit.
func (h *house) push(branch, plan, content string) (string, error) {
	return h.github.Commit(slug, branch, "author", "Change "+content, map[string]string{".github/conveyor.yml": plan, "README.md": content + "\n"})
}

// plan is a plan of one stage with so many steps.
func plan(steps int) string {
	text := "version: 1\non: {push: {branches: [main]}, pull_request: {}}\nstages:\n  - name: test\n    steps:\n"
	for i := range steps {
		text += fmt.Sprintf("      - {name: step-%d, run: \"true\"}\n", i+1)
	}
	return text
}

// tenSteps is a plan of two stages of five steps.
func tenSteps() string {
	text := plan(5) + "  - name: build\n    steps:\n"
	for i := range 5 {
		text += fmt.Sprintf("      - {name: build-%d, run: \"true\"}\n", i+1)
	}
	return text
}

const check = "conveyor / test"

// concluded waits until the commit's check is over, and wants it to be a success.
func (h *house) concluded(ctx context.Context, sha string) (run github.CheckRun, err error) {
	err = h.wait(ctx, "the check's end", func(v *github.View) (ok bool) {
		run, ok = v.CheckRun(slug, sha, check)
		return ok && run.Status == "completed"
	})
	if err == nil && run.Conclusion != "success" {
		err = h.blame(fmt.Errorf("the check ended as %s: %s\n%s", run.Conclusion, run.Title, run.Summary))
	}
	return run, err
}

// shut stops the server. It can be opened again.
func (h *house) shut() error {
	err := h.server.stop()
	h.server = nil
	return err
}

func (h *house) close() error {
	err := h.shut()
	if h.github != nil {
		err = errors.Join(err, h.github.Close())
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
