package dashboard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// homeView is the list of runs.
type homeView struct {
	Assets assetNames
	Open   bool
	Runs   []headline
}

// headline is what is said of a run first.
type headline struct {
	Link, Title, Repo, Commit, CommitURL, Why, By string
	State                                         state
	When                                          time.Time
	Took                                          string
}

// state is how something stands: a word, and a shape that says the same to those who see no colours.
type state struct{ Word, Shape, Class string }

var states = map[string]state{
	"queued":          {"queued", "○", "wait"},
	"running":         {"running", "◐", "busy"},
	"success":         {"passed", "✓", "good"},
	"passed":          {"passed", "✓", "good"},
	"failure":         {"failed", "✕", "bad"},
	"failed":          {"failed", "✕", "bad"},
	"timed_out":       {"timed out", "⏱", "bad"},
	"resource":        {"over its limits", "✕", "bad"},
	"infrastructure":  {"gave up, not your doing", "!", "bad"},
	"cancelled":       {"cancelled", "■", "off"},
	"action_required": {"waits for a maintainer", "✋", "wait"},
	"not run":         {"not run", "–", "off"},
	"live":            {"live", "✓", "good"},
	"deploying":       {"on its way", "◐", "busy"},
	"waiting":         {"waits", "✋", "wait"},
	"removed":         {"taken down", "–", "off"},
	"replaced":        {"replaced", "↪", "off"},
}

// runView is a run's page.
type runView struct {
	Assets assetNames
	headline
	Conclusion string
	Over       bool
	Stages     []stageView
	Artifacts  []pipeline.Artifact
	Problems   []pipeline.Problem
	PlanPath   string
	Rows       []placeView
	Next       []string
	Shown      *stepView // whose log is shown
	Isolation  string
}

type stageView struct {
	Name  string
	State state
	Steps []stepView
}

type stepView struct {
	Name, Reason, Took, Log string
	Command                 string
	State                   state
	Attempt                 int
	Lost                    string
	Findings                []pipeline.Annotation
}

type placeView struct {
	Name, Detail, URL, Digest string
	State                     state
}

func (p *Pages) headline(s pipeline.State) headline {
	t := s.Trigger
	h := headline{
		Link: p.link(s.Run), Title: t.Title, Repo: t.Repo.Slug(), Commit: t.Commit.Short(), By: t.Actor.Login, When: s.Requested,
		CommitURL: fmt.Sprintf("%s/%s/commit/%s", strings.TrimSuffix(p.o.GitHubURL, "/"), t.Repo.Slug(), t.Commit),
		State:     states["queued"],
	}
	if h.Title == "" {
		h.Title = "Commit " + h.Commit
	}
	h.Why = "push to " + t.Branch
	if t.Kind == pipeline.PullRequest {
		h.Why = fmt.Sprintf("pull request #%d", t.Pull)
	}
	for _, st := range s.Steps {
		if st.Attempt > 0 {
			h.State = states["running"]
		}
	}
	if c := s.Conclusion(); c != "" {
		h.State = states[string(c)]
		h.Took = took(s.Requested, s.Ended)
	}
	return h
}

func (p *Pages) link(run pipeline.RunID) string {
	return "/runs/" + strings.TrimPrefix(string(run), "run/") + "/" + p.o.Key(run)
}

// view gathers a run's page.
func (p *Pages) view(ctx context.Context, s pipeline.State) (runView, error) {
	v := runView{
		Assets: p.names(), headline: p.headline(s), Conclusion: string(s.Conclusion()), Over: s.Over(),
		Artifacts: s.Artifacts(), Problems: s.Problems, PlanPath: pipeline.PlanPath,
	}
	for i, stage := range s.Plan.Stages {
		v.Stages = append(v.Stages, p.stage(s, i, stage))
	}
	for i := range v.Stages {
		for j := range v.Stages[i].Steps {
			step := &v.Stages[i].Steps[j]
			if step.Log != "" && (v.Shown == nil || step.State.Class == "busy" || step.State.Class == "bad" && v.Shown.State.Class != "bad") {
				v.Shown = step // the one that runs, else the first that failed, else the first
			}
		}
	}
	repo, err := p.o.Repo(ctx, s.Trigger.Repo.ID)
	if err != nil {
		return v, err
	}
	rows := repo.Standing(s.Trigger.Commit)
	for _, r := range rows {
		place := placeView{Name: r.Environment, Detail: r.Detail, Digest: r.Digest.Short(), State: states[r.State]}
		if strings.HasPrefix(r.URL, "http://") || strings.HasPrefix(r.URL, "https://") {
			place.URL = r.URL
		}
		v.Rows = append(v.Rows, place)
	}
	v.Next = next(s, rows)
	return v, nil
}

