package app

import (
	"context"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/report"
)

// compareCoverage counts the covered lines, in all, and of those that the pull request changes. What is changed comes from
// the mirror, so that it costs no call; the base's commit is fetched when it is not there.
func (a *App) compareCoverage(ctx context.Context, s pipeline.State, r *reading) {
	if r.tested.Coverage == nil {
		r.tested.Coverage = &pipeline.Coverage{}
	}
	c := r.tested.Coverage
	c.Lines, c.Covered, c.Outside = r.coverage.Lines, r.coverage.Covered, r.coverage.Outside
	t := s.Trigger
	if t.Kind != pipeline.PullRequest && t.Kind != pipeline.MergeGroup {
		return
	}
	base, err := a.baseOf(ctx, t)
	if err != nil || !base.Valid() {
		c.Unknown = "the base's commit is not known"
		return
	}
	changed, err := a.changedLines(ctx, t, base)
	if err != nil {
		a.log.Warn("the changed lines could not be found", "stream", s.Run, "err", err)
		c.Unknown = "what the pull request changes could not be found"
		return
	}
	lines, covered, _ := r.coverage.Of(changed)
	c.Changed = &pipeline.Ratio{Lines: lines, Covered: covered}
}

// baseOf is the commit that a change is held against.
func (a *App) baseOf(ctx context.Context, t pipeline.Trigger) (pipeline.Commit, error) {
	if t.Kind == pipeline.MergeGroup {
		return t.Before, nil
	}
	s, _, err := a.repos().Load(ctx, a.journal, repoStream(t.Repo.ID))
	return s.Pulls[t.Pull].BaseCommit, err
}

func (a *App) changedLines(ctx context.Context, t pipeline.Trigger, base pipeline.Commit) (map[string][]report.Range, error) {
	if err := a.fetchOnce(github.As(ctx, github.Progress), t.Repo, "coverage", "refs/heads/"+t.Base, base); err != nil {
		return nil, err
	}
	found, err := a.source.ChangedLines(ctx, t.Repo, base, t.Commit)
	if err != nil {
		return nil, err
	}
	changed := make(map[string][]report.Range, len(found))
	for at, lines := range found {
		for _, l := range lines {
			changed[at] = append(changed[at], report.Range(l))
		}
	}
	return changed, nil
}
