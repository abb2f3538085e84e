package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/app/github"
)

// serveProfiled is `conveyor serve` with a profile of its processor time and, at the end, of its memory. The product
// itself has no such door.
func serveProfiled(args []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	id, err := strconv.ParseInt(os.Getenv("CONVEYOR_APP_ID"), 10, 64)
	if err != nil {
		return fmt.Errorf("CONVEYOR_APP_ID: %w", err)
	}
	workers := runtime.NumCPU()
	if text := os.Getenv("CONVEYOR_WORKERS"); text != "" {
		if workers, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("CONVEYOR_WORKERS: %w", err)
		}
	}
	a, err := app.New(ctx, app.Config{
		Listen: os.Getenv("CONVEYOR_LISTEN"), PublicURL: os.Getenv("CONVEYOR_PUBLIC_URL"), DataDir: os.Getenv("CONVEYOR_DATA_DIR"),
		GitHubURL: os.Getenv("CONVEYOR_GITHUB_URL"), GitHubAPIURL: os.Getenv("CONVEYOR_GITHUB_API_URL"), AppID: id,
		PrivateKey:     github.NewSecret(os.Getenv("CONVEYOR_PRIVATE_KEY")),
		WebhookSecrets: []github.Secret{github.NewSecret(os.Getenv("CONVEYOR_WEBHOOK_SECRET"))},
		Sandbox:        "auto", Workers: workers, Grace: time.Second,
	}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	cpu, err := os.Create(args[0] + ".server.pprof")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	kept := make(chan error, 1)
	go func() {
		<-ctx.Done()
		kept <- keepHeap(args[0] + ".server.heap.pprof") // before what was worked on is handed back
		end()
	}()
	err = a.Run(serving)
	stop()
	return errors.Join(err, <-kept)
}

func keepHeap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}
