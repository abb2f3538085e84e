package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// patience is how long a delivery is tried before it is given up: as long as GitHub itself remembers it.
const patience = 3 * 24 * time.Hour

// planLimit is how large a plan file may be, in bytes.
const planLimit = 256 << 10

// repoStream names the stream of a repository's environments and pull requests.
func repoStream(repo int64) string { return fmt.Sprintf("repo/%d", repo) }

// route passes a delivery on to the streams that it concerns, and records the decision. Every part of it may be done
// twice: streams and keys are named after the delivery.
func (a *App) route(ctx context.Context, w *engine.Work[deliveryState, engine.Event], _ route) error {
	d := w.State.delivery
	a.unanswered.heard(w.Stream, d.ReceivedAt)
	heard := webhook.Translate(d, a.config.CommandApps...)
	d.Body = nil
	decision := decided{What: "ignored", Why: heard.Ignored}
	if app := a.self(); d.Source != app {
		heard = webhook.Heard{}
		decision.Why = fmt.Sprintf("it was meant for %s, and this is %s", d.Source, app)
	}

	if c := heard.Changed; c != nil {
		known, err := a.changed(ctx, d.GUID, *c)
		if err != nil {
			return err
		}
		decision = decided{What: "noted", Why: fmt.Sprintf("%s; known repositories of it: %d", c.Event.What, known)}
	}
	if p := heard.Pull; p != nil {
		if _, err := a.post(ctx, repoStream(heard.Repo.ID), "pull/"+d.GUID, *p); err != nil {
			return err
		}
		decision = decided{What: "noted", Why: fmt.Sprintf("pull request %d", p.Number)}
	}
	for _, c := range heard.Commands {
		if _, err := a.post(ctx, repoStream(heard.Repo.ID), "command/"+c.ID, deploy.Commanded{Command: c, Repo: heard.Repo, Counted: true}); err != nil {
			return err
		}
		decision = decided{What: "command", Why: "/" + string(c.Verb)}
	}
	if v := heard.Voided; v != nil {
		if _, err := a.post(ctx, repoStream(heard.Repo.ID), "voided/"+d.GUID, *v); err != nil {
			return err
		}
		decision = decided{What: "noted", Why: fmt.Sprintf("comment %d was %s", v.Comment, v.Why)}
	}
	if g := heard.Gone; g != nil {
		if _, err := a.post(ctx, repoStream(heard.Repo.ID), "gone/"+d.GUID, *g); err != nil {
			return err
		}
		decision = decided{What: "noted", Why: fmt.Sprintf("the merge group %s is no more", g.Commit.Short())}
	}
	if heard.Trigger != nil {
		run := pipeline.NewRunID(heard.Repo.ID, d.GUID)
		ctx := github.As(github.WithRun(ctx, string(run)), github.Conclusion) // no work begins before it
		var began []pipeline.RunID
		why, err := a.current(ctx, d, heard)
		if err == nil && why == "" {
			began, why, err = a.start(ctx, starting{run: run, trigger: *heard.Trigger, pull: heard.Pull, rebased: heard.Rebased})
		}
		switch {
		case errors.Is(err, github.ErrGone), errors.Is(err, source.ErrNoCommit), errors.Is(err, source.ErrUnusable):
			decision = decided{What: "ignored", Why: err.Error()}
		case err != nil && a.now().Sub(d.ReceivedAt) > patience:
			decision = decided{What: "ignored", Why: "given up: " + err.Error()}
		case err != nil:
			return err
		case why != "":
			decision = decided{What: "ignored", Why: why}
		default:
			decision = decided{What: "run", Why: listed(began)}
		}
		if !slices.Contains(began, run) {
			a.release(ctx, heard.Repo, run)
		}
	}
	a.log.Info("delivery decided", "delivery", d.GUID, "event", d.Event, "decision", decision.What, "why", decision.Why)
	if _, err := w.Append(ctx, decision); err != nil {
		return err
	}
	a.unanswered.decided(w.Stream)
	return nil
}

// listed are runs, for the journal and the operator.
func listed(runs []pipeline.RunID) string {
	words := make([]string, len(runs))
	for i, run := range runs {
		words[i] = string(run)
	}
	return strings.Join(words, ", ")
}

// current says why a pull request's webhook is no reason for a run any more: the pull request is read as it stands now,
// and what it has become since has a webhook of its own. An answer that is older than the webhook says nothing; GitHub's
// API may lag behind.
func (a *App) current(ctx context.Context, d webhook.Delivery, heard webhook.Heard) (why string, err error) {
	t := heard.Trigger
	if t.Kind != pipeline.PullRequest {
		return "", nil
	}
	now, err := a.pullNow(ctx, t.Repo, t.Pull)
	if err != nil {
		return "", err
	}
	if !now.Updated.After(heard.Pull.Updated) {
		return "", nil
	}
	now.Reopened = false // only the webhook that says so reopens
	if _, err := a.post(ctx, repoStream(t.Repo.ID), "pull/"+d.GUID+"/now", now); err != nil {
		return "", err
	}
	switch {
	case !now.Open:
		return fmt.Sprintf("pull request %d is closed by now", t.Pull), nil
	case now.Head != t.Commit:
		return fmt.Sprintf("pull request %d has moved on to %s", t.Pull, now.Head.Short()), nil
	}
	return "", nil
}

