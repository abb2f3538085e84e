package github

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// User is a person, an organisation or an App's bot.
type User struct {
	ID    int64
	Login string
	Kind  string // "User", "Organization" or "Bot"
	Token string // a personal token; people only. It also works as git's password.

	made   time.Time
	owners map[int64]bool // of an organisation
	member map[int64]bool // of an organisation, owners included
}

// Team is a team of an organisation.
type Team struct {
	ID   int64
	Org  string
	Slug string

	parent  *Team
	members map[int64]string // "active" or "pending"
	grants  map[int64]string // role by repository
}

// roles order what a person may be in a repository.
var roles = map[string]int{"read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}

// AddUser makes a person, or returns the one of that login.
func (s *Server) AddUser(login string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.account(login, "User")
	if s.signedIn == "" {
		s.signedIn = u.Login
	}
	return *u
}

// AddOrg makes an organisation owned by these people, who are made if need
// be. The owners are admins of all its repositories.
func (s *Server) AddOrg(login string, owners ...string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.account(login, "Organization")
	for _, name := range owners {
		u := s.account(name, "User")
		o.owners[u.ID], o.member[u.ID] = true, true
		if s.signedIn == "" {
			s.signedIn = u.Login
		}
	}
	return *o
}

// AddMember makes a person a plain member of an organisation.
func (s *Server) AddMember(org, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(org, "Organization").member[s.account(login, "User").ID] = true
}

// AddTeam makes a team, or adds members to it. Its members belong to the
// organisation too.
func (s *Server) AddTeam(org, slug string, members ...string) Team {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.account(org, "Organization")
	t := s.team(org, slug)
	if t == nil {
		t = &Team{ID: s.next(), Org: o.Login, Slug: slug, members: map[int64]string{}, grants: map[int64]string{}}
		s.teams = append(s.teams, t)
	}
	for _, name := range members {
		u := s.account(name, "User")
		t.members[u.ID], o.member[u.ID] = "active", true
	}
	return *t
}

// ChildTeam puts a team below another: members of the child count as members
// of the parent.
func (s *Server) ChildTeam(org, parent, child string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, c := s.team(org, parent), s.team(org, child)
	if p == nil || c == nil {
		return fmt.Errorf("github: put team %s below %s: no such team in %s", child, parent, org)
	}
	c.parent = p
	return nil
}

// LeaveTeam takes a person out of a team.
func (s *Server) LeaveTeam(org, slug, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.team(org, slug); t != nil {
		delete(t.members, s.account(login, "User").ID)
	}
}

// SignIn chooses who is at the browser when Apps are registered there; the
// first user of the server otherwise.
func (s *Server) SignIn(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signedIn = s.account(login, "User").Login
}

// account finds or makes one.
func (s *Server) account(login, kind string) *User {
	key := strings.ToLower(login)
	if u, ok := s.users[key]; ok {
		return u
	}
	u := &User{ID: s.next(), Login: login, Kind: kind, made: s.now(), owners: map[int64]bool{}, member: map[int64]bool{}}
	if kind == "User" {
		u.Token = "ghp_" + randomText(36)
		s.tokens[u.Token] = &identity{kind: "user", user: u, token: u.Token}
	}
	s.users[key] = u
	return u
}

func (s *Server) user(login string) *User { return s.users[strings.ToLower(login)] }

// people are all accounts by rising id, an order that a map does not give.
func (s *Server) people() []*User {
	return slices.SortedFunc(maps.Values(s.users), func(a, b *User) int { return cmp.Compare(a.ID, b.ID) })
}

func (s *Server) team(org, slug string) *Team {
	for _, t := range s.teams {
		if strings.EqualFold(t.Org, org) && strings.EqualFold(t.Slug, slug) {
			return t
		}
	}
	return nil
}

// membership is "active", "pending" or "", child teams included.
func (s *Server) membership(t *Team, user *User) string {
	if state := t.members[user.ID]; state != "" {
		return state
	}
	for _, child := range s.teams {
		if child.parent == t {
			if state := s.membership(child, user); state != "" {
				return state
			}
		}
	}
	return ""
}

// role is what a person is in a repository: by ownership, by grant or by
// team, whichever is highest; readers of public repositories are "read".
func (s *Server) role(user *User, repo *Repo) string {
	if user == nil {
		return ""
	}
	best := repo.grants[user.ID]
	better := func(role string) {
		if roles[role] > roles[best] {
			best = role
		}
	}
	owner := s.user(repo.Owner)
	if owner.ID == user.ID || owner.owners[user.ID] {
		better("admin")
	}
	for _, t := range s.teams {
		if t.grants[repo.ID] != "" && s.membership(t, user) == "active" {
			better(t.grants[repo.ID])
		}
	}
	if !repo.Private {
		better("read")
	}
	return best
}

// association is author_association, with its well known blindness: it says
// nothing about rights.
func (s *Server) association(user *User, repo *Repo) string {
	owner := s.user(repo.Owner)
	switch {
	case user == nil:
		return "NONE"
	case owner.ID == user.ID:
		return "OWNER"
	case owner.member[user.ID]:
		return "MEMBER"
	case repo.grants[user.ID] != "":
		return "COLLABORATOR"
	case repo.authors[strings.ToLower(user.Login)]:
		return "CONTRIBUTOR"
	}
	return "NONE"
}

func nodeID(kind string, id int64) string {
	return kind + "_" + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprint(id)))
}

