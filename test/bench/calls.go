package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// measureCalls counts what a run of one stage costs of the installation's hourly budget of requests.
func measureCalls(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	first, push := 0, 0 // the first run also asks for the installation's token
	for n := range 3 {
		s.say("push %d", n+1)
		sha, err := h.push("main", plan(1), fmt.Sprint("push ", n))
		if err != nil {
			return nil, err
		}
		calls, err := h.calls(ctx, sha)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			first = calls
		} else {
			push = max(push, calls)
		}
	}
	s.say("ten steps")
	sha, err := h.push("main", tenSteps(), "ten steps")
	if err != nil {
		return nil, err
	}
	ten, err := h.calls(ctx, sha)
	if err != nil {
		return nil, err
	}
	s.say("pull request")
	sha, err = h.push("topic", plan(1), "pull")
	if err != nil {
		return nil, err
	}
	if err := h.rest(ctx, time.Minute); err != nil {
		return nil, err
	}
	if _, err := h.github.OpenPull(slug, "author", "A change", "topic", "main"); err != nil {
		return nil, err
	}
	pull, err := h.calls(ctx, sha)
	if err != nil {
		return nil, err
	}
	const name = "Woodpecker, published figure"
	return []row{
		lower("REST calls of a run of one stage, push", "calls", float64(push), 8, name).aim(0.5),
		lower("the first one of an hour, which asks for the installation's token too", "calls", float64(first), 8, name),
		lower("REST calls of a run of one stage, pull request", "calls", float64(pull), 8, name),
		lower("REST calls of ten steps in two stages, push", "calls", float64(ten), 8, "the aim of 8 in all").aim(1),
	}, nil
}

// calls waits for the end of the commit's run and counts the calls that were made in its name.
func (h *house) calls(ctx context.Context, sha string) (int, error) {
	run, err := h.concluded(ctx, sha)
	if err != nil {
		return 0, err
	}
	if err := h.rest(ctx, time.Minute); err != nil {
		return 0, err
	}
	stream, _, ok := cutLast(run.ExternalID, " "+check)
	if !ok {
		return 0, fmt.Errorf("the check run's external id is %q", run.ExternalID)
	}
	var calls []github.Call
	for _, c := range h.github.Calls() {
		if c.Run == stream {
			calls = append(calls, c)
		}
	}
	if len(calls) == 0 {
		return 0, fmt.Errorf("no call was made in the name of %s", stream)
	}
	return len(calls), nil
}
