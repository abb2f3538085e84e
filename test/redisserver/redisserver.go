// Package redisserver starts a real redis-server for tests, durable and alone: on a unix socket in a directory of its
// own, with the append-only file synced at every write. It only ever ends the process it started.
//
// Start reading at Start.
package redisserver

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start, to load its file, or to end.
const patience = 20 * time.Second

// Server is one redis-server. Its methods are for one goroutine at a time.
type Server struct {
	t         testing.TB
	directory string
	socket    string
	args      []string
	output    bytes.Buffer
	process   *exec.Cmd
	ended     chan struct{}
}

// Start runs a server until the test ends. More arguments, such as "--appendfsync", "everysec", come after the durable
// defaults and so win over them.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	// Not t.TempDir: the path of a socket has room for 107 bytes only.
	directory, err := os.MkdirTemp("", "redis-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, directory: directory, socket: filepath.Join(directory, "s"), args: args}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("redis-server said:\n%s", s.output.String())
		}
		if err := os.RemoveAll(directory); err != nil {
			t.Error(err)
		}
	})
	s.Restart()
	return s
}

// Socket is the path of the server's unix socket.
func (s *Server) Socket() string { return s.socket }

// URL is the server's address in the form redis clients read.
func (s *Server) URL() string { return "unix://" + s.socket }

// Kill ends the server as kill -9 does, and waits for its end. It may be repeated.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Stop holds the server still without ending it, as a hung disk does; Continue lets it go on.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Continue lets a stopped server go on.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatalf("redisserver: %s: %v", sig, err)
	}
}

// Restart starts the server again on what it left behind, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	_ = os.Remove(s.socket) // a killed server leaves it
	s.process = exec.Command("redis-server", append([]string{
		"--port", "0", "--unixsocket", s.socket, "--dir", s.directory, "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
	}, s.args...)...)
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // when the test binary dies first
	process, started, ended := s.process, make(chan error), make(chan struct{})
	go func() {
		// The signal above comes when the thread that started the server ends, so that thread is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait()
		}
	}()
	if err := <-started; err != nil {
		s.process = nil
		s.t.Fatalf("redisserver: start redis-server: %v; install Redis 7 (apt-get install redis-server)", err)
	}
	s.ended = ended
	s.await()
}

// await asks until the server answers; one that is still loading its file, or wants a password, does too, but with an error.
func (s *Server) await() {
	s.t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !s.answers() {
		select {
		case <-s.ended:
			s.t.Fatal("redisserver: redis-server ended at once")
		case <-deadline:
			s.t.Fatal("redisserver: redis-server does not answer")
		case <-again.C:
		}
	}
}

func (s *Server) answers() bool {
	c, err := net.DialTimeout("unix", s.socket, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	return err == nil && (bytes.HasPrefix(answer[:n], []byte("+PONG")) || bytes.HasPrefix(answer[:n], []byte("-NOAUTH")))
}
