package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/test/github"
)

// world is a local GitHub that fits a payload: its repository, people, branch, pull request and comment are there. What the
// local GitHub numbers itself is changed in the payload, and changed back in what is shown.
type world struct {
	github  *github.Server
	app     github.App
	payload []byte
	notes   []string

	mu    sync.Mutex
	calls []call
	back  []string // pairs for a strings.Replacer: as it is here, as it was there

	repo, sender, role string
	p                  object
	past               deploy.State // what the server knew; empty when it begins with nothing
	fits               bool         // numbers are those of there
	renamed            []string     // pairs: a commit there, and here
}

// call is one call to GitHub's API.
type call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// keeper is who owns organisations here.
const keeper = "conveyor-replay"

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// high is above all numbers that GitHub has given out: what is made here beside a history has numbers of its own.
const high = 1 << 50

// seed makes the world of a delivery. With a history, everyone and everything in it has the number of there.
func seed(hook app.Webhook, past []app.Stream, role string, files map[string]string, dir string) (w *world, err error) {
	p, err := decode(hook.Body)
	if err != nil {
		return nil, fmt.Errorf("the payload cannot be replayed: %w", err)
	}
	w = &world{p: p, repo: text(p, "repository", "full_name"), sender: text(p, "sender", "login"), role: role}
	if w.past, err = app.RepoOf(past); err != nil {
		return nil, err
	}
	options := github.Options{Dir: dir + "/github", Wrap: w.listen}
	if w.fits = past != nil; w.fits {
		options.First = high
		if !hook.At.IsZero() {
			ago := time.Since(hook.At)
			options.Now = func() time.Time { return time.Now().Add(-ago) }
		}
	}
	server, err := github.Start(options)
	if err != nil {
		return nil, err
	}
	w.github = server
	defer func() {
		if err != nil {
			err = errors.Join(err, server.Close())
		}
	}()
	owner, name, whole := strings.Cut(w.repo, "/")
	if !whole {
		owner, name = keeper, "nothing"
		w.notes = append(w.notes, "the payload names no repository")
	}
	w.github.AddUser(keeper)
	w.populate(past)
	if text(p, "repository", "owner", "type") == "Organization" {
		w.number(number(p, "repository", "owner", "id"))
		w.github.AddOrg(owner, keeper)
	}
	w.github.AddUser(owner)
	w.number(number(p, "repository", "id"))
	here, err := w.github.CreateRepo(owner, name, true)
	if err != nil {
		return nil, fmt.Errorf("the payload's repository cannot be made: %w", err)
	}
	if w.app, err = w.github.RegisterApp(owner, github.Manifest{
		Name: "Conveyor", URL: "https://conveyor.example", DefaultEvents: []string{"issue_comment", "pull_request", "push"},
		DefaultPermissions: map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "members": "read", "metadata": "read", "pull_requests": "write"},
	}); err != nil {
		return nil, err
	}
	w.number(number(p, "installation", "id"))
	installed, err := w.github.InstallApp(w.app.Slug, owner)
	if err != nil {
		return nil, err
	}
	if err := w.invite(); err != nil {
		return nil, err
	}
	if whole {
		if err := w.happen(files); err != nil {
			return nil, fmt.Errorf("what the payload tells of cannot be made: %w", err)
		}
		w.renumber(w.repo, here.ID)
	}
	there := number(p, "installation", "id")
	if there == 0 {
		w.notes = append(w.notes, "the payload names no installation; it is replayed as if the App were installed there")
	} else {
		w.returns("/installations/%d", installed.ID, there)
	}
	p["installation"] = object{"id": installed.ID}
	w.payload, err = json.Marshal(p)
	w.begin()
	return w, err
}

// renumber gives a repository its number of here, wherever the payload speaks of it.
func (w *world) renumber(repo string, id int64) {
	if there := number(w.p, "repository", "id"); repo == w.repo && there != 0 {
		w.returns("run/%d/", id, there)
		w.returns("runs/%d/", id, there)
		w.returns(`"repository_ids":[%d]`, id, there)
	}
	each(w.p, func(o object) {
		if o["full_name"] == repo && o["id"] != nil {
			o["id"] = id
		}
	})
}

// invite makes the people whom the payload names. The sender has the role that was asked for; others have what GitHub says
// of them.
func (w *world) invite() error {
	people := map[string]int64{}
	each(w.p, func(o object) {
		login, _ := o["login"].(string)
		if kind, named := o["type"].(string); login == "" || o["id"] == nil || named && kind != "User" {
			return
		}
		u := w.github.AddUser(login)
		people[login] = u.ID
		o["id"] = u.ID
	})
	if w.repo == "" {
		return nil
	}
	roles := map[string]string{}
	each(w.p, func(o object) {
		switch o["author_association"] {
		case "OWNER", "MEMBER", "COLLABORATOR":
			roles[text(o, "user", "login")] = "write"
		}
	})
	roles[w.sender] = strings.TrimSuffix(w.role, "none")
	for login, role := range roles {
		if people[login] == 0 {
			continue
		}
		if err := w.github.Grant(w.repo, login, role); err != nil {
			return err
		}
	}
	return nil
}

