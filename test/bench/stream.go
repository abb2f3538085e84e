package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers"
	"github.com/conveyor-ci/conveyor/handlers/dashboard"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// measureStream asks what a person waits for a large log on its live page: a hundred megabytes as events, against the same
// file as the kernel sends it.
func measureStream(ctx context.Context, s *session) (_ []row, err error) {
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
	run := pipeline.NewRunID(1, "bench")
	name := app.LogName(run, "step", 1)
	if _, err := s.printed(ctx, func(output *os.File) error { return keep(store, name, output) }); err != nil {
		return nil, err
	}
	end, err := store.End(name)
	if err != nil {
		return nil, err
	}
	address, closeServer, err := serveLog(store, run, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeServer()) }()

	events := "http://" + address + "/runs/1/bench/key/log/step/1?from=0"
	size, err := wholeLog(ctx, events, end)
	if err != nil {
		return nil, fmt.Errorf("the log as events: %w", err)
	}
	var ours, file []float64
	side := func(url string, want int64, took *[]float64) func(context.Context) error {
		return func(ctx context.Context) error {
			began := time.Now()
			n, err := discard(ctx, url)
			*took = append(*took, milliseconds(time.Since(began)))
			if err == nil && n != want {
				err = fmt.Errorf("%s gave %d bytes, not %d", url, n, want)
			}
			return err
		}
	}
	asEvents, asFile := side(events, size, &ours), side("http://"+address+"/file", end.Size, &file)
	if err := errors.Join(asEvents(ctx), asFile(ctx)); err != nil {
		return nil, err
	}
	ours, file = nil, nil
	if err := s.profiled(func() error {
		return s.play(ctx, 30*time.Second, pick(s, 4*s.rounds+1, 3), asEvents, asFile)
	}); err != nil {
		return nil, err
	}
	return []row{lower("100 MB of log to one reader of events", "ms", median(ours), median(file), "http.ServeContent (sendfile) of the same file").aim(2)}, nil
}

// serveLog serves the product's own routes, and the file beside them.
func serveLog(store *logs.Store, run pipeline.RunID, name string) (address string, end func() error, err error) {
	state := pipeline.State{Run: run, Steps: []pipeline.StepState{{Name: "step", Attempt: 1}}}
	routes := handlers.Routes(handlers.Options{
		Webhook: func(c *gin.Context) { c.Status(http.StatusNotFound) },
		Pages: dashboard.New(dashboard.Options{
			Run:     func(context.Context, pipeline.RunID) (pipeline.State, error) { return state, nil },
			Repo:    func(context.Context, int64) (deploy.State, error) { return deploy.State{}, nil },
			Runs:    func(context.Context, int) ([]pipeline.State, error) { return nil, nil },
			Changed: func(context.Context, string) <-chan struct{} { return nil },
			Logs:    store, LogName: app.LogName, Key: func(pipeline.RunID) string { return "key" }, Log: slog.New(slog.DiscardHandler),
		}),
		Ready:   func(context.Context) []handlers.Condition { return nil },
		Metrics: http.NotFoundHandler(),
		Log:     slog.New(slog.DiscardHandler),
	})
	both := http.NewServeMux()
	both.Handle("/", routes)
	both.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		f, err := store.File(name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer func() { _ = f.Close() }() // it was only read
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.ServeContent(w, r, "", time.Time{}, f)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: both, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return l.Addr().String(), func() error {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// reader is the client of both sides. Large reads go past its buffer.
var reader = &http.Client{Transport: &http.Transport{ReadBufferSize: 64 << 10, DisableCompression: true}}

func open(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := reader.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: %s", url, res.Status), res.Body.Close())
	}
	return res.Body, nil
}

// discard reads everything, keeps nothing, and counts.
func discard(ctx context.Context, url string) (total int64, err error) {
	body, err := open(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// wholeLog reads the events as a browser does, wants every byte of the log in them, and returns how long they are.
func wholeLog(ctx context.Context, url string, want logs.End) (size int64, err error) {
	body, err := open(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	lines := bufio.NewReaderSize(body, 1<<20)
	sum, name, bytes, ended, last := crc32.NewIEEE(), "", int64(0), false, ""
	take := func(text string) {
		bytes += int64(len(text))
		_, _ = io.WriteString(sum, text) // never fails
	}
	for {
		line, err := lines.ReadString('\n')
		size += int64(len(line))
		if err == io.EOF {
			break
		}
		if err != nil {
			return size, err
		}
		switch field, value, _ := strings.Cut(line, ": "); {
		case line == "\n": // the event's end: the last line's end is the protocol's, and not the log's
			take(strings.TrimSuffix(last, "\n"))
			name, last = "", ""
		case field == "event":
			name = value
			ended = name == "end\n"
		case field == "data" && name == "log\n":
			take(last)
			last = value
		}
	}
	if !ended || bytes != want.Size || sum.Sum32() != want.CRC32 {
		return size, fmt.Errorf("%d bytes came of %d, with checksum %08x instead of %08x; the end was told: %t", bytes, want.Size, sum.Sum32(), want.CRC32, ended)
	}
	return size, nil
}
