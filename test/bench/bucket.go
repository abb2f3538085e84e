package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/s3"
)

// The account of the bucket, which is gone with the measurement.
const (
	bucketKey    = "conveyor-bench"
	bucketSecret = "conveyor-bench-secret"
)

// measureBucket asks what it costs to keep a tree in a bucket, against the programs with which people copy trees there. The
// tree is a fifth of the one that is kept on a disk, or this alone would take minutes. Each goes to a place of its own in the
// same bucket, which is a folder in memory behind a real server.
func measureBucket(ctx context.Context, s *session) (_ []row, err error) {
	tree, err := plant(treeFiles/5, treePrograms*programBytes+treeBytes/5)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.fell()) }()
	at, err := os.MkdirTemp(roomy(treeBytes), "conveyor-bench-bucket-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(at)) }()
	endpoint, server, err := serveBucket(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	s5cmd, err := peerProgram("s5cmd")
	if err != nil {
		return nil, err
	}
	var ours, rcloned, s5cmded []float64
	n := 0
	// to is an empty place for one turn, which is emptied when its time has been taken.
	to := func(into *[]float64, do func(prefix string) error) error {
		n++
		prefix := "turn-" + strconv.Itoa(n)
		began := time.Now()
		err := do(prefix)
		*into = append(*into, milliseconds(time.Since(began)))
		return errors.Join(err, os.RemoveAll(filepath.Join(at, "objects", "bench", prefix)))
	}
	command := func(ctx context.Context, env []string, argv ...string) error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+at, "AWS_ACCESS_KEY_ID="+bucketKey, "AWS_SECRET_ACCESS_KEY="+bucketSecret, "AWS_REGION=us-east-1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %.1000s", argv[0], err, out)
		}
		return nil
	}
	err = s.play(ctx, 40*time.Second, pick(s, min(s.rounds, 3), 1),
		func(ctx context.Context) error {
			return to(&ours, func(prefix string) error {
				store, err := s3.Open(ctx, s3.Options{Endpoint: endpoint, Insecure: true, Bucket: "bench", Prefix: prefix, Region: "us-east-1", KeyID: bucketKey, Secret: bucketSecret, Now: time.Now})
				if err != nil {
					return err
				}
				_, err = store.Put(ctx, tree.dir, []string{"**"}, artifact.Limits{})
				return err
			})
		}, func(ctx context.Context) error {
			return to(&rcloned, func(prefix string) error {
				env := []string{"RCLONE_CONFIG=" + os.DevNull, "RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENV_AUTH=true", "RCLONE_S3_ENDPOINT=http://" + endpoint, "RCLONE_S3_NO_CHECK_BUCKET=true"}
				return command(ctx, env, "rclone", "copy", "--transfers", "32", "--no-traverse", "--no-check-dest", tree.dir, ":s3:bench/"+prefix)
			})
		}, func(ctx context.Context) error {
			return to(&s5cmded, func(prefix string) error {
				return command(ctx, nil, s5cmd, "--endpoint-url", "http://"+endpoint, "--log", "error", "cp", tree.dir+"/", "s3://bench/"+prefix+"/")
			})
		})
	if err != nil {
		return nil, err
	}
	best, name := median(rcloned), "rclone copy, 32 transfers, the faster of it and s5cmd"
	if other := median(s5cmded); other < best {
		best, name = other, "s5cmd cp, the faster of it and rclone"
	}
	return []row{lower("a tree of 4,000 files kept in a bucket", "ms", median(ours), best, name).aim(0.3)}, nil
}

// serveBucket starts an S3 server with one empty bucket.
func serveBucket(ctx context.Context, at string) (endpoint string, _ *process, err error) {
	program, err := peerProgram("versitygw")
	if err != nil {
		return "", nil, err
	}
	for _, dir := range []string{"objects/bench", "sidecar"} {
		if err := os.MkdirAll(filepath.Join(at, dir), 0o700); err != nil {
			return "", nil, err
		}
	}
	if endpoint, err = freeAddress(); err != nil {
		return "", nil, err
	}
	env := []string{"ROOT_ACCESS_KEY=" + bucketKey, "ROOT_SECRET_KEY=" + bucketSecret, "HOME=" + at, "PATH=/usr/bin:/bin"}
	p, err := start(env, nil, program, "--port", endpoint, "--region", "us-east-1", "--quiet", "posix", "--sidecar", filepath.Join(at, "sidecar"), filepath.Join(at, "objects"))
	if err != nil {
		return "", nil, err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", endpoint); err == nil {
			return endpoint, p, c.Close()
		}
		select {
		case <-ctx.Done():
			return "", nil, errors.Join(context.Cause(ctx), p.stop())
		case <-p.ended:
			return "", nil, fmt.Errorf("the S3 server ended at once: %s", p.last)
		case <-again.C:
		}
	}
}
