package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

const (
	shellPipe = ".conveyor-shell"
	shellWall = 24 * time.Hour
	// No sandbox gives its steps an input, so the shell opens a pipe in its workspace. It is gone from there once it is open.
	shellScript = "exec <" + shellPipe + "\nrm -f " + shellPipe + "\nif command -v bash >/dev/null; then exec bash --norc -i; fi\nexec sh -i\n"
)

// inShell runs a shell in a sandbox, with what in gives as its input, until it ends.
func inShell(ctx context.Context, box sandbox.Sandbox, as sandbox.Spec, in io.Reader, out io.Writer) error {
	name := filepath.Join(as.Workspace, shellPipe)
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		return fmt.Errorf("make its pipe: %w", err)
	}
	defer func() { _ = os.Remove(name) }() // the shell has done so, when it came that far
	if info, err := os.Stat(as.Workspace); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Lchown(name, int(st.Uid), int(st.Gid)) // the step's user has the workspace
		}
	}
	pipe, err := os.OpenFile(name, os.O_RDWR, 0) // for both directions: then it does not wait for the shell
	if err != nil {
		return fmt.Errorf("open its pipe: %w", err)
	}
	ended := make(chan struct{})
	var feeding sync.WaitGroup
	lines := readAll(in, ended)
	feeding.Go(func() { feed(pipe, lines, ended) })
	as.ID, as.Script, as.Output, as.Limits = as.ID+"-shell", shellScript, out, sandbox.Limits{Wall: shellWall}
	_, err = box.Run(ctx, as)
	close(ended)
	feeding.Wait()
	return errors.Join(err, pipe.Close())
}

// feed hands what is read to the shell. At the end of it, it says exit: as the pipe is open for both directions, its end
// would never be seen.
func feed(pipe *os.File, lines <-chan []byte, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case line, more := <-lines:
			if !more {
				line = []byte("\nexit\n")
			}
			if _, err := pipe.Write(line); err != nil || !more {
				return
			}
		}
	}
}

// readAll reads in as it comes. A terminal cannot be told to stop waiting for the next line: whoever reads it is left
// behind with it, and ends with the process.
func readAll(in io.Reader, ended <-chan struct{}) <-chan []byte {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		buf := make([]byte, 4096)
		for {
			n, err := in.Read(buf)
			if n > 0 {
				select {
				case lines <- bytes.Clone(buf[:n]):
				case <-ended:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}
