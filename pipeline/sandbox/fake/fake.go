// Package fake is a sandbox in memory: scripts are known by their text, and what they do is written down beforehand.
//
// It is for tests of what uses a sandbox. It starts no process and keeps to the contract in all that does not need one.
// Start reading at Sandbox.
package fake

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Step is what a script does.
type Step struct {
	Output   string
	Files    map[string]string // by path below the workspace
	ExitCode int
	OOM      bool   // it runs out of memory, and ends with ExitCode
	Unready  string // why its first service is not there: then the script does nothing. Empty when all are
	Hangs    bool   // it writes and makes its files, then it waits for its time limit or a cancel
	Err      error
}

// Sandbox is the fake. Fill Scripts or Do before the first Run.
type Sandbox struct {
	Scripts map[string]Step
	Do      func(sandbox.Spec) Step // asked for a script that is not in Scripts
	Level   string                  // of Isolation; "ns" when empty

	mu      sync.Mutex
	specs   []sandbox.Spec
	running map[string]bool
}

// Isolation says what Level says.
func (s *Sandbox) Isolation() sandbox.Isolation {
	level := s.Level
	if level == "" {
		level = "ns"
	}
	return sandbox.Isolation{Level: level, Limited: true, Runtime: "fake", Detail: "Nothing is run."}
}

// Serves says that services are thought to be there.
func (s *Sandbox) Serves() error { return nil }

// Specs are those that were run, in the order of their start.
func (s *Sandbox) Specs() []sandbox.Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.specs)
}

// Run does what the script is known for. One that is not known is an error.
func (s *Sandbox) Run(ctx context.Context, spec sandbox.Spec) (sandbox.Verdict, error) {
	if err := spec.Check(); err != nil {
		return sandbox.Verdict{}, err
	}
	if ctx.Err() != nil {
		return sandbox.End{Cancelled: true}.Verdict(), nil
	}
	if err := s.begin(spec); err != nil {
		return sandbox.Verdict{}, err
	}
	defer s.end(spec.ID)
	step, known := s.Scripts[spec.Script]
	switch {
	case known:
	case s.Do != nil:
		step = s.Do(spec)
	default:
		return sandbox.Verdict{}, fmt.Errorf("sandbox/fake: nobody said what %q does", spec.Script)
	}
	if step.Err != nil {
		return sandbox.Verdict{}, step.Err
	}
	if step.Unready != "" && len(spec.Services) > 0 {
		return spec.Services[0].Unready(step.Unready), nil
	}
	for name, text := range step.Files {
		path := filepath.Join(spec.Workspace, filepath.Clean("/"+name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return sandbox.Verdict{}, fmt.Errorf("sandbox/fake: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return sandbox.Verdict{}, fmt.Errorf("sandbox/fake: %w", err)
		}
	}
	if _, err := io.WriteString(spec.Output, step.Output); err != nil {
		return sandbox.Verdict{}, fmt.Errorf("sandbox/fake: write the output: %w", err)
	}
	end := sandbox.End{ExitCode: step.ExitCode, OOM: step.OOM, Limits: spec.Limits}
	if step.Hangs {
		limited, cancel := ctx, context.CancelFunc(func() {})
		if spec.Limits.Wall > 0 {
			limited, cancel = context.WithTimeout(ctx, spec.Limits.Wall)
		}
		<-limited.Done()
		end.Cancelled, end.TimedOut, end.ExitCode = ctx.Err() != nil, ctx.Err() == nil, 137
		cancel()
	}
	return end.Verdict(), nil
}

func (s *Sandbox) begin(spec sandbox.Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[spec.ID] {
		return fmt.Errorf("sandbox/fake: the id %s is running already", spec.ID)
	}
	if s.running == nil {
		s.running = map[string]bool{}
	}
	s.running[spec.ID] = true
	s.specs = append(s.specs, spec)
	return nil
}

func (s *Sandbox) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, id)
}
