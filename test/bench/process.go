package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that is measured.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	last  *tail
}

// start starts a child that ends with this program at the latest. A nil out is kept with the errors, to be shown when it fails.
func start(env []string, out io.Writer, argv ...string) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{}), last: &tail{}}
	if out == nil {
		out = p.last
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, out, p.last
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w; build it with `make build`", argv[0], err)
	}
	go func() {
		_ = p.cmd.Wait() // what came of it is told by who waits for it
		close(p.ended)
	}()
	return p, nil
}

// stop asks the child to end, and does not take no for an answer.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	most := time.NewTimer(20 * time.Second)
	defer most.Stop()
	select {
	case <-p.ended:
		return nil
	case <-most.C:
		_ = p.cmd.Process.Kill() // it had its time
		<-p.ended
		return fmt.Errorf("%s did not stop within 20 s", p.cmd.Path)
	}
}

// resident is the memory that the child holds right now, in bytes.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the child's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			n, err := strconv.ParseFloat(f[1], 64)
			return n * 1024, err
		}
	}
	return 0, errors.New("the kernel does not tell the child's memory")
}

// tail keeps the end of what a child says.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if len(t.data) > 32<<10 {
		t.data = append([]byte(nil), t.data[len(t.data)-8<<10:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.data), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}
