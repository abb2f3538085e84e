package dashboard

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// headline is what is said of a run first.
type headline struct {
	Link, Title     string
	Repo, RepoURL   string
	Commit          pipeline.Commit
	CommitURL       string
	Why, WhyURL, By string
	Pipeline        string // empty where there is only the usual one
	State           state
	When            time.Time
	Took            string
	Running         bool
}

// liveView is the part of a run's page that changes. It holds no time of now, so that it changes only with the run.
type liveView struct {
	headline
	Because   string // why it ended as it did, or what it does
	Parts     []part
	Problems  []problemView
	PlanPath  string
	Next      []nextStep
	Stages    []stageView
	Places    []placeView
	Artifacts []artifactView
	Withheld  bool   // the artifacts are not offered, because the run is not green
	Auto      string // the log to show unless the person chooses one
	About     []fact
	Over      bool
}

// part is a step in the bar of all steps.
type part struct{ Name, Word, Class string }

type problemView struct {
	pipeline.Problem
	URL string
}

type artifactView struct {
	Name, Content string
	Digest        pipeline.Digest
	Link          string // where its manifest and its provenance are; empty when it has none
}

type fact struct{ Name, Value string }

func (p *Pages) headline(s pipeline.State) headline {
	t := s.Trigger
	h := headline{
		Link: p.link(s.Run), Title: cut(strings.Join(strings.Fields(plain(t.Title)), " "), 200), Repo: t.Repo.Slug(), Commit: t.Commit, By: t.Actor.Login, Pipeline: s.Plan.Name, When: s.Requested,
		RepoURL: p.github(t.Repo), CommitURL: p.github(t.Repo, "commit", string(t.Commit)),
		State: states["queued"],
	}
	if h.Title == "" {
		h.Title = "Commit " + t.Commit.Short()
	}
	h.Why, h.WhyURL = "push to "+cut(plain(t.Branch), 80), p.github(t.Repo, "tree", t.Branch)
	if t.Kind == pipeline.PullRequest {
		h.Why, h.WhyURL = fmt.Sprintf("pull request #%d", t.Pull), p.github(t.Repo, "pull", fmt.Sprint(t.Pull))
	}
	if t.Kind == pipeline.MergeGroup {
		h.Why, h.WhyURL = "merge queue of "+cut(plain(t.Base), 80), p.github(t.Repo, "tree", t.Base)
	}
	if t.Kind == pipeline.ByHand {
		h.Why = "by hand, at " + cut(plain(t.Branch), 80)
	}
	if t.Kind == pipeline.Schedule {
		h.Why = "schedule of " + cut(plain(t.Branch), 80)
	}
	for _, st := range s.Steps {
		if st.Attempt > 0 {
			h.State, h.Running = states["running"], true
		}
	}
	if c := s.Conclusion(); c != "" {
		if h.Running { // some time at least
			h.Took = took(s.Requested, s.Ended)
		}
		h.State, h.Running = states[string(c)], false
	}
	return h
}

// link is the address of a run's page at this server.
func (p *Pages) link(run pipeline.RunID) string {
	repo, delivery, _ := strings.Cut(strings.TrimPrefix(string(run), "run/"), "/")
	return "/runs/" + repo + "/" + url.PathEscape(delivery) + "/" + p.o.Key(run)
}

// github is an address in a repository at GitHub. Parts may come from outside: a slash in them stays one, and none of
// them leads out of the repository.
func (p *Pages) github(r pipeline.Repo, parts ...string) string {
	address := strings.TrimSuffix(p.o.GitHubURL, "/") + "/" + url.PathEscape(r.Owner) + "/" + url.PathEscape(r.Name)
	for _, part := range parts {
		address += (&url.URL{Path: path.Clean("/" + part)}).EscapedPath()
	}
	return address
}

// view gathers what changes on a run's page.
func (p *Pages) view(ctx context.Context, s pipeline.State) (liveView, error) {
	repo, err := p.o.Repo(ctx, s.Trigger.Repo.ID)
	if err != nil {
		return liveView{}, err
	}
	v := liveView{headline: p.headline(s), Because: because(s), PlanPath: s.Plan.Path(), Over: s.Over(), About: about(s), Auto: auto(s)}
	if len(s.Problems) > 0 {
		v.PlanPath = s.Problems[0].File()
	}
	for i, stage := range s.Plan.Stages {
		if len(s.Problems) == 0 {
			v.Stages = append(v.Stages, p.stage(s, i, stage))
		}
	}
	for _, stage := range v.Stages {
		for _, step := range stage.Steps {
			v.Parts = append(v.Parts, part{step.Name, step.State.Word, step.State.Class})
		}
	}
	for _, problem := range s.Problems {
		line := ""
		if problem.Line > 0 {
			line = fmt.Sprintf("#L%d", problem.Line)
		}
		v.Problems = append(v.Problems, problemView{problem, p.github(s.Trigger.Repo, "blob", string(s.PlanFrom), problem.File()) + line})
	}
	for _, a := range s.Artifacts() {
		view := artifactView{Name: a.Name, Content: count(a.Files, "file") + ", " + size(a.Size), Digest: a.Digest}
		if a.Provenance != "" {
			view.Link = p.link(s.Run) + "/artifact/" + url.PathEscape(a.Name)
		}
		v.Artifacts = append(v.Artifacts, view)
	}
	v.Withheld = s.Over() && s.Conclusion() != pipeline.Success
	v.Places = p.places(s, repo)
	v.Next = next(s, repo, v.Places, v.WhyURL)
	if until, why := p.o.Held(s); !until.IsZero() {
		v.Next = append(v.Next, heldBack(until, why))
	}
	return v, nil
}

