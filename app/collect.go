package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// collectEvery is how often artifacts that nobody needs are looked for.
const collectEvery = 6 * time.Hour

// collect throws artifacts away that are older than the operator wants, and that no environment runs, waits for or could go
// back to.
func (a *App) collect(ctx context.Context) {
	store, ok := a.artifacts.(artifact.Collector)
	if !ok || a.config.KeepArtifacts <= 0 {
		return
	}
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := a.collectOnce(ctx, store); err != nil && ctx.Err() == nil {
			a.log.Warn("old artifacts were not removed", "err", err)
		}
	}
}

func (a *App) collectOnce(ctx context.Context, store artifact.Collector) error {
	keep, err := a.needed(ctx)
	if err != nil {
		return err
	}
	done, err := store.Collect(ctx, keep, artifact.MinGrace)
	if err == nil {
		a.log.Info("old artifacts removed", "kept", len(keep), "objects", done.Objects, "bytes", done.Bytes)
	}
	return err
}

// needed lists every artifact that must stay: what repositories keep, what runs have made that are young or not over, and
// the provenance of each. It tells all of it or nothing: what could not be read might be needed.
func (a *App) needed(ctx context.Context) (keep []pipeline.Digest, err error) {
	streams := func(prefix string) ([]string, error) {
		names, err := a.journal.Streams(ctx, prefix, math.MaxInt32)
		if err != nil {
			return nil, fmt.Errorf("app: list the streams of %s: %w", prefix, err)
		}
		return names, nil
	}
	names, err := streams(repoPrefix)
	if err != nil {
		return nil, err
	}
	kept := map[pipeline.Digest]bool{}
	for _, name := range names {
		s, _, err := a.repos().Load(ctx, a.journal, name)
		if err != nil {
			return nil, err
		}
		for _, d := range s.Keeps() {
			kept[d] = true
		}
	}
	if names, err = streams("run/"); err != nil {
		return nil, err
	}
	since := a.now().Add(-a.config.KeepArtifacts)
	for _, name := range names {
		s, _, err := a.runs().Load(ctx, a.journal, name)
		if err != nil {
			return nil, err
		}
		young := !s.Over() || !s.Reported || s.Ended.After(since)
		for _, st := range s.Steps {
			if t := st.Result.Tested; t != nil && young {
				keep = append(keep, t.SARIF...)
			}
			for _, made := range st.Result.Made() {
				if !young && !kept[made.Digest] {
					continue
				}
				keep = append(keep, made.Digest)
				if made.Provenance != "" {
					keep = append(keep, made.Provenance)
				}
			}
		}
	}
	for d := range kept {
		keep = append(keep, d)
	}
	return keep, nil
}
