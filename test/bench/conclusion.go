package main

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"time"
)

// measureConclusion asks how long it is from the moment when GitHub begins to deliver a push until it shows the check's
// conclusion, of a pipeline of one step that does nothing. The peers are commands that run one such step and end: they are told of
// nothing, fetch nothing, tell nobody, and shut nothing in. A peer's own server would need a GitHub that answers as it expects.
func measureConclusion(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s, "CONVEYOR_WORKERS=2")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	peers, err := findPeers(filepath.Join(h.dir, "peers"))
	if err != nil {
		return nil, err
	}
	var ours []float64
	n := 0
	sides := []func(context.Context) error{func(ctx context.Context) error {
		n++
		h.github.HoldHooks(h.app.Slug)
		sha, err := h.push("main", plan(1), strconv.Itoa(n))
		if err != nil {
			return err
		}
		began := time.Now()
		h.github.ReleaseHooks(h.app.Slug, false)
		if _, err := h.concluded(ctx, sha); err != nil {
			return err
		}
		ours = append(ours, milliseconds(time.Since(began)))
		return h.rest(ctx, time.Minute)
	}}
	for i := range peers {
		p := &peers[i]
		sides = append(sides, func(ctx context.Context) error {
			took, err := p.batch(ctx, 1)
			p.took = append(p.took, milliseconds(took))
			return err
		})
	}
	for _, side := range sides { // the first of each finds nothing in any cache
		if err := side(ctx); err != nil {
			return nil, err
		}
	}
	ours = nil
	for i := range peers {
		peers[i].took = nil
	}
	if err := s.play(ctx, 25*time.Second, pick(s, max(15, s.rounds), 3), sides...); err != nil {
		return nil, err
	}
	var rows []row
	for _, p := range peers {
		if p.once == "" {
			continue
		}
		r := lower("push to the check's conclusion, one step of `true` in a box, p50", "ms", median(ours), median(p.took), p.once)
		if p.engine { // it plans, runs and reports as an engine does; the other runs the step and little else
			r = r.aim(1)
		}
		rows = append(rows, r)
	}
	return rows, nil
}
