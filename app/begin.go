package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// beginning is how an attempt gets from its box to its start. It belongs to one goroutine.
type beginning struct {
	app  *App
	work *runWork
	exec pipeline.Exec

	asked   bool // begin was called
	working bool // it has a place among the workers
	started bool // its start is durable
	left    bool
	err     error // why it has not started; nil when it is not ours to start
}

// errNotOurs stops what is prepared for an attempt that was cancelled meanwhile, or that someone else has.
var errNotOurs = errors.New("it is not to be started here any more")

// begin takes a place among the workers and makes the start durable. Without an error the step may run.
func (b *beginning) begin(ctx context.Context) error {
	b.asked = true
	if ctx.Err() != nil { // not even when there is a place
		b.err = context.Cause(ctx)
		return b.err
	}
	select {
	case b.app.workers <- struct{}{}:
		b.working = true
	case <-ctx.Done():
		b.err = context.Cause(ctx)
		return b.err
	}
	s, err := b.work.Append(ctx, pipeline.StepStarted{Step: b.exec.Step, Attempt: b.exec.Attempt, Token: b.work.Token, At: b.app.now().UTC()})
	if err != nil {
		b.err = err
		return err
	}
	if step, _ := find(s, b.exec.Step); step.Phase != pipeline.Running || step.Attempt != b.exec.Attempt || step.Token != b.work.Token {
		return errNotOurs
	}
	b.started = true
	return nil
}

// leave gives the worker back. It may be called again.
func (b *beginning) leave() {
	if b.left {
		return
	}
	b.left = true
	if b.working {
		<-b.app.workers
	}
}

// stepLog is the log of a step, which is there from its start on.
type stepLog struct {
	mu  sync.Mutex
	log *logs.Writer
}

func (l *stepLog) open(store *logs.Store, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	log, err := store.Writer(name, nil, stepLogLimit)
	if err != nil {
		return fmt.Errorf("no log: %w", err)
	}
	l.log = log
	return nil
}

func (l *stepLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log == nil {
		return 0, errors.New("app: a step printed before it was started")
	}
	return l.log.Write(p)
}

func (l *stepLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log == nil {
		return nil
	}
	return l.log.Close()
}