// because is the reason of a run's end in one line.
func because(s pipeline.State) string {
	switch c := s.Conclusion(); {
	case len(s.Problems) > 0:
		return pipeline.Wrong(s.Problems)
	case c == pipeline.WasCancelled:
		return s.Cancel
	case c == pipeline.RanOutOfTime && s.OutOfTime != "":
		return "out of time: " + s.OutOfTime
	case c == pipeline.Skipped:
		return plain(s.Skip)
	case s.Reused != nil:
		return "the same tree has passed in the run of " + s.Reused.Commit.Short()
	case c == pipeline.ActionRequired:
		return "this code comes from outside"
	}
	passed := 0
	for _, st := range s.Steps {
		if st.Phase == pipeline.Done && st.Result.Outcome == pipeline.Passed {
			passed++
		}
	}
	words := fmt.Sprintf("%d of %s passed", passed, count(len(s.Steps), "step"))
	for _, st := range s.Steps {
		if st.Phase == pipeline.Done && st.Result.Outcome != pipeline.Passed && !s.Forgiven(st) {
			return words + "; " + st.Name + ": " + st.Result.Reason
		}
	}
	return words
}

// auto chooses the log that people most likely want: of the first step that failed, else of the first that runs, else of
// the last that ran.
func auto(s pipeline.State) string {
	var failed, running, last string
	for _, st := range s.Steps {
		if st.Attempt == 0 {
			continue
		}
		last = logQuery(st.Name, st.Attempt)
		if running == "" && st.Phase == pipeline.Running {
			running = last
		}
		if failed == "" && st.Phase == pipeline.Done && st.Result.Outcome != pipeline.Passed && st.Result.Outcome != pipeline.Cancelled && !s.Forgiven(st) {
			failed = last
		}
	}
	switch {
	case failed != "":
		return failed
	case running != "":
		return running
	}
	return last
}

// logQuery names a log within its run's page.
func logQuery(step string, attempt int) string { return fmt.Sprintf("%s/%d", step, attempt) }

// startedBy is whose doing a run is.
func startedBy(t pipeline.Trigger) string {
	if t.Kind == pipeline.Schedule {
		return "the schedule, for " + t.At.UTC().Format("2006-01-02 15:04 MST")
	}
	if t.Kind == pipeline.ByHand && t.Actor.ID == 0 {
		return plain(t.Actor.Login) + ", from the server's command line"
	}
	return "@" + t.Actor.Login
}

// about is what the operator and the curious look for.
func about(s pipeline.State) []fact {
	t := s.Trigger
	facts := []fact{{"Commit", string(t.Commit)}, {"Branch", cut(plain(t.Branch), 200)}}
	if t.Base != "" {
		facts = append(facts, fact{"Into", cut(plain(t.Base), 200)})
	}
	if s.Plan.Name != "" {
		facts = append(facts, fact{"Pipeline", s.Plan.Name + ", " + s.Plan.Path()})
	}
	for _, name := range slices.Sorted(maps.Keys(t.Inputs)) {
		facts = append(facts, fact{"Input " + name, cut(plain(t.Inputs[name]), pipeline.MaxInput)})
	}
	facts = append(facts, fact{"Started by", startedBy(t)}, fact{"Delivery", t.Delivery}, fact{"Trust", s.Trust.String()})
	for _, name := range s.Plan.ImageNames() {
		if digest, known := s.Images[name]; known {
			facts = append(facts, fact{"Image", cut(plain(name), 200) + " is " + string(digest)})
		}
	}
	if m := s.Merge; m != nil {
		facts = append(facts, fact{"Merged into", string(m.Base)}, fact{"Merge", string(m.Commit)})
	}
	for _, p := range s.Parts {
		if p.Path != "" {
			facts = append(facts, fact{"Folder", cut(plain(p.Path), 200) + " is " + plain(p.Repo.Slug()) + " at " + string(p.Commit)})
		}
	}
	if s.Reused != nil {
		facts = append(facts, fact{"Tested in", string(s.Reused.Run)}, fact{"Tree", s.Reused.Tree})
	}
	if s.PlanFrom != "" && s.PlanFrom != t.Commit {
		facts = append(facts, fact{"Plan read at", string(s.PlanFrom)})
	}
	for _, st := range s.Steps {
		if st.Result.Inputs != "" {
			facts = append(facts, fact{"Step " + st.Name, string(st.Result.Inputs)})
		}
	}
	return facts
}
