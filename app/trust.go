package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// mayWrite asks GitHub, now and by number, whether someone may write to a repository. Whatever is not a clear yes is a
// no. When GitHub does not answer at all, nothing is decided: an error is asked again.
func (a *App) mayWrite(ctx context.Context, repo pipeline.Repo, who pipeline.Actor) (bool, error) {
	if who.ID == 0 {
		return false, nil // nobody knows who it was
	}
	role, err := a.github.Installation(repo.Installation).RoleNow(ctx, repo, who.Login, who.ID)
	var no *github.Refused
	if errors.As(err, &no) {
		a.log.Warn("GitHub does not say what someone may do, so they may nothing", "repo", repo.Slug(), "actor", who.Login, "err", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return role.AtLeast(pipeline.Write), nil
}

// restricted are the stages of a stranger's pull request that run before anyone has allowed it. Only the base's plan can
// name them: what stands at the pull request's own head is its author's word.
func restricted(t pipeline.Trigger, trust pipeline.Trust, plan pipeline.Plan, planFrom pipeline.Commit) []string {
	if trust != pipeline.Outside || plan.On.PullRequest == nil || planFrom == t.Commit || !planFrom.Valid() {
		return nil
	}
	return plan.On.PullRequest.Outside
}

// noLonger says why a run may not be done again as far trusted as it was: its author has lost the right since. It never
// says that one may be trusted further.
func (a *App) noLonger(ctx context.Context, pull deploy.PullSeen, last deploy.Run) (why string, err error) {
	if last.Trigger.Kind != pipeline.PullRequest && last.Trigger.Kind != pipeline.ByHand || last.Trust < pipeline.Writer {
		return "", nil
	}
	may, err := a.mayWrite(ctx, last.Trigger.Repo, pull.Author)
	if err != nil || may {
		return "", err
	}
	return fmt.Sprintf("The author of this pull request may not write to this repository any more. Read %s; then type `/ok-to-test %s`.", pull.Head.Short(), pull.Head), nil
}
