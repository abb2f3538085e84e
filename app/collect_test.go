package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	journals "github.com/conveyor-ci/conveyor/pipeline/journal/memory"
)

// collector notes what it is told to keep.
type collector struct {
	artifact.Store
	told bool
	keep []pipeline.Digest
}

func (c *collector) Collect(_ context.Context, keep []pipeline.Digest, _ time.Duration) (artifact.Collected, error) {
	c.told, c.keep = true, keep
	return artifact.Collected{}, nil
}

func TestWhatIsKeptIsYoungOrDeployedWithItsProvenance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	a := &App{journal: journals.New(time.Now), clock: func() time.Time { return now }, log: slog.New(slog.DiscardHandler), config: Config{KeepArtifacts: 30 * 24 * time.Hour}}
	repo := pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Branch: "main"}
	plan := pipeline.Plan{Stages: []pipeline.Stage{{Name: "build", Steps: []pipeline.Step{{Name: "site"}}}}}
	say := func(stream string, e engine.Event) {
		if _, err := a.post(t.Context(), stream, "", e); err != nil {
			t.Fatal(err)
		}
	}
	say("repo/7", deploy.Defined{Repo: repo, Pushed: true, Environments: []pipeline.Environment{{Name: "staging", On: pipeline.EnvOn{Branch: "main"}, Artifact: "site"}}})
	run := func(name string, age time.Duration, ended, offered bool) {
		id := pipeline.NewRunID(7, name)
		made := pipeline.Artifact{Name: "site", Digest: pipeline.Digest("of " + name), Provenance: pipeline.Digest("provenance of " + name)}
		trigger := pipeline.Trigger{Kind: pipeline.Push, Repo: repo, Branch: "main", Commit: pipeline.Commit(name), At: now.Add(-age)}
		say(string(id), pipeline.Requested{Run: id, Trigger: trigger, Trust: pipeline.Writer, Plan: plan, At: now.Add(-age)})
		say(string(id), pipeline.StepStarted{Step: "site", Attempt: 1, At: now.Add(-age)})
		say(string(id), pipeline.StepFinished{Step: "site", Attempt: 1, At: now.Add(-age), Result: pipeline.Result{Outcome: pipeline.Passed, Artifact: &made}})
		if ended {
			say(string(id), pipeline.Reported{At: now})
		}
		if offered {
			say("repo/7", deploy.RunBegan{Run: id, Trigger: trigger, Trust: pipeline.Writer})
			say("repo/7", deploy.RunEnded{Run: id, Conclusion: pipeline.Success, Artifacts: []pipeline.Artifact{made}})
		}
	}
	day := 24 * time.Hour
	run("young", 29*day, true, false)
	run("old", 31*day, true, false)
	run("deployed", 400*day, true, true)
	run("unreported", 400*day, false, false)

	var c collector
	if err := a.collectOnce(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.keep)
	got := slices.Compact(c.keep)
	want := []pipeline.Digest{"of deployed", "of unreported", "of young", "provenance of deployed", "provenance of unreported", "provenance of young"}
	if !slices.Equal(got, want) {
		t.Errorf("kept are %q", got)
	}
}

func TestNothingIsThrownAwayWhileTheJournalCannotBeRead(t *testing.T) {
	t.Parallel()
	a := &App{journal: journals.New(time.Now), clock: time.Now, log: slog.New(slog.DiscardHandler), config: Config{KeepArtifacts: time.Hour}}
	if _, err := a.post(t.Context(), "run/7/a", "", pipeline.Requested{Run: "run/7/a"}); err != nil {
		t.Fatal(err)
	}
	a.journal = deaf{a.journal}
	var c collector
	if err := a.collectOnce(t.Context(), &c); err == nil || errors.Is(err, context.Canceled) || c.told {
		t.Errorf("%v, and the store was told: %v", err, c.told)
	}
}
