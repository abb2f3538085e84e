package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
	"github.com/conveyor-ci/conveyor/test/github"
)

// settle is how long a server is left alone before its memory is read.
const settle = 4 * time.Second

// measureMemory asks what a server holds that has nothing to do, and how much more when it has two thousand runs to do and a
// single worker, which the first of them keeps.
func measureMemory(ctx context.Context, s *session) ([]row, error) {
	many := pick(s, 2000, 200)
	var idle, full []float64
	err := s.play(ctx, 45*time.Second, min(s.rounds, 3), func(ctx context.Context) error {
		before, after, err := withQueue(ctx, s, many)
		idle, full = append(idle, before/1e6), append(full, after/1e6)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []row{
		lower("resident memory of an idle server", "MB", median(idle), 40, "the aim of 40 MB").aim(1),
		lower(fmt.Sprintf("resident memory with %d queued runs", many), "MB", median(full), 40, "the aim of 40 MB for an idle server").aim(2),
		lower(fmt.Sprintf("resident memory with %d queued runs", many), "MB", median(full), median(idle), "the idle server"),
	}, nil
}

// withQueue measures a fresh server without work, and the same with so many runs that wait.
func withQueue(ctx context.Context, s *session, many int) (idle, full float64, err error) {
	h, err := build(s, "CONVEYOR_WORKERS=1")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if idle, err = h.settled(ctx, nil); err != nil {
		return 0, 0, err
	}
	if err := h.queue(ctx, many); err != nil {
		return 0, 0, err
	}
	full, err = h.settled(ctx, func(ctx context.Context) error {
		return h.until(ctx, 2*time.Minute, fmt.Sprintf("%d check runs", many), func() (all bool) {
			h.github.Look(func(v *github.View) {
				all = v.CallsTo(http.MethodPost, "/repos/{owner}/{repo}/check-runs") >= many
			})
			return all
		})
	})
	if err != nil {
		return 0, 0, err
	}
	shown := 0
	h.github.Look(func(v *github.View) { shown = len(v.CheckRuns(slug, "")) })
	// One more is the push itself: the server was down when it was delivered, and may have looked for what it missed.
	if shown < many || shown > many+1 {
		err = fmt.Errorf("GitHub shows %d check runs, not %d", shown, many)
	}
	return idle, full, err
}

// settled opens the server, waits for what it is to do, lets it settle, and reads its memory.
func (h *house) settled(ctx context.Context, busy func(context.Context) error) (bytes float64, err error) {
	if err := h.open(ctx); err != nil {
		return 0, err
	}
	if busy != nil {
		if err := busy(ctx); err != nil {
			return 0, err
		}
	}
	calm := time.NewTimer(settle)
	defer calm.Stop()
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-h.server.ended:
		return 0, h.blame(errors.New("the server ended"))
	case <-calm.C:
	}
	bytes, err = h.server.resident()
	if err != nil {
		return 0, err
	}
	if busy != nil {
		page, err := h.page(ctx, "/metrics")
		if err != nil || strings.Contains(page, "\nconveyor_streams_waiting 0\n") {
			return 0, errors.Join(err, h.blame(errors.New("nothing waits")))
		}
	}
	return bytes, h.shut()
}

// queue writes the first events of so many runs into the journal, as deliveries would have done, while the server is down.
func (h *house) queue(ctx context.Context, many int) (err error) {
	sha, err := h.push("main", plan(1), "queued")
	if err != nil {
		return err
	}
	j, err := sqlite.Open(ctx, filepath.Join(h.data, "journal.db"), time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	now := time.Now().UTC()
	repo := pipeline.Repo{ID: h.repo.ID, Owner: "octo", Name: "shop", Installation: h.installation.ID, Branch: "main"}
	var began []deploy.Event
	for n := range many {
		guid := fmt.Sprintf("0b5c1d2e-3f40-4a51-8b62-%012x", n)
		branch := fmt.Sprintf("topic-%d", n)
		trigger := pipeline.Trigger{
			Kind: pipeline.Push, Delivery: guid, Repo: repo, Commit: pipeline.Commit(sha), Ref: "refs/heads/" + branch, Branch: branch,
			Actor: pipeline.Actor{ID: 1, Login: "author"}, At: now, Title: "A change that waits",
		}
		run := pipeline.NewRunID(repo.ID, guid)
		records, err := engine.Records(now, pipeline.Requested{
			Run: run, Trigger: trigger, Trust: pipeline.Writer, PlanFrom: trigger.Commit, At: now,
			Plan: pipeline.Plan{Version: 1, On: pipeline.On{Push: &pipeline.Filter{}}, Stages: []pipeline.Stage{{
				Name: "test", Steps: []pipeline.Step{{Name: "wait", Run: "tail -f /dev/null", Timeout: pipeline.Duration(time.Hour)}},
			}}},
		})
		if err != nil {
			return err
		}
		if _, err := j.Append(ctx, journal.Batch{Stream: string(run), Expect: journal.None, Records: records}); err != nil {
			return err
		}
		began = append(began, deploy.RunBegan{Run: run, Trigger: trigger, Trust: pipeline.Writer, At: now})
	}
	records, err := engine.Records(now, began...)
	if err != nil {
		return err
	}
	_, err = j.Append(ctx, journal.Batch{Stream: fmt.Sprintf("repo/%d", repo.ID), Expect: journal.Any, Records: records})
	return err
}
