package app

import (
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// explain answers what only the run knows: why a step or a stage of the pull request's commit stands where it does, or,
// when nothing is named, the run and every environment that the commit is on its way to.
func (a *App) explain(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	f := deploy.Forwarded{Command: p.Command.ID}
	panel := s.Panel(p.Command.Pull)
	if len(panel.Runs) == 0 {
		f.Refused, f.Say = true, fmt.Sprintf("There is no run of %s. `/test` starts one, as long as the pull request is open.", p.Commit.Short())
		return f, nil
	}
	links, known := "", false
	for _, r := range panel.Runs {
		run, _, err := a.runs().Load(ctx, a.journal, string(r.ID))
		if err != nil {
			return f, err
		}
		why, ok := pipeline.Explain(run, p.Command.Word)
		if !ok {
			continue
		}
		known = true
		if len(panel.Runs) == 1 {
			f.Say, links = why.Markdown(), fmt.Sprintf("\n[The run](%s)", a.RunURL(r.ID))
			continue
		}
		called := github.Literal(pipeline.Called(r.Pipeline))
		f.Say += fmt.Sprintf("**%s**\n\n%s\n", called, why.Markdown())
		links += fmt.Sprintf("\n[The run of %s](%s)", called, a.RunURL(r.ID))
	}
	if !known {
		f.Refused, f.Say = true, fmt.Sprintf("Neither the plan of %s nor the default branch's environments know `%s`. `/why` alone explains all there is.", panel.Commit.Short(), p.Command.Word)
		return f, nil
	}
	if p.Command.Word == "" {
		for _, row := range panel.Rows {
			f.Say += s.WhyPlace(row.Environment, a.now()).Markdown()
		}
	}
	f.Say += links
	return f, nil
}