// starting is what may become runs: one of each pipeline, or of those that are meant.
type starting struct {
	run     pipeline.RunID // of the pipeline without a name; those of the others are called after it
	trigger pipeline.Trigger
	pull    *deploy.PullSeen // as the same delivery told of it
	rebased bool             // a pipeline whose commit has run needs no other run
	only    *string          // the pipeline that is meant; nil for all
}

// start requests runs, or says why there is none.
func (a *App) start(ctx context.Context, st starting) (began []pipeline.RunID, why string, err error) {
	t := st.trigger
	if st.pull != nil && t.Kind == pipeline.PullRequest {
		t.Onto = st.pull.BaseCommit
	}
	trust, planFrom, err := a.trust(ctx, t, st.pull)
	if err != nil {
		return nil, "", err
	}
	if err := a.fetch(ctx, st.run, t, planFrom); err != nil {
		return nil, "", err
	}
	all, err := a.pipelines(ctx, t.Repo, planFrom)
	if errors.Is(err, source.ErrNoFile) {
		return nil, fmt.Sprintf("%s has no %s", planFrom.Short(), pipeline.PlanPath), nil
	}
	if err != nil {
		return nil, "", err
	}
	if err := a.define(ctx, st, all); err != nil {
		return nil, "", err
	}
	var reasons []string
	for _, p := range all {
		if st.only != nil && *st.only != p.Plan.Name {
			continue
		}
		r := pipeline.Requested{Run: st.run.For(p.Plan.Name), Trigger: t, Trust: trust, Plan: p.Plan, PlanFrom: planFrom, Problems: p.Problems, At: a.now().UTC()}
		why, err := a.startOne(ctx, r, st.rebased)
		switch {
		case err != nil:
			return nil, "", err
		case why == "":
			began = append(began, r.Run)
		case len(all) > 1:
			reasons = append(reasons, p.Plan.Called()+": "+why)
		default:
			reasons = append(reasons, why)
		}
	}
	if len(began) > 0 {
		return began, "", nil
	}
	if st.only != nil && len(reasons) == 0 {
		reasons = append(reasons, "the pipeline is not there any more")
	}
	return nil, strings.Join(reasons, "; "), nil
}

// startOne requests the run of one pipeline, or says why there is none.
func (a *App) startOne(ctx context.Context, r pipeline.Requested, rebased bool) (why string, err error) {
	t, plan := r.Trigger, r.Plan
	if rebased {
		if other, err := a.hasRun(ctx, t, plan.Name); err != nil || other != "" {
			return other, err
		}
	}
	key := reservation(t, r.Trust)
	if plan.Source.Merge && t.Kind == pipeline.PullRequest {
		key += "/into/" + string(t.Onto) // another base makes another merge
	}
	if len(r.Problems) == 0 {
		why, shown := filtered(plan, t)
		if why == "" {
			if why, shown, err = a.filteredPaths(ctx, plan, t, r.Run); err != nil {
				return "", err
			}
		}
		if why != "" && !shown {
			return why, nil
		}
		if r.Skip = why; why != "" {
			if other, err := a.hasRun(ctx, t, plan.Name); err != nil || other != "" {
				return other, err
			}
			key = "skipped/" + string(t.Commit)
		}
	}
	if t.Title == "" {
		r.Trigger.Title, _ = a.source.Subject(ctx, t.Repo, t.Commit)
	}
	r.Restricted = restricted(t, r.Trust, plan, r.PlanFrom)
	return a.request(ctx, r, key)
}

// trust decides once how far a run's code is trusted, and at which commit its plan is read. A push needs the right to
// push, and only who may write puts a pull request into the merge queue. A pull request's code is its author's: only an author who may write is trusted, however the branch is named; of
// a fork, the one who pushed must be, too.
func (a *App) trust(ctx context.Context, t pipeline.Trigger, pull *deploy.PullSeen) (pipeline.Trust, pipeline.Commit, error) {
	if t.Kind == pipeline.Push || t.Kind == pipeline.MergeGroup || t.Kind == pipeline.Schedule {
		return pipeline.Writer, t.Commit, nil
	}
	if pull == nil {
		return pipeline.Outside, t.Commit, nil
	}
	who := []pipeline.Actor{pull.Author}
	if t.Fork && t.Actor.ID != pull.Author.ID {
		who = append(who, t.Actor) // others may push to a writer's fork: what they push is theirs
	}
	trusted := true
	for _, actor := range who {
		may, err := a.mayWrite(ctx, t.Repo, actor)
		if err != nil {
			return pipeline.Outside, "", err
		}
		trusted = trusted && may
	}
	if trusted {
		return pipeline.Writer, t.Commit, nil
	}
	if !pull.BaseCommit.Valid() {
		return pipeline.Outside, t.Commit, nil // nothing of it is run, and the plan only names the checks
	}
	return pipeline.Outside, pull.BaseCommit, nil
}

