package github

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Deployment is a deployment as it stood when it was handed out.
type Deployment struct {
	ID                    int64
	Repo, Ref, SHA        string
	Environment, Task     string
	Description, Digest   string // Digest is the field of that name in the payload
	Production, Transient bool
	Creator               string
	Statuses              []DeploymentStatus // oldest first
	Payload               any
	author                *User
	app                   *App
	made, updated         time.Time
	originalEnvironment   string
}

// DeploymentStatus is one state that a deployment came to.
type DeploymentStatus struct {
	ID                                                 int64
	State, Description, LogURL, EnvironmentURL, Author string

	environment string
	author      *User
	app         *App
	made        time.Time
}

// State is the latest, "" before the first.
func (d Deployment) State() string {
	if len(d.Statuses) == 0 {
		return ""
	}
	return d.Statuses[len(d.Statuses)-1].State
}

type environment struct {
	id   int64
	name string
	made time.Time
}

// useEnvironment makes an environment by its first use.
func (s *Server) useEnvironment(r *Repo, name string) *environment {
	for _, e := range r.environments {
		if strings.EqualFold(e.name, name) {
			return e
		}
	}
	e := &environment{id: s.next(), name: name, made: s.now()}
	r.environments = append(r.environments, e)
	return e
}

func (s *Server) renderDeployment(r *Repo, d *Deployment) obj {
	at := s.api("/repos/%s/deployments/%d", r.FullName, d.ID)
	o := obj{"url": at, "id": d.ID, "node_id": nodeID("DE", d.ID), "task": d.Task, "original_environment": d.originalEnvironment, "environment": d.Environment,
		"description": orNull(d.Description), "created_at": stamp(d.made), "updated_at": stamp(d.updated), "statuses_url": at + "/statuses",
		"repository_url": s.api("/repos/%s", r.FullName), "creator": s.renderUser(d.author), "sha": d.SHA, "ref": d.Ref, "payload": d.Payload,
		"transient_environment": d.Transient, "production_environment": d.Production, "performed_via_github_app": nil}
	if d.app != nil {
		o["performed_via_github_app"] = s.renderApp(d.app)
	}
	return o
}

func (s *Server) renderDeploymentStatus(r *Repo, d *Deployment, t *DeploymentStatus) obj {
	at := s.api("/repos/%s/deployments/%d", r.FullName, d.ID)
	o := obj{"url": at + "/statuses/" + strconv.FormatInt(t.ID, 10), "id": t.ID, "node_id": nodeID("DES", t.ID), "state": t.State, "creator": s.renderUser(t.author),
		"description": t.Description, "environment": t.environment, "target_url": t.LogURL, "created_at": stamp(t.made), "updated_at": stamp(t.made),
		"deployment_url": at, "repository_url": s.api("/repos/%s", r.FullName), "environment_url": t.EnvironmentURL, "log_url": t.LogURL, "performed_via_github_app": nil}
	if t.app != nil {
		o["performed_via_github_app"] = s.renderApp(t.app)
	}
	return o
}

// createDeployment has GitHub's two traps: the base branch is merged in
// unless auto_merge is false, and every check must be green unless
// required_contexts says otherwise.
// https://docs.github.com/rest/deployments/deployments#create-a-deployment
func (c *call) createDeployment() answer {
	if a := c.types("ref:string! task:string auto_merge:bool required_contexts:array payload:any environment:string description:string transient_environment:bool production_environment:bool"); a != nil {
		return *a
	}
	ref := c.text("ref")
	k := c.resolve(ref)
	if k == nil {
		return fail(http.StatusUnprocessableEntity, "No ref found for: %s", ref)
	}
	if c.flag("auto_merge", true) {
		if a := c.autoMerge(ref, k); a != nil {
			return *a
		}
	}
	if a := c.requireContexts(ref, k.sha); a != nil {
		return *a
	}
	d := &Deployment{ID: c.s.next(), Repo: c.repo.FullName, Ref: ref, SHA: k.sha, Environment: c.text("environment"), Task: c.text("task"),
		Description: c.text("description"), Payload: c.body["payload"], Transient: c.flag("transient_environment", false),
		author: c.who.actor(), app: c.who.app, made: c.s.now(), updated: c.s.now()}
	if d.Environment == "" {
		d.Environment = "production"
	}
	if d.Task == "" {
		d.Task = "deploy"
	}
	if utf8.RuneCountInString(d.Description) > 140 {
		return invalid(fieldError{"Deployment", "description", "custom", "description is too long (maximum is 140 characters)"})
	}
	d.Creator, d.originalEnvironment = d.author.Login, d.Environment
	d.Production = c.flag("production_environment", d.Environment == "production")
	d.readPayload()
	c.s.useEnvironment(c.repo, d.Environment)
	c.repo.deployments = append(c.repo.deployments, d)
	o := c.s.renderDeployment(c.repo, d)
	c.s.raise(event{name: "deployment", action: "created", repo: c.repo, sender: d.author, payload: obj{"deployment": o, "workflow": nil, "workflow_run": nil}})
	return created(o).with("Location", o["url"].(string))
}

