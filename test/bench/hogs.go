package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"crypto/sha256"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
	"github.com/conveyor-ci/conveyor/test/github"
)

// hogs are steps that take all that their box lets them have, two at a time. None ends before its time is up.
var hogs = []struct {
	name  string
	steps [2]string
}{
	{"a fork bomb and a memory hog", [2]string{
		`bomb() { bomb | bomb & }; while :; do bomb 2>/dev/null; sleep 0.01 2>/dev/null || :; done`,
		`while :; do tail /dev/zero || :; done`,
	}},
	{"a full disk and a log flood", [2]string{
		`while :; do head -c 2G /dev/zero >full || :; done`,
		`yes "a line of a log that somebody will have to read some day, should they ever find the time for it"`,
	}},
}

// hogTime is how long each pair hogs.
const hogTime = 4

// measureHogs asks whether those who knock at the door notice what goes on in the boxes: the answers to deliveries on one
// connection, and on four, while two steps hog, against the same server with nothing to do.
func measureHogs(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s, "CONVEYOR_WORKERS=2")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	body, err := h.tagPush(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	j, err := sqlite.Open(ctx, filepath.Join(h.data, "journal.db"), time.Now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	l := post(h.address, github.Sign(h.app.WebhookSecret, body, sha256.New), h.app.ID, body)
	long := pick(s, 1200*time.Millisecond, 400*time.Millisecond)
	if _, err := l.fire(ctx, h.address, 4, long); err != nil {
		return nil, h.blame(err)
	}
	if err := h.rest(ctx, time.Minute); err != nil {
		return nil, err
	}
	widths := [2]int{1, 4}
	var alone [2][]float64
	beside := make([][2][]float64, len(hogs))
	fire := func(ctx context.Context, to *[2][]float64) error {
		for i, width := range widths {
			b, err := l.fire(ctx, h.address, width, long)
			if err != nil {
				return h.blame(err)
			}
			if b.refused > 0 {
				return h.blame(fmt.Errorf("%d deliveries were refused: %s", b.refused, b.firstRefusal))
			}
			to[i] = append(to[i], b.p99)
		}
		return nil
	}
	n := 0
	sides := []func(context.Context) error{func(ctx context.Context) error {
		return errors.Join(fire(ctx, &alone), h.rest(ctx, time.Minute))
	}}
	for i, pair := range hogs {
		sides = append(sides, func(ctx context.Context) error {
			n++
			if err := h.hog(ctx, j, pair.steps, n); err != nil {
				return fmt.Errorf("%s: %w", pair.name, err)
			}
			return errors.Join(fire(ctx, &beside[i]), h.rest(ctx, time.Minute))
		})
	}
	if err := s.play(ctx, 40*time.Second, min(s.rounds, 3), sides...); err != nil {
		return nil, err
	}
	var rows []row
	for i, pair := range hogs {
		for k, width := range widths {
			rows = append(rows, lower(fmt.Sprintf("answer to a delivery, p99, %s, beside %s", connections(width), pair.name), "ms", median(beside[i][k]), median(alone[k]), "the same server with nothing else to do").aim(2))
		}
	}
	return rows, nil
}

// hog pushes two steps, and returns when both have begun, and had a moment to get at it.
func (h *house) hog(ctx context.Context, j *sqlite.Journal, steps [2]string, n int) error {
	plan := "version: 1\non: {push: {branches: [main]}}\nstages:\n  - name: test\n    steps:\n"
	for i, run := range steps {
		plan += fmt.Sprintf("      - name: hog-%d\n        timeout: %ds\n        run: |\n          %s\n", i+1, hogTime, run)
	}
	sha, err := h.push("main", plan, fmt.Sprint("hog ", n))
	if err != nil {
		return err
	}
	var shown github.CheckRun
	if err := h.wait(ctx, "the hogs' check", func(v *github.View) (ok bool) {
		shown, ok = v.CheckRun(slug, sha, check)
		return ok
	}); err != nil {
		return err
	}
	stream := strings.TrimSuffix(shown.ExternalID, " "+check)
	if err := h.until(ctx, 20*time.Second, "both hogs", func() bool {
		records, err := j.Read(ctx, stream, 0)
		began := 0
		for _, r := range records {
			if event, err := pipeline.Decode(r.Kind, r.Data); err == nil {
				if _, ok := event.(pipeline.StepStarted); ok {
					began++
				}
			}
		}
		return err == nil && began == len(steps)
	}); err != nil {
		return err
	}
	moment := time.NewTimer(400 * time.Millisecond)
	defer moment.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-moment.C:
		return nil
	}
}