// happen makes what the payload tells of.
func (w *world) happen(files map[string]string) error {
	branch := text(w.p, "repository", "default_branch")
	if branch == "" {
		branch = "main"
	}
	who := w.sender
	if who == "" {
		who = keeper
	}
	if pull := at(w.p, "pull_request"); pull != nil && text(pull, "base", "ref") != "" {
		branch = text(pull, "base", "ref")
	}
	base, err := w.github.Commit(w.repo, branch, who, "base", files)
	if err != nil {
		return err
	}
	w.commit(string(w.past.DefinedAt), base)
	switch {
	case at(w.p, "pull_request") != nil:
		return w.pull(at(w.p, "pull_request"), base)
	case at(w.p, "issue", "pull_request") != nil:
		return w.talk(branch, base)
	}
	pushed, isBranch := strings.CutPrefix(text(w.p, "ref"), "refs/heads/")
	if !isBranch || w.p["deleted"] == true || !commitForm.MatchString(text(w.p, "after")) {
		return nil
	}
	head, err := w.change(w.repo, pushed, who, base)
	w.commit(text(w.p, "before"), base)
	w.commit(text(w.p, "after"), head)
	return err
}

// change is a commit on a branch that begins at base.
func (w *world) change(repo, branch, who, base string) (string, error) {
	if err := w.github.ForcePush(repo, branch, who, base); err != nil {
		return "", err
	}
	return w.github.Commit(repo, branch, who, "change", map[string]string{"replayed.txt": "changed\n"})
}

// pull makes the payload's pull request, from a fork when it came from one, and closes it when it was closed.
func (w *world) pull(p object, base string) error {
	who, head := text(p, "user", "login"), text(p, "head", "ref")
	if who == "" {
		who = keeper
	}
	from, of := w.repo, head
	if fork := text(p, "head", "repo", "full_name"); fork != w.repo {
		owner, _, _ := strings.Cut(fork, "/")
		if fork == "" {
			owner = keeper // the fork is gone
		}
		made, err := w.github.Fork(w.repo, owner)
		if err != nil {
			return err
		}
		from, of = made.FullName, owner+":"+head
		w.renumber(fork, made.ID)
	}
	sha, err := w.change(from, head, who, base)
	if err != nil {
		return err
	}
	n := number(p, "number")
	if err := w.github.SkipTo(w.repo, int(n)); err != nil {
		return err
	}
	if _, err := w.github.OpenPull(w.repo, who, text(p, "title"), of, text(p, "base", "ref")); err != nil {
		return err
	}
	w.commit(text(p, "base", "sha"), base)
	w.commit(text(p, "head", "sha"), sha)
	if text(p, "state") != "closed" {
		return nil
	}
	if p["merged"] != true {
		return w.github.ClosePull(w.repo, n, who)
	}
	merged, err := w.github.Merge(w.repo, n, who)
	w.commit(text(p, "merge_commit_sha"), merged)
	return err
}

// talk makes the pull request of which the payload has the issue only, and the comment on it.
func (w *world) talk(branch, base string) error {
	who := text(w.p, "issue", "user", "login")
	if who == "" {
		who = keeper
	}
	n := number(w.p, "issue", "number")
	known, topic := w.past.Pulls[int(n)], "conveyor-replay"
	if known.Branch != "" && !known.Fork && known.Branch != branch {
		topic = known.Branch
	}
	head, err := w.change(w.repo, topic, who, base)
	if err != nil {
		return err
	}
	w.commit(string(known.Head), head)
	if err := w.github.SkipTo(w.repo, int(n)); err != nil {
		return err
	}
	if _, err := w.github.OpenPull(w.repo, who, text(w.p, "issue", "title"), topic, branch); err != nil {
		return err
	}
	if known.Merged {
		merged, err := w.github.Merge(w.repo, n, who)
		if err != nil {
			return err
		}
		w.commit(string(known.MergeCommit), merged)
	}
	w.sayHere()
	comment := at(w.p, "comment")
	w.number(number(comment, "id"))
	said, err := w.github.Comment(w.repo, int(n), text(comment, "user", "login"), text(comment, "body"))
	if err != nil {
		return err
	}
	w.returns("/comments/%d", said.ID, number(comment, "id"))
	comment["id"] = said.ID
	return nil
}

// commit puts a commit of here in the place of one that the payload names.
func (w *world) commit(there, here string) {
	if !commitForm.MatchString(there) || strings.Trim(there, "0") == "" || here == "" {
		return
	}
	if slices.Contains(w.renamed, there) {
		return // it has its place
	}
	w.renamed = append(w.renamed, there, here)
	w.back = append(w.back, here, there, here[:7], there[:7])
	each(w.p, func(o object) {
		for k, v := range o {
			if v == there {
				o[k] = here
			}
		}
	})
}

// returns says how a number of here is shown.
func (w *world) returns(form string, here, there int64) {
	w.back = append(w.back, fmt.Sprintf(form, here), fmt.Sprintf(form, there))
}

// original is a text with the payload's own numbers.
func (w *world) original(s string) string { return strings.NewReplacer(w.back...).Replace(s) }

func (w *world) signature() string {
	return "sha256=" + github.Sign(w.app.WebhookSecret, w.payload, sha256.New)
}

// listen remembers each call to the API, in the order in which they came.
func (w *world) listen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		path, isAPI := strings.CutPrefix(r.URL.RequestURI(), "/api/v3")
		if !isAPI {
			next.ServeHTTP(rw, r) // git
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, "the request broke off", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if body = bytes.TrimSpace(body); string(body) == "null" {
			body = nil // go-github's way to send nothing
		}
		w.mu.Lock()
		place := len(w.calls)
		w.calls = append(w.calls, call{Method: r.Method, Path: path, Body: body})
		w.mu.Unlock()
		answer := &answered{ResponseWriter: rw, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[place].Status = answer.status
	})
}

// heard are the calls, as they would be made there.
func (w *world) heard() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]call, 0, len(w.calls))
	for _, c := range w.calls {
		c.Path = w.original(c.Path)
		if len(c.Body) > 0 {
			c.Body = json.RawMessage(w.original(string(c.Body)))
		}
		all = append(all, c)
	}
	return all
}

// answered remembers the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader passes the status on.
func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