// readPayload keeps an object an object and takes a string apart for the
// digest only.
func (d *Deployment) readPayload() {
	m, isObject := d.Payload.(map[string]any)
	if text, isText := d.Payload.(string); isText {
		_ = json.Unmarshal([]byte(text), &m)
	} else if !isObject {
		d.Payload = obj{}
	}
	d.Digest, _ = m["digest"].(string)
}

// autoMerge merges the default branch into the ref when that is behind.
func (c *call) autoMerge(ref string, k *commit) *answer {
	r := c.repo
	base := r.refs["refs/heads/"+r.DefaultBranch]
	if base == "" || r.git.isAncestor(base, k.sha) {
		return nil
	}
	tree := r.git.mergeTree(k.sha, base)
	branch := "refs/heads/" + ref
	if tree == "" || r.refs[branch] == "" { // a bare SHA cannot be merged into
		a := fail(http.StatusConflict, "Conflict merging %s into %s.", r.DefaultBranch, ref)
		return &a
	}
	who := c.who.actor().signature(c.s)
	sha, err := r.git.writeCommit(tree, []string{k.sha, base}, who, who, "Merge "+r.DefaultBranch+" into "+ref)
	if err == nil {
		err = r.git.update(map[string]string{branch: sha})
	}
	if err != nil {
		a := fail(http.StatusConflict, "Conflict merging %s into %s.", r.DefaultBranch, ref)
		return &a
	}
	c.s.refsChanged(r, c.who.actor(), []refChange{{branch, k.sha, sha}})
	return &answer{status: http.StatusAccepted, body: obj{"message": "Auto-merged " + r.DefaultBranch + " into " + ref + " on deployment."}}
}

// requireContexts wants every status and check green; an own check that is
// still running is enough to fail it.
func (c *call) requireContexts(ref, sha string) *answer {
	wanted, named := words(c.body["required_contexts"])
	states := map[string]string{}
	for _, t := range latestStatuses(c.repo.statusesOf(sha)) {
		states[t.Context] = t.State
	}
	for _, run := range c.repo.runs {
		if run.HeadSHA != sha {
			continue
		}
		state := "pending"
		switch {
		case run.Status != "completed":
		case run.Conclusion == "success" || run.Conclusion == "neutral" || run.Conclusion == "skipped":
			state = "success"
		default:
			state = "failure"
		}
		states[run.Name] = state
	}
	if !named {
		wanted = sortedKeys(states)
	}
	contexts, bad := []any{}, false
	for _, name := range wanted {
		state := states[name]
		if state == "" {
			state = "pending"
		}
		bad = bad || state != "success"
		contexts = append(contexts, obj{"context": name, "state": state})
	}
	if !bad {
		return nil
	}
	a := fail(http.StatusConflict, "Conflict: Commit status checks failed for %s.", ref)
	a.body.(obj)["errors"] = []any{obj{"contexts": contexts, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}}
	return &a
}

func (c *call) deployment() *Deployment {
	for _, d := range c.repo.deployments {
		if d.ID == c.id("deployment_id") {
			return d
		}
	}
	return nil
}

func (c *call) getDeployment() answer {
	if d := c.deployment(); d != nil {
		return ok(c.s.renderDeployment(c.repo, d))
	}
	return notFound()
}

func (c *call) listDeployments() answer {
	var out []*Deployment
	is := func(name, value string) bool {
		q := c.query.Get(name)
		return q == "" || q == "none" || q == value
	}
	for _, d := range newestFirst(c.repo.deployments) {
		if is("sha", d.SHA) && is("ref", d.Ref) && is("task", d.Task) && is("environment", d.Environment) {
			out = append(out, d)
		}
	}
	return ok(list(c, out, func(d *Deployment) obj { return c.s.renderDeployment(c.repo, d) }))
}

func (c *call) deleteDeployment() answer {
	d := c.deployment()
	if d == nil {
		return notFound()
	}
	if d.State() != "inactive" && len(c.repo.deployments) > 1 && d.State() != "" {
		return fail(http.StatusUnprocessableEntity, "We cannot delete an active deployment unless it is the only deployment in a given environment.")
	}
	c.repo.deployments = slices.DeleteFunc(slices.Clone(c.repo.deployments), func(o *Deployment) bool { return o == d })
	return noContent()
}

var deploymentStates = []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}

