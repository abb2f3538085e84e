package webhook

import (
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Changed is what became of repositories, or of the App in them.
type Changed struct {
	Installation int64
	Repos        []pipeline.Repo // which ones; empty means all that are known of the installation
	Resumes      bool            // calls of the installation may work again that did not
	Event        deploy.RepoChanged
}

// installed hears where the App may be. Who takes it away takes its runs with it; who only suspends it may let it go on.
//
// https://docs.github.com/webhooks/webhook-events-and-payloads#installation
func installed(d Delivery, p payload) Heard {
	if p.Installation == nil || p.Installation.ID <= 0 {
		return ignored("%s names no installation", describe(d.Event, p.Action))
	}
	c := &Changed{Installation: p.Installation.ID, Event: deploy.RepoChanged{At: d.ReceivedAt.UTC()}}
	switch d.Event + "/" + p.Action {
	case "installation/created":
		c.Repos, c.Resumes = c.short(p.Repositories), true
		c.Event.What, c.Event.Opens = "the App was installed", true
	case "installation/deleted":
		c.Event.What, c.Event.Shut, c.Event.Ends = "the App was uninstalled", true, true
	case "installation/suspend":
		c.Event.What, c.Event.Shut = "the App was suspended", true
	case "installation/unsuspend":
		c.Resumes = true
		c.Event.What, c.Event.Opens = "the App is not suspended any more", true
	case "installation/new_permissions_accepted":
		c.Resumes = true
		c.Event.What = "the App's new permissions were accepted"
	case "installation_repositories/added":
		c.Repos, c.Resumes = c.short(p.Added), true
		c.Event.What, c.Event.Opens = "the App was given the repository", true
	case "installation_repositories/removed":
		c.Repos = c.short(p.Removed)
		c.Event.What, c.Event.Shut, c.Event.Ends = "the repository was taken away from the App", true, true
	default:
		return ignored("nothing follows from %s", describe(d.Event, p.Action))
	}
	if d.Event == "installation_repositories" && len(c.Repos) == 0 || p.Action == "created" && len(c.Repos) == 0 {
		return ignored("%s names no repository", describe(d.Event, p.Action))
	}
	return Heard{Changed: c}
}

// short reads repositories as an installation's events list them.
func (c *Changed) short(list []repository) (repos []pipeline.Repo) {
	for _, r := range list {
		r := r
		repo, problem := payload{Repository: &r, Installation: &installation{c.Installation}}.repo()
		if problem == "" {
			repos = append(repos, repo)
		}
	}
	return repos
}

// repositoryChanged hears what became of a repository.
//
// https://docs.github.com/webhooks/webhook-events-and-payloads#repository
func repositoryChanged(d Delivery, p payload, repo pipeline.Repo) Heard {
	c := &Changed{Installation: repo.Installation, Repos: []pipeline.Repo{repo}, Event: deploy.RepoChanged{At: d.ReceivedAt.UTC()}}
	switch p.Action {
	case "renamed":
		c.Event.What = "the repository was renamed to " + repo.Slug()
	case "transferred":
		c.Event.What, c.Event.Opens = "the repository was transferred to "+repo.Owner, true
	case "archived":
		c.Event.What, c.Event.Shut, c.Event.Ends = "the repository was archived", true, true
	case "unarchived":
		c.Event.What, c.Event.Opens = "the repository is not archived any more", true
	case "deleted":
		c.Event.What, c.Event.Shut, c.Event.Ends = "the repository was deleted", true, true
	case "privatized":
		return ignored("the repository is private now: nothing here depends on it, for a run's page opens by its link alone")
	case "publicized":
		return ignored("the repository is public now: nothing here depends on it, for a run's page opens by its link alone")
	default:
		return ignored("nothing follows from %s", describe(d.Event, p.Action))
	}
	return Heard{Changed: c}
}
