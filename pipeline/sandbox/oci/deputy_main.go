package oci

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// DeputyMain is for the beginning of main, and of TestMain: it does nothing, or it is the deputy of a server that is not
// root (see Deputy) and never returns.
func DeputyMain() {
	beginsWell.Store(true)
	if len(os.Args) != 2 || os.Args[1] != deputyArg {
		return
	}
	line, err := connOf(os.NewFile(3, "server"))
	if err == nil {
		err = serveLine(line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// beginsWell says that DeputyMain was called. A program that does not do so is never started as a deputy: it would do once
// more whatever it does.
var beginsWell atomic.Bool

// serveLine does what it is asked until the server is gone. Then all steps are ended.
func serveLine(line *net.UnixConn) error {
	ctx, cancel := context.WithCancel(context.Background())
	var (
		work sync.WaitGroup
		box  *Sandbox
	)
	defer func() {
		cancel()
		if box != nil {
			_ = box.Close()
		}
		work.Wait()
	}()
	for {
		text, files, err := receiveFiles(line, 64<<10, 4)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var o opening
		if err := json.Unmarshal(text, &o); err != nil {
			return err
		}
		if len(files) < 2 {
			return errors.New("an errand has no ends")
		}
		var e errand
		for i, to := range []**end{&e.talk, &e.files} {
			c, err := connOf(files[i])
			if err != nil {
				return err
			}
			*to = &end{c}
		}
		if o.Options != nil {
			box = e.open(ctx, *o.Options)
			continue
		}
		if box == nil || len(files) != 3 {
			return errors.New("there is no box yet, or no output")
		}
		work.Go(func() { e.do(ctx, box, files[2]) })
	}
}

// open tries the runtime.
func (e errand) open(ctx context.Context, o Options) *Sandbox {
	defer e.close()
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	box, err := open(ctx, o, true)
	a := answer{}
	if err != nil {
		a.Err = err.Error()
	} else {
		a.Isolation, a.Limits = box.Isolation(), box.Limits()
	}
	if err := e.tell(a); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return box
}

// do runs a step.
func (e errand) do(ctx context.Context, box *Sandbox, output *os.File) {
	defer e.close()
	defer func() { _ = output.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var w words
	if err := gob.NewDecoder(e.talk).Decode(&w); err != nil {
		_ = e.tell(answer{Err: "hear the server: " + err.Error()})
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, e.talk) // until the server shuts it, or is gone, or this errand is over
		cancel()
	}()
	spec := w.spec()
	spec.Output = output
	if w.WayOut {
		spec.Out = e.out
	}
	v, err := box.Run(ctx, spec)
	a := answer{Verdict: v}
	if err != nil {
		a.Err = err.Error()
	}
	if err := e.tell(a); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