func (c *call) createDeploymentStatus() answer {
	d := c.deployment()
	if d == nil {
		return notFound()
	}
	if a := c.types("state:string! target_url:string log_url:string description:string environment:string environment_url:string auto_inactive:bool"); a != nil {
		return *a
	}
	t := DeploymentStatus{ID: c.s.next(), State: c.text("state"), Description: c.text("description"), LogURL: c.text("log_url"),
		EnvironmentURL: c.text("environment_url"), environment: d.Environment, author: c.who.actor(), app: c.who.app, made: c.s.now()}
	t.Author = t.author.Login
	if t.LogURL == "" {
		t.LogURL = c.text("target_url")
	}
	switch {
	case !slices.Contains(deploymentStates, t.State):
		return invalid(fieldError{"DeploymentStatus", "state", "custom", "state is not included in the list"})
	case utf8.RuneCountInString(t.Description) > 140:
		return invalid(fieldError{"DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)"})
	case t.LogURL != "" && !absolute(t.LogURL):
		return invalid(fieldError{"DeploymentStatus", "log_url", "custom", "log_url must use http(s) scheme"})
	case t.EnvironmentURL != "" && !absolute(t.EnvironmentURL):
		return invalid(fieldError{"DeploymentStatus", "environment_url", "custom", "environment_url must use http(s) scheme"})
	}
	if name := c.text("environment"); name != "" {
		t.environment, d.Environment = name, name
		c.s.useEnvironment(c.repo, name)
	}
	if t.State == "success" && c.flag("auto_inactive", true) {
		c.supersede(d)
	}
	d.Statuses, d.updated = append(d.Statuses, t), c.s.now()
	o := c.s.renderDeploymentStatus(c.repo, d, &t)
	if t.State != "inactive" { // of that GitHub tells nobody
		shown := maps.Clone(o)
		for _, name := range []string{"log_url", "environment_url"} {
			if shown[name] == "" { // the webhook's schema wants an address or nothing
				delete(shown, name)
			}
		}
		c.s.raise(event{name: "deployment_status", action: "created", repo: c.repo, sender: t.author,
			payload: obj{"deployment": c.s.renderDeployment(c.repo, d), "deployment_status": shown, "check_run": nil, "workflow": nil, "workflow_run": nil}})
	}
	return created(o).with("Location", o["url"].(string))
}

// supersede marks what stood in the environment before as inactive. Transient
// and production environments are left alone.
func (c *call) supersede(by *Deployment) {
	for _, d := range c.repo.deployments {
		if d == by || d.Environment != by.Environment || d.Production || d.Transient || d.State() != "success" || d.ID > by.ID {
			continue
		}
		d.Statuses = append(d.Statuses, DeploymentStatus{ID: c.s.next(), State: "inactive", environment: d.Environment, author: c.who.actor(),
			Author: c.who.actor().Login, app: c.who.app, made: c.s.now()})
		d.updated = c.s.now()
	}
}

func (c *call) listDeploymentStatuses() answer {
	d := c.deployment()
	if d == nil {
		return notFound()
	}
	return ok(list(c, newestFirst(d.Statuses), func(t DeploymentStatus) obj { return c.s.renderDeploymentStatus(c.repo, d, &t) }))
}

func (c *call) getDeploymentStatus() answer {
	if d := c.deployment(); d != nil {
		for _, t := range d.Statuses {
			if t.ID == c.id("status_id") {
				return ok(c.s.renderDeploymentStatus(c.repo, d, &t))
			}
		}
	}
	return notFound()
}

func (c *call) renderEnvironment(e *environment) obj {
	return obj{"id": e.id, "node_id": nodeID("EN", e.id), "name": e.name, "url": c.s.api("/repos/%s/environments/%s", c.repo.FullName, escapeRef(e.name)),
		"html_url":   c.s.html("/%s/deployments/activity_log?environments_filter=%s", c.repo.FullName, escapeRef(e.name)),
		"created_at": stamp(e.made), "updated_at": stamp(e.made), "protection_rules": []any{}, "deployment_branch_policy": nil}
}

func (c *call) listEnvironments() answer {
	return ok(obj{"total_count": len(c.repo.environments), "environments": list(c, c.repo.environments, c.renderEnvironment)})
}

func (c *call) getEnvironment() answer {
	for _, e := range c.repo.environments {
		if strings.EqualFold(e.name, c.param["environment_name"]) {
			return ok(c.renderEnvironment(e))
		}
	}
	return notFound()
}

func (c *call) deleteEnvironment() answer {
	n := len(c.repo.environments)
	c.repo.environments = slices.DeleteFunc(slices.Clone(c.repo.environments), func(e *environment) bool { return strings.EqualFold(e.name, c.param["environment_name"]) })
	if len(c.repo.environments) == n {
		return notFound()
	}
	return noContent()
}
