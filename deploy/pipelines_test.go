package deploy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

var (
	sevenRepo   = pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Branch: "main"}
	midday      = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	stagingOnly = []pipeline.Environment{{Name: "staging", On: pipeline.EnvOn{Branch: "main"}, Artifact: "site"}}
)

// builtBy is a push's run of a pipeline that has made the artifact site.
func builtBy(s deploy.State, name string, t pipeline.Trigger) deploy.State {
	run := pipeline.NewRunID(7, t.Delivery).For(name)
	t.Repo, t.Branch, t.At = sevenRepo, "main", midday
	s = deploy.Apply(s, deploy.RunBegan{Run: run, Trigger: t, Trust: pipeline.Writer, Pipeline: name, At: midday})
	digest := pipeline.Digest("sha256:" + name)
	return deploy.Apply(s, deploy.RunEnded{Run: run, Conclusion: pipeline.Success, Artifacts: []pipeline.Artifact{{Name: "site", Digest: digest}}, At: midday})
}

func TestOnlyThePipelineThatDeclaresEnvironmentsFeedsThem(t *testing.T) {
	t.Parallel()
	s := deploy.Apply(deploy.State{}, deploy.Defined{Repo: sevenRepo, Commit: "c", Pushed: true, Pipelines: []string{"", "build"}, Pipeline: "build", Environments: stagingOnly})
	push := pipeline.Trigger{Kind: pipeline.Push, Delivery: "one", Commit: "c"}
	s = builtBy(s, "", push)
	if w := s.Places["staging"].Waiting; w != nil {
		t.Fatalf("another pipeline's artifact waits: %+v", w)
	}
	byHand := push
	byHand.Kind, byHand.Delivery = pipeline.ByHand, "two"
	if s = builtBy(s, "build", byHand); s.Places["staging"].Waiting != nil || len(s.Feeding()) != 0 {
		t.Fatal("what a person started is offered")
	}
	s = builtBy(s, "build", push)
	if w := s.Places["staging"].Waiting; w == nil || w.Digest != "sha256:build" {
		t.Fatalf("what waits is %+v", w)
	}
	s = builtBy(s, "", pipeline.Trigger{Kind: pipeline.Push, Delivery: "three", Commit: "c"}) // and newer
	if len(s.Feeding()) != 1 || len(s.Builds) != 3 {
		t.Errorf("of %d builds, %+v feed", len(s.Builds), s.Feeding())
	}
}

func TestWhileAPipelineCannotBeReadNoOtherTakesTheEnvironmentsOver(t *testing.T) {
	t.Parallel()
	nightly := pipeline.Time{Cron: "0 3 * * *", Pipeline: "night"}
	first := deploy.Defined{Repo: sevenRepo, Commit: "a", Pushed: true, Pipelines: []string{"", "night"}, Environments: stagingOnly, Plan: "p1", Schedule: []pipeline.Time{nightly}}
	other := []pipeline.Environment{{Name: "other", Artifact: "site"}}
	s := deploy.Apply(deploy.State{}, first)
	for name, e := range map[string]deploy.Defined{
		"none is declared any more": {Repo: sevenRepo, Commit: "b", Pushed: true, Pipelines: []string{"build"}, Wrong: true},
		"another one declares":      {Repo: sevenRepo, Commit: "b", Pushed: true, Pipelines: []string{"build"}, Pipeline: "build", Environments: other, Wrong: true},
	} {
		after := deploy.Apply(s, e)
		if len(after.Definitions) != 1 || after.Definitions[0].Name != "staging" || after.Feeds != "" || after.DefinedAt != "a" || after.Plan != "p1" {
			t.Errorf("%s: in force are %+v of %q at %s", name, after.Definitions, after.Feeds, after.DefinedAt)
		}
		if !finds(after, nightly) {
			t.Errorf("%s: the schedule of a pipeline that cannot be read is forgotten", name)
		}
		e.Wrong = false
		if after = deploy.Apply(s, e); after.Feeds != e.Pipeline || len(after.Definitions) != len(e.Environments) || finds(after, nightly) {
			t.Errorf("%s, and all can be read: in force are %+v of %q", name, after.Definitions, after.Feeds)
		}
	}
	e := deploy.Defined{Repo: sevenRepo, Commit: "b", Pushed: true, Pipelines: []string{""}, Environments: other, Wrong: true}
	if after := deploy.Apply(s, e); after.Definitions[0].Name != "other" {
		t.Errorf("the one that declares them cannot change them: %+v", after.Definitions)
	}
}

func finds(s deploy.State, want pipeline.Time) bool {
	for _, e := range deploy.Next(s) {
		if f, ok := e.(deploy.FindTime); ok && f.Time == want {
			return true
		}
	}
	return false
}