func (p *Pages) stage(s pipeline.State, i int, stage pipeline.Stage) stageView {
	v := stageView{Name: stage.Name, State: states["queued"]}
	for _, st := range s.Steps {
		if st.Stage != i {
			continue
		}
		step := p.step(s, st)
		for _, spec := range stage.Steps {
			if spec.Name == st.Name {
				step.Command = spec.Run
			}
		}
		if st.Attempt > 0 {
			v.State = states["running"]
		}
		v.Steps = append(v.Steps, step)
	}
	if c := s.StageConclusion(i); c != "" {
		v.State = states[string(c)]
		if c == pipeline.WasCancelled && s.Cancel == "" {
			v.State = states["not run"]
		}
	}
	return v
}

func (p *Pages) step(s pipeline.State, st pipeline.StepState) stepView {
	v := stepView{Name: st.Name, Attempt: st.Attempt, Lost: st.LostWhy, State: states["queued"]}
	switch st.Phase {
	case pipeline.Running:
		v.State = states["running"]
	case pipeline.Done:
		v.State, v.Reason, v.Findings = states[string(st.Result.Outcome)], st.Result.Reason, st.Result.Annotations
		v.Took = took(st.Started, st.Finished)
	case pipeline.NotRun:
		v.State = states["not run"]
	}
	if st.Attempt > 0 {
		v.Log = fmt.Sprintf("%s/log/%s/%d", p.link(s.Run), st.Name, st.Attempt)
	}
	return v
}

// next says what happens now, and why, or what a person can do.
func next(s pipeline.State, rows []deploy.PanelRow) (words []string) {
	switch c := s.Conclusion(); c {
	case "":
		for _, st := range s.Steps {
			switch {
			case st.Phase == pipeline.Running && st.Attempt > 1:
				words = append(words, fmt.Sprintf("%s runs for the %s time: %s.", st.Name, ordinal(st.Attempt), st.LostWhy))
			case st.Phase == pipeline.Running:
				words = append(words, st.Name+" runs now.")
			}
		}
		if len(words) == 0 {
			words = append(words, "The next step starts as soon as a worker is free.")
		}
		return words
	case pipeline.Failure, pipeline.RanOutOfTime:
		if len(s.Problems) > 0 {
			return []string{"Mend " + pipeline.PlanPath + " and push. Nothing was run."}
		}
		return []string{"Nothing is deployed. Push a fix, or comment /retest on the pull request if the failure was not the change's."}
	case pipeline.WasCancelled:
		return []string{"The run was cancelled: " + s.Cancel + "."}
	case pipeline.ActionRequired:
		return []string{"The author may not write to this repository, so nothing was run. Someone who may write can read the change and push it to a branch of this repository."}
	}
	for _, r := range rows {
		switch r.State {
		case "waiting":
			words = append(words, strings.TrimSuffix(fmt.Sprintf("%s waits: %s", r.Environment, strings.ReplaceAll(r.Detail, "`", "")), ": ")+".")
		case "deploying":
			words = append(words, r.Environment+" is being deployed: "+r.Detail+".")
		case "failed":
			words = append(words, r.Environment+" failed: "+r.Detail+".")
		}
	}
	if len(words) == 0 {
		words = append(words, "Nothing is owed: every check is told and every environment has what it wants.")
	}
	return words
}

func ordinal(n int) string {
	switch n {
	case 2:
		return "second"
	case 3:
		return "third"
	}
	return fmt.Sprintf("%dth", n)
}

func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	switch d := to.Sub(from); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	default:
		return fmt.Sprintf("%d m %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
}
