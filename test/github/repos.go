package github

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Repo is a repository. The copies that the API hands out hold what was true
// then.
type Repo struct {
	ID            int64
	Owner, Name   string
	FullName      string
	Private       bool
	DefaultBranch string
	CloneURL      string // http://…/owner/name.git, to be used with a token as password
	HTMLURL       string
	Dir           string // the bare repository on disk

	git      *store
	refs     map[string]string // full name → sha
	before   map[string]string // each ref before its last change, for stale reads
	formerly []string          // full names it had
	deleted  bool
	fork     *Repo // of which it is a fork
	made     time.Time
	pushed   time.Time
	grants   map[int64]string
	authors  map[string]bool // lower-case logins that committed here

	lastNumber   int
	issues       []*issue
	suites       []*suite
	runs         []*CheckRun
	statuses     []*Status
	analyses     []*Analysis
	deployments  []*Deployment
	environments []*environment
	labels       []*label
	rules        map[string]*Protection // by branch
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// CreateRepo makes an empty repository with default branch main. The owner is
// made a person unless it exists.
func (s *Server) CreateRepo(owner, name string, private bool) (Repo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.createRepo(owner, name, private)
	if err != nil {
		return Repo{}, err
	}
	s.raise(event{name: "repository", action: "created", repo: r, sender: s.someoneOf(r), payload: obj{}})
	return *r, nil
}

func (s *Server) createRepo(owner, name string, private bool) (*Repo, error) {
	if !repoName.MatchString(name) || !repoName.MatchString(owner) {
		return nil, fmt.Errorf("github: create %s/%s: a name has letters, digits, dots, dashes and underscores only", owner, name)
	}
	if r, moved := s.lookup(owner, name); r != nil && !moved {
		return nil, fmt.Errorf("github: create %s/%s: the name is taken", owner, name)
	}
	o := s.account(owner, "User")
	r := &Repo{ID: s.next(), Private: private, DefaultBranch: "main", made: s.now(),
		refs: map[string]string{}, before: map[string]string{}, grants: map[int64]string{}, authors: map[string]bool{}, rules: map[string]*Protection{}}
	r.Dir = filepath.Join(s.opt.Dir, fmt.Sprintf("%d.git", r.ID))
	if err := os.RemoveAll(r.Dir); err != nil {
		return nil, fmt.Errorf("github: create %s/%s: %w", owner, name, err)
	}
	s.named(r, o.Login, name)
	var err error
	if r.git, err = initStore(r.Dir, r.DefaultBranch); err != nil {
		return nil, fmt.Errorf("github: create %s: %w", r.FullName, err)
	}
	for _, l := range []string{"bug", "enhancement", "question"} {
		r.labels = append(r.labels, &label{id: s.next(), name: l, color: "d73a4a"})
	}
	s.repos = append(s.repos, r)
	s.changed.Broadcast()
	return r, nil
}

func (s *Server) named(r *Repo, owner, name string) {
	r.Owner, r.Name, r.FullName = owner, name, owner+"/"+name
	r.HTMLURL = s.html("/%s", r.FullName)
	r.CloneURL = r.HTMLURL + ".git"
}

// Grant gives a person a role: read, triage, write, maintain or admin; the
// empty role takes it away.
func (s *Server) Grant(repo, login, role string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	u := s.account(login, "User")
	if role == "" {
		delete(r.grants, u.ID)
	} else if roles[role] == 0 {
		return fmt.Errorf("github: grant %s on %s: a role is read, triage, write, maintain or admin", role, repo)
	} else {
		r.grants[u.ID] = role
	}
	s.changed.Broadcast()
	return nil
}

// GrantTeam gives a team a role in a repository.
func (s *Server) GrantTeam(repo, slug, role string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	t := s.team(r.Owner, slug)
	if t == nil || roles[role] == 0 {
		return fmt.Errorf("github: grant team %s %s on %s: no such team or role", slug, role, repo)
	}
	t.grants[r.ID] = role
	s.changed.Broadcast()
	return nil
}

// Rename gives a repository another name. The old one is redirected until a
// new repository takes it.
func (s *Server) Rename(repo, name, actor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	if other, moved := s.lookup(r.Owner, name); other != nil && !moved {
		return fmt.Errorf("github: rename %s to %s: the name is taken", repo, name)
	}
	from := r.Name
	r.formerly = append(r.formerly, r.FullName)
	s.named(r, r.Owner, name)
	s.raise(event{name: "repository", action: "renamed", repo: r, sender: s.account(actor, "User"),
		payload: obj{"changes": obj{"repository": obj{"name": obj{"from": from}}}}})
	s.changed.Broadcast()
	return nil
}

// Transfer gives a repository to another owner. Its old address redirects. Installations of the old owner see it no more;
// those of the new one that see all of theirs see it, and hear of it.
// https://docs.github.com/webhooks/webhook-events-and-payloads?actionType=transferred#repository
func (s *Server) Transfer(repo, owner, actor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	to, from := s.user(owner), s.user(r.Owner)
	if to == nil {
		return fmt.Errorf("github: transfer %s to %s: there is no such account", repo, owner)
	}
	if other, moved := s.lookup(owner, r.Name); other != nil && !moved {
		return fmt.Errorf("github: transfer %s to %s: the name is taken there", repo, owner)
	}
	for _, a := range s.apps {
		for _, i := range a.installations {
			delete(i.repos, r.ID)
		}
	}
	r.formerly = append(r.formerly, r.FullName)
	s.named(r, to.Login, r.Name)
	kind := "user"
	if from.Kind == "Organization" {
		kind = "organization"
	}
	s.raise(event{name: "repository", action: "transferred", repo: r, sender: s.account(actor, "User"),
		payload: obj{"changes": obj{"owner": obj{"from": obj{kind: s.renderUser(from)}}}}})
	s.changed.Broadcast()
	return nil
}

// DeleteRepo deletes a repository; it answers 404 from then on. Its git
// directory stays until Close.
func (s *Server) DeleteRepo(repo, actor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	s.raise(event{name: "repository", action: "deleted", repo: r, sender: s.account(actor, "User"), payload: obj{}})
	r.deleted = true
	for _, a := range s.apps {
		for _, i := range a.installations {
			delete(i.repos, r.ID)
		}
	}
	s.changed.Broadcast()
	return nil
}

// Fork copies a repository to another owner, with all its branches.
func (s *Server) Fork(repo, owner string) (Repo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, err := s.must(repo)
	if err != nil {
		return Repo{}, err
	}
	to, err := s.createRepo(owner, from.Name, from.Private)
	if err != nil {
		return Repo{}, err
	}
	to.fork = from
	// All branches; a plain fetch needs no daemon and copies the objects.
	if _, err := to.git.run(nil, "fetch", "--quiet", from.Dir, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return Repo{}, fmt.Errorf("github: fork %s: %w", repo, err)
	}
	to.refs, err = to.git.list()
	if err != nil {
		return Repo{}, fmt.Errorf("github: fork %s: %w", repo, err)
	}
	s.raise(event{name: "fork", repo: from, sender: s.user(owner), payload: obj{"forkee": s.renderRepo(to)}})
	return *to, nil
}

// lookup finds a repository by name; moved tells that it has another name by
// now.
func (s *Server) lookup(owner, name string) (r *Repo, moved bool) {
	full := owner + "/" + name
	for _, r := range s.repos {
		if strings.EqualFold(r.FullName, full) && !r.deleted {
			return r, false
		}
	}
	for _, r := range s.repos {
		if !r.deleted && slices.ContainsFunc(r.formerly, func(n string) bool { return strings.EqualFold(n, full) }) {
			return r, true
		}
	}
	return nil, false
}

func (s *Server) repoByID(id int64) *Repo {
	for _, r := range s.repos {
		if r.ID == id && !r.deleted {
			return r
		}
	}
	return nil
}

// must finds a repository by its full name for the Go API.
func (s *Server) must(full string) (*Repo, error) {
	owner, name, _ := strings.Cut(full, "/")
	if r, _ := s.lookup(owner, name); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("github: there is no repository %q; name it owner/name", full)
}

// someoneOf is an account to name as sender where nobody is known to have
// acted: the first owner of an organisation, or the owner.
func (s *Server) someoneOf(r *Repo) *User {
	owner := s.user(r.Owner)
	for _, u := range s.people() {
		if owner.owners[u.ID] {
			return u
		}
	}
	return owner
}

func (c *call) getRepo() answer { return ok(c.s.renderRepoFull(c.repo, c.who)) }

func (c *call) permissionOf() answer {
	u := c.s.user(c.param["username"])
	if u == nil {
		return notFound()
	}
	role := c.s.role(u, c.repo)
	if role == "" {
		role = "none"
	}
	// The old field knows only four words. That is why role_name exists.
	coarse := map[string]string{"maintain": "write", "triage": "read"}[role]
	if coarse == "" {
		coarse = role
	}
	user := c.s.renderUser(u)
	user["permissions"], user["role_name"] = permissionFlags(role), role
	return ok(obj{"permission": coarse, "role_name": role, "user": user})
}

func permissionFlags(role string) obj {
	n := roles[role]
	return obj{"admin": n >= 5, "maintain": n >= 4, "push": n >= 3, "triage": n >= 2, "pull": n >= 1}
}

func (c *call) checkCollaborator() answer {
	u := c.s.user(c.param["username"])
	if u == nil || !c.s.collaborates(u, c.repo) {
		return notFound()
	}
	return noContent()
}

// collaborates tells whether the person was given anything here; being able
// to read what everybody can read is not enough.
func (s *Server) collaborates(u *User, r *Repo) bool {
	owner := s.user(r.Owner)
	if r.grants[u.ID] != "" || owner.ID == u.ID || owner.owners[u.ID] {
		return true
	}
	return slices.ContainsFunc(s.teams, func(t *Team) bool { return t.grants[r.ID] != "" && s.membership(t, u) == "active" })
}

func (c *call) listCollaborators() answer {
	var out []*User
	for _, u := range c.s.people() {
		if u.Kind == "User" && c.s.collaborates(u, c.repo) {
			out = append(out, u)
		}
	}
	return ok(list(c, out, func(u *User) obj {
		o := c.s.renderUser(u)
		o["role_name"] = c.s.role(u, c.repo)
		o["permissions"] = permissionFlags(c.s.role(u, c.repo))
		return o
	}))
}