func TestAJournalOfOnePipelineFoldsAsThePipelineWithoutAName(t *testing.T) {
	t.Parallel()
	var s deploy.State
	for _, r := range []struct{ kind, data string }{
		{"defined", `{"repo":{"id":7,"owner":"octo","name":"shop","installation":1,"branch":"main"},"commit":"c","pushed":true,"environments":[{"name":"staging","on":{"branch":"main"},"artifact":"site","target":{"kind":"static","settings":{}},"verify":{}}],"plan":"p","schedule":[{"cron":"0 3 * * *"}]}`},
		{"run_began", `{"run":"run/7/guid","trigger":{"kind":"push","delivery":"guid","repo":{"id":7},"commit":"c","ref":"refs/heads/main","branch":"main","actor":{"id":1,"login":"x"},"at":"2026-01-02T12:00:00Z"},"trust":2,"at":"2026-01-02T12:00:00Z"}`},
		{"run_ended", `{"run":"run/7/guid","conclusion":"success","artifacts":[{"name":"site","digest":"sha256:1"}],"at":"2026-01-02T12:01:00Z"}`},
	} {
		e, err := deploy.Decode(r.kind, json.RawMessage(r.data))
		if err != nil {
			t.Fatal(err)
		}
		s = deploy.Apply(s, e)
	}
	if w := s.Places["staging"].Waiting; w == nil || w.Run != "run/7/guid" || s.ScheduledAt != "c" || !finds(s, pipeline.Time{Cron: "0 3 * * *"}) {
		t.Errorf("what waits is %+v, the schedule is read at %q", w, s.ScheduledAt)
	}
}

func TestPipelinesTakeTurnsEachForItself(t *testing.T) {
	t.Parallel()
	var s deploy.State
	began := func(delivery, name string, kind pipeline.TriggerKind) pipeline.RunID {
		run := pipeline.NewRunID(7, delivery).For(name)
		s = deploy.Apply(s, deploy.RunBegan{Run: run, Pipeline: name, Concurrency: pipeline.Queue, At: midday,
			Trigger: pipeline.Trigger{Kind: kind, Delivery: delivery, Repo: sevenRepo, Commit: "c", Branch: "main", At: midday}})
		s = deploy.Apply(s, deploy.StageWanted{Run: run, Stage: 0})
		return run
	}
	first, other, hand, second := began("one", "a", pipeline.Push), began("one", "b", pipeline.Push), began("hand", "a", pipeline.ByHand), began("two", "a", pipeline.Push)
	in := map[pipeline.RunID]bool{}
	for _, e := range deploy.Next(s) {
		if admit, ok := e.(deploy.Admit); ok {
			in[admit.Run] = true
		}
	}
	if !in[first] || !in[other] || !in[hand] || in[second] {
		t.Errorf("let in are %v", in)
	}
}

func TestARunThatAPersonStartedIsRemembered(t *testing.T) {
	t.Parallel()
	e := deploy.RunBegan{Run: "run/7/x.rel", Pipeline: "rel", At: midday, Trigger: pipeline.Trigger{Kind: pipeline.ByHand, Repo: sevenRepo, Commit: "c", Actor: pipeline.Actor{ID: 3, Login: "w"}, Inputs: map[string]string{"level": "low"}}}
	after := deploy.Apply(deploy.State{}, e)
	got := deploy.Audit(deploy.State{}, after, e)
	if len(got) != 1 || got[0].What != deploy.WasBegun || got[0].Actor.ID != 3 || got[0].Pipeline != "rel" || got[0].Inputs["level"] != "low" || got[0].Commit != "c" {
		t.Errorf("the ledger gets %+v", got)
	}
	if got := deploy.Audit(after, deploy.Apply(after, e), e); len(got) != 0 {
		t.Errorf("it is told twice: %+v", got)
	}
	e.Trigger.Kind = pipeline.Push
	if got := deploy.Audit(deploy.State{}, deploy.Apply(deploy.State{}, e), e); len(got) != 0 {
		t.Errorf("of a push is told %+v", got)
	}
}

func TestWhatTheOperatorAsksForIsOwedUntilItIsDone(t *testing.T) {
	t.Parallel()
	owed := func(s deploy.State) bool {
		for _, e := range deploy.Next(s) {
			if e == (deploy.StartAsked{Delivery: "start-1"}) {
				return true
			}
		}
		return false
	}
	s := deploy.Apply(deploy.State{}, deploy.Asked{Pipeline: "rel", Given: map[string]string{"a": "b"}, Trigger: pipeline.Trigger{Kind: pipeline.ByHand, Delivery: "start-1", Repo: sevenRepo, At: midday}})
	if !owed(s) || s.Asks["start-1"].Given["a"] != "b" {
		t.Fatalf("it is not owed: %+v", s.Asks)
	}
	if shut := deploy.Apply(s, deploy.RepoChanged{Repo: sevenRepo, What: "suspended", Shut: true, At: midday.Add(time.Minute)}); owed(shut) {
		t.Error("a repository that is shut starts it")
	}
	if gone := deploy.Apply(s, deploy.RepoChanged{Repo: sevenRepo, What: "deleted", Shut: true, Ends: true, At: midday}); len(gone.Asks) != 0 {
		t.Error("it outlives the repository")
	}
	if owed(deploy.Apply(s, deploy.AskDone{Delivery: "start-1", Run: "run/7/start-1.rel"})) {
		t.Error("it is owed after it was done")
	}
}