func (s *Server) renderUser(u *User) obj {
	if u == nil {
		return nil
	}
	at := s.api("/users/%s", u.Login)
	page := s.html("/%s", u.Login)
	if u.Kind == "Bot" {
		page = s.html("/apps/%s", strings.TrimSuffix(u.Login, "[bot]"))
		at = s.api("/users/%s", strings.NewReplacer("[", "%5B", "]", "%5D").Replace(u.Login))
	}
	return obj{
		"login": u.Login, "id": u.ID, "node_id": nodeID(u.Kind[:1], u.ID), "avatar_url": s.html("/avatars/%d", u.ID),
		"gravatar_id": "", "url": at, "html_url": page, "followers_url": at + "/followers",
		"following_url": at + "/following{/other_user}", "gists_url": at + "/gists{/gist_id}", "starred_url": at + "/starred{/owner}{/repo}",
		"subscriptions_url": at + "/subscriptions", "organizations_url": at + "/orgs", "repos_url": at + "/repos",
		"events_url": at + "/events{/privacy}", "received_events_url": at + "/received_events",
		"type": u.Kind, "site_admin": false, "user_view_type": "public",
	}
}

// userOrNull keeps a nil user a JSON null rather than a null map.
func (s *Server) userOrNull(u *User) any {
	if u == nil {
		return nil
	}
	return s.renderUser(u)
}

func (s *Server) renderOrg(o *User) obj {
	at := s.api("/orgs/%s", o.Login)
	return obj{
		"login": o.Login, "id": o.ID, "node_id": nodeID("O", o.ID), "url": at, "repos_url": at + "/repos", "events_url": at + "/events",
		"hooks_url": at + "/hooks", "issues_url": at + "/issues", "members_url": at + "/members{/member}",
		"public_members_url": at + "/public_members{/member}", "avatar_url": s.html("/avatars/%d", o.ID), "description": "",
	}
}

func (s *Server) renderTeam(t *Team) obj {
	org := s.user(t.Org)
	at := s.api("/organizations/%d/team/%d", org.ID, t.ID)
	return obj{
		"id": t.ID, "node_id": nodeID("T", t.ID), "name": t.Slug, "slug": t.Slug, "description": "", "privacy": "closed",
		"notification_setting": "notifications_enabled", "permission": "pull", "url": at, "html_url": s.html("/orgs/%s/teams/%s", t.Org, t.Slug),
		"members_url": at + "/members{/member}", "repositories_url": at + "/repos", "type": "organization", "organization_id": org.ID,
	}
}

// renderTeamFull adds the parent, which the simple form must not nest.
func (s *Server) renderTeamFull(t *Team) obj {
	o := s.renderTeam(t)
	o["parent"] = nil
	if t.parent != nil {
		o["parent"] = s.renderTeam(t.parent)
	}
	return o
}

func (c *call) getUser() answer {
	u := c.s.user(c.param["username"])
	if u == nil {
		return notFound()
	}
	return ok(c.s.renderPublicUser(u))
}

func (s *Server) renderPublicUser(u *User) obj {
	o := s.renderUser(u)
	for k, v := range (obj{"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil,
		"twitter_username": nil, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": stamp(u.made), "updated_at": stamp(u.made)}) {
		o[k] = v
	}
	if u.Kind == "User" {
		o["name"] = u.Login
	}
	return o
}

func (c *call) getSelf() answer {
	if c.who.kind != "user" {
		return fail(http.StatusForbidden, notByIntegration)
	}
	o := c.s.renderPublicUser(c.who.user)
	for k, v := range (obj{"private_gists": 0, "total_private_repos": 0, "owned_private_repos": 0, "disk_usage": 0,
		"collaborators": 0, "two_factor_authentication": true, "user_view_type": "private"}) {
		o[k] = v
	}
	// What gh looks at to know what its token may do.
	return ok(o).with("X-OAuth-Scopes", "gist, read:org, repo, workflow").with("X-Accepted-OAuth-Scopes", "")
}
