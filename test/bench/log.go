package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

const (
	logLines  = 1_000_000
	lineSize  = 100
	logSize   = logLines * lineSize
	blockSize = 1000 // lines of a block of output
	pipeSize  = 1 << 20
)

// hidden are the secrets that the output holds, one in every ten thousandth line.
var hidden = []string{"a-password-that-nobody-has-7f2c", "tok_0123456789abcdefghijklmnop", "correct horse battery staple"}

// measureLog asks what it costs to store a step's output with its secrets masked and its lines indexed: a million lines
// come through a pipe from another process, and are a complete log in the end. The other side is `cat` on the same pipe.
func measureLog(ctx context.Context, s *session) (_ []row, err error) {
	dir, err := os.MkdirTemp("", "conveyor-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := logs.Open(filepath.Join(dir, "logs"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	var ours, cat []float64
	stored := func(ctx context.Context) error {
		name := fmt.Sprintf("bench/%d", len(ours))
		took, err := s.printed(ctx, func(output *os.File) error { return keep(store, name, output) })
		if err != nil {
			return err
		}
		ours = append(ours, took)
		if err := masked(store, name); err != nil {
			return err
		}
		return os.RemoveAll(filepath.Join(dir, "logs", "bench"))
	}
	copied := func(ctx context.Context) error {
		path := filepath.Join(dir, "cat")
		took, err := s.printed(ctx, func(output *os.File) error {
			to, err := os.Create(path)
			if err != nil {
				return err
			}
			cmd := exec.CommandContext(ctx, "cat")
			cmd.Stdin, cmd.Stdout = output, to
			return errors.Join(cmd.Run(), to.Close())
		})
		if err != nil {
			return err
		}
		cat = append(cat, took)
		if info, err := os.Stat(path); err != nil || info.Size() != logSize {
			return fmt.Errorf("cat wrote something else: %w", err)
		}
		return os.Remove(path)
	}
	if err := errors.Join(stored(ctx), copied(ctx)); err != nil {
		return nil, err
	}
	ours, cat = nil, nil
	if err := s.profiled(func() error {
		return s.play(ctx, 40*time.Second, pick(s, 2*s.rounds+1, 2), stored, copied)
	}); err != nil {
		return nil, err
	}
	return []row{lower("log of a million lines, masked and indexed", "ms", median(ours), median(cat), "cat on the same pipe, to a file").aim(1.5)}, nil
}

// keep is the way of a step's output: what the sandbox reads from the pipe, it writes to the log.
func keep(store *logs.Store, name string, output *os.File) error {
	w, err := store.Writer(name, hidden, 2*logSize)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{output}, make([]byte, 256<<10))
	return errors.Join(err, w.Close())
}

// printed has another process print the lines into a pipe, and returns how many milliseconds it took until it was taken.
func (s *session) printed(ctx context.Context, take func(output *os.File) error) (float64, error) {
	output, end, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	_, _ = unix.FcntlInt(output.Fd(), unix.F_SETPIPE_SZ, pipeSize) // as the sandbox does; a smaller one is slower for both
	cmd := exec.CommandContext(ctx, s.self, "as-printer")
	cmd.Stdout, cmd.Stderr = end, os.Stderr
	began := time.Now()
	if err := errors.Join(cmd.Start(), end.Close()); err != nil {
		return 0, errors.Join(err, output.Close())
	}
	err = take(output)
	took := time.Since(began)
	return milliseconds(took), errors.Join(err, output.Close(), cmd.Wait())
}

// masked reads the log again: all lines are there, and no secret.
func masked(store *logs.Store, name string) error {
	end, err := store.End(name)
	if err != nil {
		return err
	}
	f, err := store.File(name)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, secret := range hidden {
		if bytes.Contains(text, []byte(secret)) {
			return errors.New("the log holds a secret")
		}
	}
	if end.Lines != logLines || end.Dropped != 0 || bytes.Count(text, []byte{'\n'}) != logLines {
		return fmt.Errorf("the log has %d lines, and %d bytes were dropped", end.Lines, end.Dropped)
	}
	return nil
}

// printLines prints as a build does that prints a lot: in blocks.
func printLines([]string) error {
	plain := []byte(strings.Repeat(line("ok  github.com/acme/shop/internal/cart/total 0.034s  coverage: 81.4% of statements in"), blockSize))
	for n := range logLines / blockSize {
		block := plain
		if n%10 == 0 {
			block = append([]byte(line("curl --header token="+hidden[n/10%len(hidden)])), plain[lineSize:]...)
		}
		if _, err := os.Stdout.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// line fills a line up to its size.
func line(text string) string {
	return text + strings.Repeat(".", lineSize-1-len(text)) + "\n"
}
