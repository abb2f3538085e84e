// Package s3server starts a real S3 server for tests: versitygw, which keeps objects as files in a directory of its own, on a
// free port of this machine's loopback. It is built from a module of its own, and only ever ended by who started it.
//
// Start reading at Start.
package s3server

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The one account, which may do everything.
const (
	KeyID  = "conveyor-test"
	Secret = "conveyor-test-secret"
	Bucket = "artifacts"
)

// patience is how long the server may take to start.
const patience = time.Minute

var program struct {
	once sync.Once
	path string
	err  error
}

// build builds the server once for a test binary. Go keeps what it has built, so that this is quick but for the first time.
func build() {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		program.err = fmt.Errorf("find the module: %w", err)
		return
	}
	dir, err := os.MkdirTemp("", "versitygw-")
	if err != nil {
		program.err = err
		return
	}
	program.path = filepath.Join(dir, "versitygw")
	cmd := exec.Command("go", "build", "-modfile=test/versitygw/go.mod", "-o", program.path, "github.com/versity/versitygw/cmd/versitygw")
	cmd.Dir = string(bytes.TrimSpace(out))
	if said, err := cmd.CombinedOutput(); err != nil {
		program.err = fmt.Errorf("build versitygw: %w\n%s", err, said)
	}
}

// Main runs the tests of a package that starts servers, and removes what was built for them.
func Main(m *testing.M) int {
	code := m.Run()
	if program.path != "" {
		if err := os.RemoveAll(filepath.Dir(program.path)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// Server is one S3 server with an empty bucket.
type Server struct {
	Endpoint string // HOST:PORT
	Dir      string // where its objects are files, by bucket and name
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	program.once.Do(build)
	if program.err != nil {
		t.Fatal(program.err)
	}
	s := &Server{Endpoint: freeAddress(t), Dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.Dir, Bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(program.path, "--port", s.Endpoint, "--region", "us-east-1", "--quiet", "posix", "--sidecar", t.TempDir(), s.Dir)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + KeyID, "ROOT_SECRET_KEY=" + Secret, "HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // when the test binary dies first
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The signal above comes when the thread that started the server ends, so that thread is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("s3server: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("versitygw said:\n%s", output.String())
		}
	})
	s.await(t, ended)
	return s
}

// await asks until the server answers, if only with a refusal.
func (s *Server) await(t testing.TB, ended <-chan struct{}) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if resp, err := client.Get("http://" + s.Endpoint); err == nil {
			_ = resp.Body.Close()
			return
		}
		select {
		case <-ended:
			t.Fatal("s3server: versitygw ended at once")
		case <-deadline.C:
			t.Fatal("s3server: versitygw does not answer")
		case <-again.C:
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
