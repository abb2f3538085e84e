package app

import (
	"context"
	"fmt"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// manyRepos is how many repositories are looked through for those of an installation.
const manyRepos = 100_000

// changed tells the repositories that are known here what became of them, and returns how many those are. Of others
// nothing is noted: an installation may have thousands that never had a run. It may be repeated.
func (a *App) changed(ctx context.Context, delivery string, c webhook.Changed) (known int, err error) {
	if c.Resumes {
		if err := a.github.Installation(c.Installation).Resume(ctx); err != nil {
			return 0, err
		}
	}
	asked := map[string]pipeline.Repo{}
	names := make([]string, 0, len(c.Repos))
	for _, r := range c.Repos {
		names = append(names, repoStream(r.ID))
		asked[repoStream(r.ID)] = r
	}
	if len(names) == 0 {
		if names, err = a.journal.Streams(ctx, "repo/", manyRepos); err != nil {
			return 0, fmt.Errorf("app: look for repositories: %w", err)
		}
	}
	for _, name := range names {
		s, _, err := a.repos().Load(ctx, a.journal, name)
		if err != nil {
			return known, err
		}
		repo, named := asked[name]
		switch {
		case s.Repo.ID == 0, !named && s.Repo.Installation != c.Installation:
			continue
		case !named:
			repo = pipeline.Repo{ID: s.Repo.ID, Installation: c.Installation}
		}
		e := c.Event
		e.Repo = repo
		if _, err := a.post(ctx, name, "changed/"+delivery, e); err != nil {
			return known, err
		}
		known++
	}
	return known, nil
}

// tellRuns passes the repository's new name or installation on to its runs. A run that waits to be told of at GitHub is
// woken by it, too.
func (a *App) tellRuns(ctx context.Context, w *repoWork, e deploy.TellRuns) error {
	s := w.Latest()
	for id := range s.Runs {
		key := fmt.Sprintf("changed/%d", e.Changes)
		if _, err := a.post(ctx, string(id), key, pipeline.RepoChanged{Repo: s.Repo, At: a.now().UTC()}); err != nil {
			return err
		}
	}
	_, err := w.Append(ctx, deploy.RunsTold(e))
	return err
}
