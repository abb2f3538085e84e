package github

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// InstallApp installs an App for the owner, for all its repositories or only
// for the named ones (names without owner), and tells the App.
func (s *Server) InstallApp(slug, owner string, repos ...string) (Installation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.install(slug, owner, repos)
	if err != nil {
		return Installation{}, err
	}
	return *i, nil
}

func (s *Server) install(slug, owner string, repos []string) (*Installation, error) {
	a, account := s.app(slug), s.user(owner)
	if a == nil || account == nil {
		return nil, fmt.Errorf("github: install %s for %s: no such App or account", slug, owner)
	}
	for _, i := range a.installations {
		if i.account == account {
			return nil, fmt.Errorf("github: install %s for %s: it is installed already", slug, owner)
		}
	}
	i := &Installation{ID: s.next(), AppSlug: a.Slug, Account: *account, Selection: "all", Permissions: maps.Clone(a.Permissions),
		Events: slices.Clone(a.Events), app: a, account: account, repos: map[int64]bool{}, made: s.now()}
	if len(repos) > 0 {
		i.Selection = "selected"
		for _, name := range repos {
			r, _ := s.lookup(owner, name)
			if r == nil {
				return nil, fmt.Errorf("github: install %s for %s: there is no repository %s", slug, owner, name)
			}
			i.repos[r.ID] = true
		}
	}
	a.installations = append(a.installations, i)
	s.raise(event{name: "installation", action: "created", installation: i, sender: s.manager(i),
		payload: obj{"repositories": s.shortRepos(s.reposOf(i)), "requester": nil}})
	s.changed.Broadcast()
	return i, nil
}

// manager is the person who acts for the account of an installation.
func (s *Server) manager(i *Installation) *User {
	for _, u := range s.people() {
		if i.account.owners[u.ID] {
			return u
		}
	}
	return i.account
}

func (s *Server) reposOf(i *Installation) []*Repo {
	var out []*Repo
	for _, r := range s.repos {
		if i.covers(r) {
			out = append(out, r)
		}
	}
	return out
}

func (s *Server) shortRepos(repos []*Repo) []any {
	out := []any{}
	for _, r := range repos {
		out = append(out, s.renderRepoShort(r))
	}
	return out
}

// installed finds an installation for the Go API.
func (s *Server) installed(id int64) (*Installation, error) {
	for _, a := range s.apps {
		for _, i := range a.installations {
			if i.ID == id {
				return i, nil
			}
		}
	}
	return nil, fmt.Errorf("github: there is no installation %d", id)
}

// installation finds one of an App's.
func (s *Server) installation(a *App, id int64) *Installation {
	for _, i := range a.installations {
		if i.ID == id {
			return i
		}
	}
	return nil
}

// Suspend stops an installation: its tokens answer 403 and it hears nothing.
func (s *Server) Suspend(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(id)
	if err != nil {
		return err
	}
	s.suspend(i, true)
	return nil
}

// Unsuspend lets it go on.
func (s *Server) Unsuspend(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(id)
	if err != nil {
		return err
	}
	s.suspend(i, false)
	return nil
}

func (s *Server) suspend(i *Installation, yes bool) {
	action := "unsuspend"
	i.SuspendedAt, i.suspendedBy = time.Time{}, nil
	if yes {
		action = "suspend"
		i.SuspendedAt, i.suspendedBy = s.now(), s.manager(i)
	}
	s.raise(event{name: "installation", action: action, installation: i, sender: s.manager(i),
		payload: obj{"repositories": s.shortRepos(s.reposOf(i)), "requester": nil}})
	s.changed.Broadcast()
}

// Uninstall removes an installation; its tokens are worthless at once.
func (s *Server) Uninstall(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(id)
	if err != nil {
		return err
	}
	s.uninstall(i)
	return nil
}

func (s *Server) uninstall(i *Installation) {
	s.raise(event{name: "installation", action: "deleted", installation: i, sender: s.manager(i),
		payload: obj{"repositories": s.shortRepos(s.reposOf(i)), "requester": nil}})
	i.app.installations = slices.DeleteFunc(i.app.installations, func(o *Installation) bool { return o == i })
	maps.DeleteFunc(s.tokens, func(_ string, who *identity) bool { return who.installation == i })
	s.changed.Broadcast()
}

