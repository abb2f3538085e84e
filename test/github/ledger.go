package github

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Call is one REST call as it was answered.
type Call struct {
	At     time.Time
	Method string
	Route  string // as documented, with {placeholders}; "" when there is none
	Path   string
	Status int
	Caller string // "installation 1012", "app 1008", "user ada", "anonymous"
	Run    string // the value of X-Conveyor-Run
}

// record notes a call and returns its place in the list.
func (s *Server) record(c *call, path string, status int) int {
	k := Call{At: s.now(), Method: c.r.Method, Path: path, Status: status, Run: c.r.Header.Get("X-Conveyor-Run")}
	if c.route != nil {
		k.Route = c.route.pattern
	}
	if c.who == nil {
		c.who = &identity{kind: "anonymous"}
	}
	k.Caller = c.who.name()
	s.calls = append(s.calls, k)
	return len(s.calls) - 1
}

// Calls are all REST calls so far, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Ledger is what the demo writes down of a GitHub's memory.
type Ledger struct {
	Deliveries  []LedgerDelivery   `json:"deliveries"`
	CheckRuns   []LedgerCheckRun   `json:"check_runs"`
	Deployments []LedgerDeployment `json:"deployments"`
	Comments    []LedgerComment    `json:"comments"`
	Calls       map[string]int     `json:"calls"` // by the X-Conveyor-Run header
}

// LedgerDelivery is one webhook and the status it was answered with.
type LedgerDelivery struct {
	GUID   string `json:"guid"`
	Event  string `json:"event"`
	Action string `json:"action"`
	Answer int    `json:"answer"`
}

// LedgerCheckRun is one check run as it stands.
type LedgerCheckRun struct {
	Name       string `json:"name"`
	HeadSHA    string `json:"head_sha"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	ExternalID string `json:"external_id"`
}

// LedgerDeployment is one deployment with all states it went through.
type LedgerDeployment struct {
	Environment string   `json:"environment"`
	SHA         string   `json:"sha"`
	Digest      string   `json:"digest"`
	States      []string `json:"states"`
}

// LedgerComment is one comment of a pull request.
type LedgerComment struct {
	Pull   int    `json:"pull"`
	Author string `json:"author"`
	Body   string `json:"body"`
}

// Ledger writes down what happened in all repositories.
func (s *Server) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Ledger{Deliveries: []LedgerDelivery{}, CheckRuns: []LedgerCheckRun{}, Deployments: []LedgerDeployment{}, Comments: []LedgerComment{}, Calls: map[string]int{}}
	for _, d := range s.log {
		l.Deliveries = append(l.Deliveries, LedgerDelivery{d.GUID, d.Event, d.Action, d.StatusCode})
	}
	for _, k := range s.calls {
		if k.Run != "" {
			l.Calls[k.Run]++
		}
	}
	for _, r := range s.repos {
		for _, run := range r.runs {
			l.CheckRuns = append(l.CheckRuns, LedgerCheckRun{run.Name, run.HeadSHA, run.Status, run.Conclusion, run.ExternalID})
		}
		for _, d := range r.deployments {
			states := []string{}
			for _, t := range d.Statuses {
				states = append(states, t.State)
			}
			l.Deployments = append(l.Deployments, LedgerDeployment{d.Environment, d.SHA, d.Digest, states})
		}
		for _, i := range r.issues {
			for _, k := range i.comments {
				l.Comments = append(l.Comments, LedgerComment{i.number, k.Author, k.Body})
			}
		}
	}
	return l
}

// View is the state as a condition of Wait sees it. It is good only while the
// function that got it runs. What it gives are copies.
type View struct{ s *Server }

func (v *View) repo(full string) *Repo {
	r, _ := v.s.must(full)
	if r == nil {
		return &Repo{}
	}
	return r
}

// CheckRuns are those of a commit, oldest first; sha "" means all.
func (v *View) CheckRuns(repo, sha string) []CheckRun {
	var out []CheckRun
	for _, run := range v.repo(repo).runs {
		if sha == "" || run.HeadSHA == sha {
			k := *run
			k.Annotations, k.Actions = slices.Clone(run.Annotations), slices.Clone(run.Actions)
			out = append(out, k)
		}
	}
	return out
}

// CheckRun is the newest of that name on a commit.
func (v *View) CheckRun(repo, sha, name string) (CheckRun, bool) {
	for _, run := range newestFirst(v.CheckRuns(repo, sha)) {
		if run.Name == name {
			return run, true
		}
	}
	return CheckRun{}, false
}

// Statuses are the commit statuses of a commit, newest first.
func (v *View) Statuses(repo, sha string) []Status {
	var out []Status
	for _, t := range v.repo(repo).statusesOf(sha) {
		out = append(out, *t)
	}
	return out
}

// Deployments are those of a repository, oldest first; environment "" means
// all.
func (v *View) Deployments(repo, environment string) []Deployment {
	var out []Deployment
	for _, d := range v.repo(repo).deployments {
		if environment == "" || d.Environment == environment {
			k := *d
			k.Statuses = slices.Clone(d.Statuses)
			out = append(out, k)
		}
	}
	return out
}

// Comments are those of an issue or pull request, oldest first.
func (v *View) Comments(repo string, number int64) []Comment {
	var out []Comment
	if i := v.repo(repo).issue(int(number)); i != nil {
		for _, k := range i.comments {
			out = append(out, k.copy())
		}
	}
	return out
}

// Pull is a pull request.
func (v *View) Pull(repo string, number int64) (Pull, bool) {
	r := v.repo(repo)
	if i := r.issue(int(number)); i != nil && i.pull != nil {
		return v.s.copyPull(r, i.pull), true
	}
	return Pull{}, false
}

// Labels are the names of the labels of an issue or pull request.
func (v *View) Labels(repo string, number int64) []string {
	var out []string
	if i := v.repo(repo).issue(int(number)); i != nil {
		for _, l := range i.labels {
			out = append(out, l.name)
		}
	}
	return out
}

// Ref is where a ref points, by its full name; "" when it is not there.
func (v *View) Ref(repo, ref string) string { return v.repo(repo).refs[ref] }

// Deliveries are all attempts so far, in order of time.
func (v *View) Deliveries() []Delivery {
	var out []Delivery
	for _, d := range v.s.log {
		out = append(out, *d)
	}
	slices.SortStableFunc(out, func(a, b Delivery) int { return cmp.Or(a.DeliveredAt.Compare(b.DeliveredAt)) })
	return out
}

// CallsTo counts the calls to a route that were answered with success.
func (v *View) CallsTo(method, route string) int {
	n := 0
	for _, k := range v.s.calls {
		if k.Method == method && strings.EqualFold(k.Route, route) && k.Status < http.StatusBadRequest {
			n++
		}
	}
	return n
}
