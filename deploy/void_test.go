package deploy_test

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// approvedNow is what production waits for, with the one approval that it asks for.
func approvedNow() []deploy.Event {
	return chain(shipped(), say("c1", hubot, deploy.Approve, "production", 20, func(c *deploy.Command) { c.Body = strings.Repeat("b", 64) }), role("c1", pipeline.Maintain, 21))
}

func TestAnApprovalRecordsWhatItIsBoundTo(t *testing.T) {
	t.Parallel()
	s := stateAfter(defined(), pull('a', 0, func(p *deploy.PullSeen) { p.BaseCommit = commit('d') }), approvedNow()[2:])
	w := s.Places["production"].Waiting
	want := deploy.Approval{Actor: hubot, Role: pipeline.Maintain, Environment: "production", Promotion: "production#1", Commit: commit('e'), Digest: digest('2'),
		Plan: "p1", Card: w.CardHash, Command: "c1", Comment: 500, Body: strings.Repeat("b", 64), At: at(21)}
	got := w.Approvals[0]
	got.Base = ""
	if got.Card == "" || got.Teams != nil || len(w.Approvals) != 1 {
		t.Fatalf("%+v", w.Approvals)
	}
	if got.Actor != want.Actor || got.Role != want.Role || got.Promotion != want.Promotion || got.Commit != want.Commit || got.Digest != want.Digest || got.Plan != want.Plan ||
		got.Card != want.Card || got.Command != want.Command || got.Comment != want.Comment || got.Body != want.Body || !got.At.Equal(want.At) || got.Environment != want.Environment {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAButtonApprovesAsACommentDoes(t *testing.T) {
	t.Parallel()
	s := stateAfter(shipped(), say("c1", hubot, deploy.Approve, "production", 20, func(c *deploy.Command) {
		c.Comment, c.Button, c.Commit = 0, "approve:production", string(commit('e'))
	}), role("c1", pipeline.Maintain, 21))
	if a := s.Places["production"].Waiting.Approvals; len(a) != 1 || a[0].Button != "approve:production" || a[0].Comment != 0 {
		t.Errorf("%+v: %s", a, s.Commands["c1"].Say)
	}
}

func TestAnApprovalIsVoid(t *testing.T) {
	t.Parallel()
	other := environments()
	other[2].URL = "https://elsewhere.test"
	for name, c := range map[string]struct {
		event deploy.Event
		says  string
	}{
		"after the pipeline file has changed": {deploy.Defined{Repo: shop, Commit: commit('9'), Pushed: true, Environments: other, Plan: "p2"}, "the pipeline file of the default branch has changed"},
		"after what ships has changed":        {card("production", 1, 'e', '2', 30, func(c *deploy.Card) { c.FileCount = 2 }), "what ships has changed"},
		"after its giver has lost the right": {deploy.RightLost{Environment: "production", Promotion: "production#1", Actor: hubot, Role: pipeline.Read, At: at(30)},
			"@hubot has lost the right to approve it and has the role read now"},
	} {
		s := stateAfter(approvedNow())
		if !s.Gate(s.Places["production"], at(30)).Open {
			t.Fatal("the gate is closed before anything has changed")
		}
		s = deploy.Apply(s, c.event)
		gate := s.Gate(s.Places["production"], at(31))
		if gate.Open || !strings.Contains(gate.Missing, c.says) {
			t.Errorf("%s: %+v", name, gate)
		}
		if s = deploy.Apply(s, start("production", 1, 'e', '2', 32)); s.Places["production"].Flight != nil {
			t.Errorf("%s: it starts", name)
		}
		for _, e := range deploy.Next(s) {
			if _, ok := e.(deploy.Deploy); ok {
				t.Errorf("%s: it is owed", name)
			}
		}
	}
}

func TestTheSameCardAgainVoidsNothing(t *testing.T) {
	t.Parallel()
	s := stateAfter(approvedNow(), card("production", 1, 'e', '2', 30, func(c *deploy.Card) { c.Rules = commit('9') }))
	if gate := s.Gate(s.Places["production"], at(31)); !gate.Open {
		t.Errorf("%+v", gate)
	}
}

// A preview is bound to its pull request: when that goes elsewhere, what was approved was something else.
func TestAnotherBaseVoidsWhatWasApprovedOfAnOpenPullRequest(t *testing.T) {
	t.Parallel()
	s := stateAfter(reviewed(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1), card("preview/pr-12", 1, 'a', '1', 3))
	s = thenComes(s, chain(say("c1", hubot, deploy.Approve, "preview", 20), role("c1", pipeline.Maintain, 21)))
	if !s.Gate(s.Places["preview/pr-12"], at(22)).Open {
		t.Fatal(s.Commands["c1"].Say)
	}
	s = deploy.Apply(s, pull('a', 30, func(p *deploy.PullSeen) { p.Base = "release" }))
	if gate := s.Gate(s.Places["preview/pr-12"], at(31)); gate.Open || !strings.Contains(gate.Missing, "goes into release now, and not into main") {
		t.Errorf("%+v", gate)
	}
}

// The word for one deployment is spent with it: the same bytes need a new one.
func TestAnApprovalIsUsedOnce(t *testing.T) {
	t.Parallel()
	s := stateAfter(approvedNow(), start("production", 1, 'e', '2', 22), deploy.DeployFinished{Deployment: "production#1", Reason: "the disk is full", At: at(23)},
		say("c2", mona, deploy.Promote, "production", 30, func(c *deploy.Command) { c.Commit = "eeeeeee" }), role("c2", pipeline.Write, 31), card("production", 2, 'e', '2', 32))
	w := s.Places["production"].Waiting
	if w == nil || w.ID != "production#2" {
		t.Fatalf("%+v: %s", w, s.Commands["c2"].Say)
	}
	if gate := s.Gate(s.Places["production"], at(33)); gate.Open || gate.Have != 0 {
		t.Errorf("%+v", gate)
	}
}

func TestABeginningThatTwoCommitsShareMeansNeither(t *testing.T) {
	t.Parallel()
	twin := pipeline.Commit(strings.Repeat("e", 7) + strings.Repeat("0", 33))
	s := stateAfter(shipped(), pull('a', 15, func(p *deploy.PullSeen) { p.Number, p.Head = 13, twin }),
		say("c1", hubot, deploy.Approve, "production", 20, func(c *deploy.Command) { c.Commit = "eeeeeee" }), role("c1", pipeline.Maintain, 21),
		say("c2", hubot, deploy.Approve, "production", 22, func(c *deploy.Command) { c.Commit = string(commit('e')) }), role("c2", pipeline.Maintain, 23))
	if c := s.Commands["c1"]; !c.Refused || !strings.Contains(c.Say, "/approve production@"+string(commit('e'))) {
		t.Errorf("%+v", c.Say)
	}
	if c := s.Commands["c2"]; c.Refused {
		t.Errorf("%+v", c.Say)
	}
}

func TestABareWordNearAPushIsRefusedWithTheLineToType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		said    int
		sha     string
		refused string
	}{
		"before the push":          {99, "", "before the push of aaaaaaa was heard of"},
		"within the window":        {104, "", "pushed less than 5 seconds before"},
		"after the window":         {105, "", ""},
		"within it, with its name": {101, "aaaaaaa", ""},
		"before it, with its name": {90, string(commit('a')), ""},
	} {
		s := stateAfter(reviewed(), pull('a', 100, func(p *deploy.PullSeen) { p.Seen = at(101) }), run(pipeline.PullRequest, 'a', '1', 101), card("preview/pr-12", 1, 'a', '1', 103),
			say("c1", hubot, deploy.Approve, "preview", c.said, func(k *deploy.Command) { k.Commit = c.sha }), role("c1", pipeline.Maintain, 110))
		p := s.Commands["c1"]
		if p.Refused != (c.refused != "") || !strings.Contains(p.Say, c.refused) || p.Refused && !strings.Contains(p.Say, "type `/approve preview/pr-12@aaaaaaa`") {
			t.Errorf("%s: %s", name, p.Say)
		}
	}
}

func TestAWordThatIsOlderThanTheMergeDoesNotMeanTheMerge(t *testing.T) {
	t.Parallel()
	s := stateAfter(shipped(), say("c1", hubot, deploy.Approve, "production", 9), role("c1", pipeline.Maintain, 21))
	if c := s.Commands["c1"]; !c.Refused || !strings.Contains(c.Say, "before the merge of eeeeeee") {
		t.Errorf("%s", c.Say)
	}
}

func TestTheLastTwentyHeadsAreRemembered(t *testing.T) {
	t.Parallel()
	var s deploy.State
	for i := range 50 {
		s = deploy.Apply(s, pull("ab"[i%2], i, func(p *deploy.PullSeen) { p.Sender = lena }))
	}
	heads := s.Pulls[12].Heads
	if len(heads) != 20 || !heads[19].Said.Equal(at(49)) || heads[19].Commit != commit('b') || heads[19].By != lena || !heads[0].Said.Equal(at(30)) {
		t.Errorf("%d heads: %+v", len(heads), heads)
	}
}