// fetch brings the commit, and the one at which the plan is read, into the mirror.
func (a *App) fetch(ctx context.Context, run pipeline.RunID, t pipeline.Trigger, planFrom pipeline.Commit) error {
	if err := a.source.Fetch(ctx, t.Repo, t.Ref, t.Commit, a.token(t.Repo, run)); err != nil {
		return err
	}
	if planFrom == t.Commit {
		return nil
	}
	return a.source.Fetch(ctx, t.Repo, "refs/heads/"+t.Base, planFrom, a.token(t.Repo, run))
}

// define tells the repository's stream which environments its default branch defines. A pull request can never change
// them: what it says of environments counts only once it is merged.
func (a *App) define(ctx context.Context, st starting, all []Planned) error {
	t, pull := st.trigger, st.pull
	at, pushed := t.Commit, true
	if t.Kind != pipeline.Push {
		if pull == nil || t.Base != t.Repo.Branch || !pull.BaseCommit.Valid() {
			return nil
		}
		at, pushed = pull.BaseCommit, false
		if err := a.source.Fetch(ctx, t.Repo, "refs/heads/"+t.Base, at, a.token(t.Repo, st.run)); err != nil {
			return err
		}
		var err error
		if all, err = a.pipelines(ctx, t.Repo, at); errors.Is(err, source.ErrNoFile) {
			return nil
		} else if err != nil {
			return err
		}
	} else if t.Branch != t.Repo.Branch {
		return nil
	}
	e := deploy.Defined{Repo: t.Repo, Commit: at, Pushed: pushed}
	for _, p := range all {
		if !p.Good() {
			e.Wrong = true
			continue
		}
		e.Pipelines = append(e.Pipelines, p.Plan.Name)
		for _, time := range p.Plan.On.Schedule {
			time.Pipeline = p.Plan.Name
			e.Schedule = append(e.Schedule, time)
		}
		if feeds := len(p.Plan.Environments) > 0; feeds || p.Plan.Name == "" && e.Environments == nil {
			e.Environments, e.Pipeline, e.Plan = p.Plan.Environments, p.Plan.Name, planfile.Hash(p.Plan)
		}
	}
	if len(e.Pipelines) == 0 {
		return nil // what was defined before stays in force; the push's own checks show the mistakes
	}
	_, err := a.post(ctx, repoStream(t.Repo.ID), fmt.Sprintf("defined/%s/%v", at, pushed), e)
	return err
}

// reservation is the key under which a commit's run is reserved in the repository's stream. A push and a pull request
// that tell of the same commit share it, so that they make one run; a push to the default branch is a fact of its own,
// because deployments follow from it.
func reservation(t pipeline.Trigger, trust pipeline.Trust) string {
	key := fmt.Sprintf("run/%s/%d", t.Commit, trust)
	switch {
	case t.Kind == pipeline.Push && t.Branch == t.Repo.Branch:
		key += "/" + t.Branch
	case t.Kind == pipeline.Schedule, t.Kind == pipeline.ByHand:
		key = "run/" + t.Delivery
	case t.Kind == pipeline.MergeGroup: // a push of the same commit, once it is merged, has artifacts to make
		key += "/" + string(t.Kind)
	}
	return key
}

// request reserves the run in the repository's stream, then writes its first event. After a crash between the two, the
// same run finds its own reservation.
func (a *App) request(ctx context.Context, r pipeline.Requested, key string) (why string, err error) {
	if r.Plan.Name != "" {
		key += "/pipeline/" + r.Plan.Name
	}
	repo := repoStream(r.Trigger.Repo.ID)
	if err := a.merge(ctx, &r); err != nil {
		return "", err
	}
	began := deploy.RunBegan{Run: r.Run, Trigger: r.Trigger, Trust: r.Trust, Only: r.Only, Skip: r.Skip, Concurrency: r.Plan.Concurrency, Pipeline: r.Plan.Name, At: r.At}
	if r.Merge != nil {
		began.Into = r.Merge.Base
	}
	if err := a.evidence(ctx, &r, &began); err != nil {
		return "", err
	}
	fresh, err := a.post(ctx, repo, key, began)
	if err != nil {
		return "", err
	}
	if !fresh {
		s, _, err := a.repos().Load(ctx, a.journal, repo)
		if err != nil {
			return "", err
		}
		if _, mine := s.Runs[r.Run]; !mine {
			return fmt.Sprintf("%s has a run already", r.Trigger.Commit.Short()), nil
		}
	}
	records, err := engine.Records(r.At, r)
	if err != nil {
		return "", err
	}
	_, err = a.journal.Append(ctx, journal.Batch{Stream: string(r.Run), Expect: journal.None, Records: records})
	if err != nil && !errors.Is(err, journal.ErrConflict) {
		return "", fmt.Errorf("app: request %s: %w", r.Run, err)
	}
	return "", nil
}
