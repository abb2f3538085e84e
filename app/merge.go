package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// merge makes what a pull request would be once it is merged, where the plan wants that tested. It is made here, of the two
// commits that the event names, and of nothing that GitHub shows under a name: so it never is of another base or head.
func (a *App) merge(ctx context.Context, r *pipeline.Requested) error {
	t := r.Trigger
	earlier := r.Merge
	r.Merge = nil
	if !r.Plan.Source.Merge || t.Kind != pipeline.PullRequest || len(r.Problems) > 0 || r.Skip != "" || r.Trust == pipeline.Outside && len(r.Restricted) == 0 {
		return nil
	}
	m := pipeline.Merge{Base: t.Onto, Head: t.Commit, At: t.At}
	r.Merge = &m
	if earlier != nil && earlier.Base == m.Base && earlier.Head == m.Head {
		m.At = earlier.At // the same commit again, so that what has passed may count
	} else {
		r.Carried, r.Quiet = nil, false // what has passed was another merge
	}
	if !m.Base.Valid() {
		m.Why = "cannot be merged by us: GitHub does not say which commit its base is"
		return nil
	}
	var err error
	m.Ancestor, err = a.github.Installation(t.Repo.Installation).Ancestor(ctx, t.Repo, m.Base, m.Head)
	if errors.Is(err, github.ErrGone) {
		m.Why = "cannot be merged into " + t.Base + ": they have no history in common"
		return nil
	}
	if err != nil {
		return err
	}
	return a.makeMerge(ctx, r.Run, t, &m)
}

// makeMerge brings the three commits here and merges them.
func (a *App) makeMerge(ctx context.Context, run pipeline.RunID, t pipeline.Trigger, m *pipeline.Merge) error {
	for _, c := range []struct {
		ref    string
		commit pipeline.Commit
	}{{t.Ref, m.Head}, {"refs/heads/" + t.Base, m.Base}, {"refs/heads/" + t.Base, m.Ancestor}} {
		if err := a.source.Fetch(ctx, t.Repo, c.ref, c.commit, a.token(t.Repo, run)); err != nil {
			return err
		}
	}
	made, err := a.source.Merge(ctx, t.Repo, m.Ancestor, m.Base, m.Head, m.At)
	if err != nil {
		return err
	}
	if m.Commit = made.Commit; len(made.Conflicts) > 0 {
		m.Why = pipeline.Conflict(t.Base, made.Conflicts)
	}
	return nil
}

// haveMerge makes sure that the merge of a run is here. The mirror may have dropped it; then it is made again, and must be
// the same.
func (a *App) haveMerge(ctx context.Context, s pipeline.State) error {
	if s.Merge.Commit == "" {
		return errors.New("there is no merge to be tested")
	}
	if _, err := a.source.Tree(ctx, s.Trigger.Repo, s.Merge.Commit); err == nil {
		return nil
	}
	again := *s.Merge
	if err := a.makeMerge(ctx, s.Run, s.Trigger, &again); err != nil {
		return err
	}
	if again.Commit != s.Merge.Commit {
		return fmt.Errorf("the merge of %s and %s is %q now, and was %s", s.Merge.Base.Short(), s.Merge.Head.Short(), again.Commit, s.Merge.Commit)
	}
	return nil
}
