package github

import (
	"fmt"
	"time"
)

// CheckRun is a check run as it stood when it was handed out.
type CheckRun struct {
	ID                     int64
	Repo                   string
	AppSlug                string
	Name, HeadSHA          string
	Status, Conclusion     string
	ExternalID, DetailsURL string
	StartedAt, CompletedAt time.Time
	CreatedAt              time.Time // when GitHub first heard of it
	Title, Summary, Text   string
	Annotations            []Annotation
	Actions                []Action

	app       *App
	suite     *suite
	output    bool // somebody gave one
	textGiven bool
}

// Annotation is one remark on a line.
type Annotation struct {
	Path                             string
	StartLine, EndLine               int
	StartColumn, EndColumn           int // zero means none
	Level, Message, Title, RawDetail string
}

// Action is a button of a check run.
type Action struct{ Label, Description, Identifier string }

// suite is what one App says about one commit.
type suite struct {
	id            int64
	app           *App
	sha, branch   string
	before, after string
	made, updated time.Time
	runs          []*CheckRun
	rerequested   bool
}

// state is the status and conclusion of a suite: the worst of its runs.
// https://docs.github.com/rest/guides/using-the-rest-api-to-interact-with-checks
func (t *suite) state() (status string, conclusion any) {
	if len(t.runs) == 0 || t.rerequested {
		return "queued", nil
	}
	worst := []string{"success", "skipped", "neutral", "cancelled", "timed_out", "action_required", "failure"}
	rank, started := 0, false
	latest := latestRuns(t.runs)
	for _, run := range latest {
		if run.Status != "completed" {
			status = "queued"
		}
		if run.Status == "in_progress" || run.Status == "completed" {
			started = true
		}
		for i, name := range worst {
			if run.Conclusion == name {
				rank = max(rank, i)
			}
		}
	}
	if status == "" {
		return "completed", worst[rank]
	}
	if started {
		return "in_progress", nil
	}
	return status, nil
}

// latestRuns keeps the newest run of each name and App.
func latestRuns(runs []*CheckRun) []*CheckRun {
	var out []*CheckRun
	seen := map[string]bool{}
	for i := len(runs) - 1; i >= 0; i-- {
		key := fmt.Sprint(runs[i].app.ID, " ", runs[i].Name)
		if !seen[key] {
			seen[key] = true
			out = append(out, runs[i])
		}
	}
	return newestFirst(out)
}

// suiteFor finds or makes the suite of an App for a commit.
func (s *Server) suiteFor(r *Repo, a *App, sha string) (t *suite, isNew bool) {
	for _, t := range r.suites {
		if t.app == a && t.sha == sha {
			return t, false
		}
	}
	t = &suite{id: s.next(), app: a, sha: sha, made: s.now(), updated: s.now()}
	for ref, at := range r.refs {
		if at == sha && len(ref) > 11 && ref[:11] == "refs/heads/" && (t.branch == "" || ref[11:] < t.branch) {
			t.branch = ref[11:]
		}
	}
	r.suites = append(r.suites, t)
	return t, true
}

// requestSuites makes the suites of a push and tells the Apps that may write
// checks. A commit pushed a second time gets no second event.
func (s *Server) requestSuites(r *Repo, actor *User, branch, before, after string) {
	for _, a := range s.apps {
		for _, i := range a.installations {
			if !i.covers(r) || i.Permissions["checks"] != "write" || !i.SuspendedAt.IsZero() {
				continue
			}
			t, isNew := s.suiteFor(r, a, after)
			if !isNew {
				continue
			}
			t.branch, t.before, t.after = branch, before, after
			s.raise(event{name: "check_suite", action: "requested", repo: r, sender: actor, only: a, payload: obj{"check_suite": s.renderSuite(r, t, true)}})
		}
	}
}

// RerequestCheck presses Re-run at a check run. The run itself is not reset;
// that is the App's to do.
func (s *Server) RerequestCheck(repo string, id int64, actor string) error {
	return s.onRun(repo, id, func(r *Repo, run *CheckRun) error {
		s.rerequest(r, run, s.account(actor, "User"))
		return nil
	})
}

func (s *Server) rerequest(r *Repo, run *CheckRun, actor *User) {
	run.suite.rerequested = true
	s.raise(event{name: "check_run", action: "rerequested", repo: r, sender: actor, only: run.app, payload: obj{"check_run": s.renderRunForHook(r, run)}})
}

// RerequestSuite presses Re-run all checks.
func (s *Server) RerequestSuite(repo, sha, slug, actor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	for _, t := range r.suites {
		if t.sha == sha && t.app.Slug == slug {
			s.rerequestSuite(r, t, s.account(actor, "User"))
			return nil
		}
	}
	return fmt.Errorf("github: re-run the checks of %s: %s has none there", sha, slug)
}

func (s *Server) rerequestSuite(r *Repo, t *suite, actor *User) {
	t.rerequested = true
	s.raise(event{name: "check_suite", action: "rerequested", repo: r, sender: actor, only: t.app, payload: obj{"check_suite": s.renderSuite(r, t, true)}})
	s.changed.Broadcast()
}

// RequestAction presses a button of a check run.
func (s *Server) RequestAction(repo string, id int64, identifier, actor string) error {
	return s.onRun(repo, id, func(r *Repo, run *CheckRun) error {
		for _, a := range run.Actions {
			if a.Identifier == identifier {
				s.raise(event{name: "check_run", action: "requested_action", repo: r, sender: s.account(actor, "User"), only: run.app,
					payload: obj{"check_run": s.renderRunForHook(r, run), "requested_action": obj{"identifier": identifier}}})
				return nil
			}
		}
		return fmt.Errorf("github: press %q at check run %d: it has no such button", identifier, id)
	})
}

