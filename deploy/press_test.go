package deploy_test

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// press is a press at the check of a run.
func press(id string, who pipeline.Actor, verb deploy.Verb, button string, run pipeline.RunID, c byte, second int) deploy.Event {
	return deploy.Commanded{Repo: shop, Command: deploy.Command{
		ID: id, Actor: who, Verb: verb, Button: button, Check: "conveyor / test", Run: run, Commit: string(commit(c)), At: at(second),
	}}
}

// staged is a push that staging runs and that waits for production.
func staged(c, d byte, n, second int) []deploy.Event {
	return chain(run(pipeline.Push, c, d, second), start("staging", n, c, d, second+2), done("staging", n, second+3))
}

func TestStoriesOfPresses(t *testing.T) {
	t.Parallel()
	of := func(c byte) pipeline.RunID { return pipeline.RunID("run/7/push" + string(c)) }
	other := func(n int) func(*deploy.PullSeen) { return func(p *deploy.PullSeen) { p.Number = n } }
	group := deploy.RunBegan{Run: "run/7/g", Trust: pipeline.Writer, At: at(1), Trigger: pipeline.Trigger{
		Kind: pipeline.MergeGroup, Delivery: "g", Repo: shop, Commit: commit('c'), Base: "main", Branch: "gh-readonly-queue/main/pr-1", At: at(1)}}
	play(t, map[string][]deploy.Event{
		"a button approves the build of its own check": chain(defined(), staged('a', 'a', 1, 1),
			press("b1", hubot, deploy.Approve, "approve/production", of('a'), 'a', 9), role("b1", pipeline.Maintain, 10)),
		"a reader's press is refused": chain(defined(), staged('a', 'a', 1, 1),
			press("b1", lena, deploy.Approve, "approve/production", of('a'), 'a', 9), role("b1", pipeline.Read, 10), deploy.Answered{Command: "b1"}),
		"a button of an older commit opens nothing": chain(defined(), staged('a', 'a', 1, 1), staged('b', 'b', 2, 11),
			press("b1", hubot, deploy.Approve, "approve/production", of('a'), 'a', 20), role("b1", pipeline.Maintain, 21)),
		"a re-run does not guess among pull requests with the same head": chain(defined(), pull('a', 0), pull('a', 1, other(13)), run(pipeline.PullRequest, 'a', 'a', 2),
			press("b1", mona, deploy.Retest, deploy.Rerequested, "run/7/pull_requesta", 'a', 9), role("b1", pipeline.Write, 10)),
		"a re-run is passed on to the run of its check": chain(defined(), pull('a', 0), run(pipeline.PullRequest, 'a', 'a', 2),
			press("b1", mona, deploy.Retest, deploy.Rerequested, "run/7/pull_requesta", 'a', 9), role("b1", pipeline.Write, 10)),
		"a merge group offers nothing and ends with the queue":        chain(defined(), group, deploy.GroupGone{Commit: commit('c'), At: at(3)}),
		"a merge group that is gone before it is heard of is stopped": chain(defined(), deploy.GroupGone{Commit: commit('c'), At: at(0)}, group),
		"what a merge group made is deployed nowhere": chain(defined(), group, deploy.RunEnded{Run: "run/7/g", Conclusion: pipeline.Success, At: at(5),
			Artifacts: []pipeline.Artifact{{Name: "site", Digest: digest('1'), Files: 1, Size: 5}}}),
	})
}

func TestOnlyAWholeGreenRunOfAWriterProvesATree(t *testing.T) {
	t.Parallel()
	began := deploy.RunBegan{Run: "run/7/x", Trust: pipeline.Writer, Tree: "t", Plan: "p", At: at(1), Trigger: pipeline.Trigger{Kind: pipeline.PullRequest, Repo: shop, Commit: commit('a')}}
	for name, c := range map[string]struct {
		change func(*deploy.RunBegan)
		end    pipeline.Conclusion
		want   bool
	}{
		"a green run":       {func(*deploy.RunBegan) {}, pipeline.Success, true},
		"a red run":         {func(*deploy.RunBegan) {}, pipeline.Failure, false},
		"a skipped run":     {func(b *deploy.RunBegan) { b.Skip = "x" }, pipeline.Skipped, false},
		"a part of a run":   {func(b *deploy.RunBegan) { b.Only = "test" }, pipeline.Success, false},
		"code from outside": {func(b *deploy.RunBegan) { b.Trust = pipeline.Allowed }, pipeline.Success, false},
		"another plan":      {func(b *deploy.RunBegan) { b.Plan = "q" }, pipeline.Success, false},
		"another tree":      {func(b *deploy.RunBegan) { b.Tree = "u" }, pipeline.Success, false},
		"an unknown tree":   {func(b *deploy.RunBegan) { b.Tree = "" }, pipeline.Success, false},
	} {
		b := began
		c.change(&b)
		s := deploy.Apply(deploy.State{}, b)
		if _, ok := s.Proof("t", "p"); ok {
			t.Errorf("%s proves before it has ended", name)
		}
		s = deploy.Apply(s, deploy.RunEnded{Run: b.Run, Conclusion: c.end, At: at(2)})
		if _, ok := s.Proof("t", "p"); ok != c.want {
			t.Errorf("%s proves: %v", name, ok)
		}
	}
	if _, ok := (deploy.State{}).Proof("", ""); ok {
		t.Error("nothing proves something")
	}
}

func TestTheButtonOfALongNameFitsAndFindsItsEnvironment(t *testing.T) {
	t.Parallel()
	long := "production-in-the-north-of-europe"
	envs := environments()
	envs[2].Name = long
	s := deploy.State{}
	for _, e := range chain(deploy.Defined{Repo: shop, Commit: commit('0'), Pushed: true, Environments: envs, Plan: "p1"}, staged('a', 'a', 1, 1)) {
		s = deploy.Apply(s, e)
	}
	var button string
	for _, owed := range deploy.Next(s) {
		if tell, ok := owed.(deploy.TellButtons); ok && len(tell.Buttons) > 0 {
			button = tell.Buttons[0].Identifier
		}
	}
	if verb, ok := deploy.ButtonVerb(button); len(button) != 20 || !ok || verb != deploy.Approve {
		t.Fatalf("the button is %q", button)
	}
	s = deploy.Apply(s, press("b1", hubot, deploy.Approve, button, "run/7/pusha", 'a', 9))
	if c := s.Commands["b1"].Command; c.Environment != long || !strings.HasPrefix(c.Line, "/approve "+long+"@aaaaaaa") {
		t.Errorf("it is taken for %+v", c)
	}
}