// ChangeRepos adds repositories to an installation of selected ones, or takes
// some away (names without owner).
func (s *Server) ChangeRepos(id int64, add, remove []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(id)
	if err != nil {
		return err
	}
	i.Selection = "selected"
	change := func(names []string, action string) error {
		var list []*Repo
		for _, name := range names {
			r, _ := s.lookup(i.Account.Login, name)
			if r == nil {
				return fmt.Errorf("github: change the repositories of installation %d: there is no %s", id, name)
			}
			list = append(list, r)
			if action == "added" {
				i.repos[r.ID] = true
			} else {
				delete(i.repos, r.ID)
			}
		}
		if len(list) == 0 {
			return nil
		}
		p := obj{"repositories_added": []any{}, "repositories_removed": []any{}, "repository_selection": i.Selection, "requester": nil}
		p["repositories_"+action] = s.shortRepos(list)
		s.raise(event{name: "installation_repositories", action: action, installation: i, sender: s.manager(i), payload: p})
		return nil
	}
	if err := change(add, "added"); err != nil {
		return err
	}
	err = change(remove, "removed")
	s.changed.Broadcast()
	return err
}

// AskPermissions gives an App other permissions and events, which no installation has accepted yet.
func (s *Server) AskPermissions(slug string, permissions map[string]string, events []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.app(slug)
	if a == nil {
		return fmt.Errorf("github: there is no App %q", slug)
	}
	a.Permissions, a.Events = maps.Clone(permissions), slices.Clone(events)
	a.Permissions["metadata"] = "read"
	s.changed.Broadcast()
	return nil
}

// SetPermissions gives an App other permissions and events, accepted by all
// its installations at once.
func (s *Server) SetPermissions(slug string, permissions map[string]string, events []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.app(slug)
	if a == nil {
		return fmt.Errorf("github: there is no App %q", slug)
	}
	a.Permissions, a.Events = maps.Clone(permissions), slices.Clone(events)
	a.Permissions["metadata"] = "read"
	for _, i := range a.installations {
		i.Permissions, i.Events = maps.Clone(a.Permissions), slices.Clone(a.Events)
		s.raise(event{name: "installation", action: "new_permissions_accepted", installation: i, sender: s.manager(i),
			payload: obj{"repositories": s.shortRepos(s.reposOf(i)), "requester": nil}})
	}
	s.changed.Broadcast()
	return nil
}

func (s *Server) renderInstallation(i *Installation) obj {
	page := s.html("/settings/installations/%d", i.ID)
	if i.account.Kind == "Organization" {
		page = s.html("/organizations/%s/settings/installations/%d", i.account.Login, i.ID)
	}
	return obj{"id": i.ID, "client_id": i.app.ClientID, "account": s.renderUser(i.account), "repository_selection": i.Selection,
		"access_tokens_url": s.api("/app/installations/%d/access_tokens", i.ID), "repositories_url": s.api("/installation/repositories"),
		"html_url": page, "app_id": i.app.ID, "app_slug": i.app.Slug, "target_id": i.account.ID, "target_type": i.account.Kind,
		"permissions": i.Permissions, "events": i.Events, "created_at": stamp(i.made), "updated_at": stamp(i.made), "single_file_name": nil,
		"has_multiple_single_files": false, "single_file_paths": []any{}, "suspended_by": s.userOrNull(i.suspendedBy), "suspended_at": stamp(i.SuspendedAt)}
}

func (c *call) listInstallations() answer {
	return ok(list(c, c.who.app.installations, c.s.renderInstallation))
}

func (c *call) getInstallation() answer {
	if i := c.s.installation(c.who.app, c.id("installation_id")); i != nil {
		return ok(c.s.renderInstallation(i))
	}
	return notFound()
}

func (c *call) deleteInstallation() answer {
	i := c.s.installation(c.who.app, c.id("installation_id"))
	if i == nil {
		return notFound()
	}
	c.s.uninstall(i)
	return noContent()
}

func (c *call) suspendInstallation(yes bool) answer {
	i := c.s.installation(c.who.app, c.id("installation_id"))
	if i == nil {
		return notFound()
	}
	c.s.suspend(i, yes)
	return noContent()
}

// installationFor answers the three ways to ask where an App is installed.
func (c *call) installationFor() answer {
	for _, i := range c.who.app.installations {
		if c.repo != nil && i.covers(c.repo) {
			return ok(c.s.renderInstallation(i))
		}
		name := c.param["org"] + c.param["username"]
		if c.repo == nil && strings.EqualFold(i.account.Login, name) && (c.param["org"] != "") == (i.account.Kind == "Organization") {
			return ok(c.s.renderInstallation(i))
		}
	}
	return notFound()
}

func (c *call) installationRepos() answer {
	var repos []*Repo
	for _, r := range c.s.reposOf(c.who.installation) {
		if c.who.reaches(r) {
			repos = append(repos, r)
		}
	}
	selection := c.who.installation.Selection
	if c.who.repos != nil {
		selection = "selected"
	}
	return ok(obj{"total_count": len(repos), "repository_selection": selection, "repositories": list(c, repos, c.s.renderRepo)})
}