func (s *Server) onRun(repo string, id int64, do func(*Repo, *CheckRun) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.must(repo)
	if err != nil {
		return err
	}
	run := r.run(id)
	if run == nil {
		return fmt.Errorf("github: there is no check run %d in %s", id, repo)
	}
	defer s.changed.Broadcast()
	return do(r, run)
}

func (r *Repo) run(id int64) *CheckRun {
	for _, run := range r.runs {
		if run.ID == id {
			return run
		}
	}
	return nil
}

// pullsAt are the open pull requests of a commit, from the same repository
// only: for forks GitHub leaves the list empty.
func (s *Server) pullsAt(r *Repo, sha string) []any {
	out := []any{}
	for _, i := range r.issues {
		p := i.pull
		if p == nil || i.State != "open" || p.headRepo != r || p.headSHA != sha {
			continue
		}
		short := obj{"id": r.ID, "url": s.api("/repos/%s", r.FullName), "name": r.Name}
		out = append(out, obj{"id": p.id, "number": i.number, "url": s.api("/repos/%s/pulls/%d", r.FullName, i.number),
			"head": obj{"ref": p.headRef, "sha": p.headSHA, "repo": short}, "base": obj{"ref": p.baseRef, "sha": p.baseSHA, "repo": short}})
	}
	return out
}

// raiseRun tells of a run: to its App, and to others that read checks.
func (s *Server) raiseRun(r *Repo, run *CheckRun, action string) {
	s.raise(event{name: "check_run", action: action, repo: r, sender: run.app.bot, payload: obj{"check_run": s.renderRunForHook(r, run)}})
	if action == "completed" {
		if status, _ := run.suite.state(); status == "completed" {
			s.raise(event{name: "check_suite", action: "completed", repo: r, sender: run.app.bot, payload: obj{"check_suite": s.renderSuite(r, run.suite, true)}})
		}
	}
}

func (s *Server) renderOutput(r *Repo, run *CheckRun) obj {
	o := obj{"title": nil, "summary": nil, "text": nil, "annotations_count": len(run.Annotations),
		"annotations_url": s.api("/repos/%s/check-runs/%d/annotations", r.FullName, run.ID)}
	if run.output {
		o["title"], o["summary"] = run.Title, run.Summary
		if run.textGiven {
			o["text"] = run.Text
		}
	}
	return o
}

// renderRun is a check run in REST answers.
func (s *Server) renderRun(r *Repo, run *CheckRun) obj {
	details := run.DetailsURL
	if details == "" {
		details = run.app.URL
	}
	return obj{"id": run.ID, "name": run.Name, "node_id": nodeID("CR", run.ID), "head_sha": run.HeadSHA, "external_id": run.ExternalID,
		"url": s.api("/repos/%s/check-runs/%d", r.FullName, run.ID), "html_url": s.html("/%s/runs/%d", r.FullName, run.ID), "details_url": details,
		"status": run.Status, "conclusion": orNull(run.Conclusion), "started_at": stamp(run.StartedAt), "completed_at": stamp(run.CompletedAt),
		"output": s.renderOutput(r, run), "check_suite": obj{"id": run.suite.id}, "app": s.renderApp(run.app), "pull_requests": s.pullsAt(r, run.HeadSHA)}
}

// renderRunForHook nests the suite, as webhooks do.
func (s *Server) renderRunForHook(r *Repo, run *CheckRun) obj {
	o := s.renderRun(r, run)
	o["app"] = s.renderApp(run.app)
	t := s.renderSuite(r, run.suite, true)
	delete(t, "latest_check_runs_count")
	delete(t, "check_runs_url")
	delete(t, "head_commit")
	o["check_suite"] = t
	if o["started_at"] == nil { // the webhook always has one
		o["started_at"] = stamp(run.CreatedAt)
	}
	return o
}

// renderSuite is a check suite; in a webhook the repository stands beside it.
func (s *Server) renderSuite(r *Repo, t *suite, hook bool) obj {
	status, conclusion := t.state()
	at := s.api("/repos/%s/check-suites/%d", r.FullName, t.id)
	o := obj{"id": t.id, "node_id": nodeID("CS", t.id), "head_branch": orNull(t.branch), "head_sha": t.sha, "status": status, "conclusion": conclusion,
		"url": at, "before": orNull(t.before), "after": orNull(t.after), "pull_requests": s.pullsAt(r, t.sha), "app": s.renderApp(t.app),
		"created_at": stamp(t.made), "updated_at": stamp(t.updated), "rerequestable": true, "runs_rerequestable": true,
		"latest_check_runs_count": len(latestRuns(t.runs)), "check_runs_url": at + "/check-runs", "head_commit": nil}
	if k := r.git.commit(t.sha); k != nil {
		person := func(g signature) obj { return obj{"name": g.name, "email": g.email} }
		o["head_commit"] = obj{"id": k.sha, "tree_id": k.tree, "message": k.message, "timestamp": stamp(k.committer.at), "author": person(k.author), "committer": person(k.committer)}
	}
	if hook {
		o["app"] = s.renderApp(t.app)
	} else {
		o["repository"] = s.renderRepo(r)
	}
	return o
}
