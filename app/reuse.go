package app

import (
	"context"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

// evidence records what a run tests: the tree, and the plan by which it does. For a merge group it looks for the run that
// has tested just that: a group of one pull request that is up to date holds the same files as its head. A push is never
// spared its run, because its artifacts are its own.
func (a *App) evidence(ctx context.Context, r *pipeline.Requested, began *deploy.RunBegan) error {
	if len(r.Problems) > 0 || r.Skip != "" || r.Trust < pipeline.Writer || r.Trigger.Kind == pipeline.ByHand {
		return nil // it proves nothing
	}
	tested := r.Trigger.Commit
	if r.Merge != nil {
		if tested = r.Merge.Commit; tested == "" {
			return nil // there is nothing to test
		}
	}
	tree, err := a.source.Tree(ctx, r.Trigger.Repo, tested)
	if err != nil {
		if r.Trigger.Kind == pipeline.MergeGroup {
			return err
		}
		return nil // a run again, whose commit the mirror has dropped meanwhile: it runs, and is no proof for others
	}
	began.Tree, began.Plan = tree, planfile.Hash(r.Plan)
	if r.Trigger.Kind != pipeline.MergeGroup || r.Attempt > 1 || conditional(r.Plan) {
		return nil
	}
	s, _, err := a.repos().Load(ctx, a.journal, repoStream(r.Trigger.Repo.ID))
	if err != nil {
		return err
	}
	if proof, ok := s.Proof(began.Tree, began.Plan); ok {
		r.Reused = &pipeline.Reused{Run: proof.ID, Commit: proof.Trigger.Commit, Tree: tree}
	}
	return nil
}
