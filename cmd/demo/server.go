package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
)

// server is the Conveyor process. When it dies without being asked to, it is started again, as a service manager would.
type server struct {
	url   string
	data  string
	argv  []string
	env   []string
	line  *timeline
	gone  chan error // when it cannot be kept up
	shown io.Writer

	mu       sync.Mutex
	process  *exec.Cmd
	stopping bool
	deaths   int
	ended    chan struct{}
	last     *tail
}

func newServer(o options, address, data string, gh *github.Server, credentials appgithub.Credentials, line *timeline) *server {
	s := &server{url: "http://" + address, data: data, argv: []string{o.conveyor, "serve"}, line: line, gone: make(chan error, 1), last: &tail{}}
	s.shown = s.last
	if o.verbose {
		s.shown = io.MultiWriter(s.last, os.Stderr)
	}
	s.env = append(os.Environ(),
		"CONVEYOR_LISTEN="+address, "CONVEYOR_PUBLIC_URL="+s.url, "CONVEYOR_DATA_DIR="+data,
		"CONVEYOR_GITHUB_URL="+gh.URL(), "CONVEYOR_GITHUB_API_URL="+strings.TrimSuffix(gh.APIURL(), "/"),
		fmt.Sprintf("CONVEYOR_APP_ID=%d", credentials.AppID),
		"CONVEYOR_PRIVATE_KEY="+credentials.PEM.Reveal(), "CONVEYOR_WEBHOOK_SECRET="+credentials.WebhookSecret.Reveal(),
		"CONVEYOR_OPEN_PAGES=true", "CONVEYOR_GRACE=3s", "CONVEYOR_REDIS_URL="+o.redis,
	)
	if root := goRoot(); root != "" && !strings.HasPrefix(root, "/usr/") {
		s.env = append(s.env, "CONVEYOR_TOOLS="+root) // the shop is written in Go: its steps must see the tools
	}
	return s
}

// goRoot is where this machine's Go is.
func goRoot() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// start starts the process, and returns when it is ready.
func (s *server) start(ctx context.Context) error {
	s.mu.Lock()
	process := exec.Command(s.argv[0], s.argv[1:]...) // it outlives ctx: it is stopped by stop, with a signal
	process.Env, process.Stdout, process.Stderr = s.env, s.shown, s.shown
	ended := make(chan struct{})
	if err := process.Start(); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("start the server: %w; build it with `make build`", err)
	}
	s.process, s.ended = process, ended
	s.mu.Unlock()
	go func() {
		err := process.Wait()
		close(ended)
		s.died(ctx, err)
	}()
	return s.ready(ctx, ended)
}

// ready waits for /readyz.
func (s *server) ready(ctx context.Context, ended <-chan struct{}) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if res, err := http.Get(s.url + "/readyz"); err == nil {
			_ = res.Body.Close() // the status is all there is to know
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return fmt.Errorf("the server did not start:\n%s", s.last.String())
		case <-look.C:
		}
	}
}

// died starts the process again, unless it was told to stop or keeps dying.
func (s *server) died(ctx context.Context, err error) {
	s.mu.Lock()
	stopping := s.stopping
	s.deaths++
	deaths := s.deaths
	s.mu.Unlock()
	if stopping {
		return
	}
	if deaths > 5 || ctx.Err() != nil {
		s.gone <- fmt.Errorf("it died %d times; its last words:\n%s", deaths, s.last.String())
		return
	}
	s.line.note("The server died (%v); starting it again.", err)
	if err := s.start(ctx); err != nil && ctx.Err() == nil {
		s.gone <- err
		return
	}
	s.line.note("The server is back (process %d).", s.pid())
}

func (s *server) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.Process.Pid
}

// killInBuild kills the server once a step named site is running.
func (s *server) killInBuild(ctx context.Context) error {
	logs := func() int {
		found, _ := filepath.Glob(filepath.Join(s.data, "logs", "run", "*", "*", "site", "*.log"))
		return len(found)
	}
	before := logs()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for logs() == before {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
	s.line.note("Killing the server in the middle of the build (SIGKILL).")
	return syscall.Kill(s.pid(), syscall.SIGKILL)
}

// stop ends the process as a service manager would, and waits for it.
func (s *server) stop() error {
	s.mu.Lock()
	s.stopping = true
	process, ended := s.process, s.ended
	s.mu.Unlock()
	if process == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	default:
	}
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-time.After(15 * time.Second):
		_ = process.Process.Kill() // it had its time
		<-ended
		return fmt.Errorf("the server did not stop within 15 s; its last words:\n%s", s.last.String())
	}
}

// tail keeps the end of what the server says.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if len(t.data) > 64<<10 {
		t.data = append([]byte(nil), t.data[len(t.data)-32<<10:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.data), []byte("\n"))
	if len(lines) > 30 {
		lines = lines[len(lines)-30:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
