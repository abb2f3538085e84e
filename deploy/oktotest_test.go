package deploy_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// stranger's pull request, of which a run of the given trust began.
func ofTrust(trust pipeline.Trust, c byte, id string, second int) deploy.Event {
	return deploy.RunBegan{Run: pipeline.RunID("run/7/" + id), Trust: trust, At: at(second), Trigger: pipeline.Trigger{
		Kind: pipeline.PullRequest, Delivery: id, Repo: shop, Commit: commit(c), Pull: 12, Branch: "fix", Actor: lena, At: at(second), Fork: true}}
}

func endedWell(id string, d byte, second int) deploy.Event {
	return deploy.RunEnded{Run: pipeline.RunID("run/7/" + id), Conclusion: pipeline.Success, At: at(second),
		Artifacts: []pipeline.Artifact{{Name: "site", Digest: digest(d), Files: 1, Size: 5}}}
}

func fromAFork(p *deploy.PullSeen) { p.Fork, p.Author = true, lena }

func wasAllowed(c byte, second int) deploy.Event {
	return deploy.Allowed{Pull: 12, Commit: commit(c), Actor: hubot, Role: pipeline.Write, Command: "c1", At: at(second)}
}

func bare(c *deploy.Command) { c.Problem = "SHA is missing." }

func TestStoriesOfCodeFromOutside(t *testing.T) {
	play(t, map[string][]deploy.Event{
		"a writer's word lets one head be tested and a push voids it": chain(defined(), pull('a', 0, fromAFork), ofTrust(pipeline.Outside, 'a', "d1", 1),
			deploy.RunEnded{Run: "run/7/d1", Conclusion: pipeline.ActionRequired, At: at(2)},
			asked("c1", hubot, pipeline.Write, deploy.OkToTest, "", 10, about(string(commit('a')))), wasAllowed('a', 11), ofTrust(pipeline.Allowed, 'a', "c1", 11),
			pull('b', 20, fromAFork, replacing('a')), ofTrust(pipeline.Outside, 'b', "d2", 21)),
		"what an allowed run makes enters nothing": chain(defined(), pull('a', 0, func(p *deploy.PullSeen) { p.Author = lena }), ofTrust(pipeline.Allowed, 'a', "c1", 1), endedWell("c1", '1', 2),
			asked("c2", hubot, pipeline.Maintain, deploy.Promote, "preview", 10), asked("c3", hubot, pipeline.Maintain, deploy.Promote, "staging", 11)),
		"what code from outside makes enters nothing": chain(defined(), pull('a', 0), ofTrust(pipeline.Outside, 'a', "c1", 1), endedWell("c1", '1', 2),
			asked("c2", hubot, pipeline.Maintain, deploy.Promote, "preview", 10)),
		"a word that names no commit is answered with the line to type": chain(defined(), pull('a', 0, fromAFork),
			asked("c1", hubot, pipeline.NoRole, deploy.OkToTest, "", 10, bare), pull('a', 20, fromAFork, closed), asked("c2", hubot, pipeline.NoRole, deploy.OkToTest, "", 21, bare)),
		"a word is refused to whom it does not belong": chain(defined(), pull('a', 0, fromAFork),
			asked("c1", lena, pipeline.Triage, deploy.OkToTest, "", 10, about("aaaaaaa")), asked("c2", lena, pipeline.NoRole, deploy.OkToTest, "", 11, about("aaaaaaa")),
			asked("c3", pipeline.Actor{ID: 9, Login: "ship[bot]", Bot: true}, pipeline.Admin, deploy.OkToTest, "", 12, about("aaaaaaa"), func(c *deploy.Command) { c.App = 77 })),
		"a word that was edited before it was decided counts for nothing": chain(defined(), pull('a', 0, fromAFork), say("c1", hubot, deploy.OkToTest, "", 10, about("aaaaaaa")),
			deploy.ApprovalVoided{Comment: 500, Pull: 12, Why: "edited", By: lena, At: at(11)}, role("c1", pipeline.Admin, 12)),
		"a word for what needs none is refused": chain(defined(), pull('a', 0), ofTrust(pipeline.Writer, 'a', "d1", 1), asked("c1", hubot, pipeline.Write, deploy.OkToTest, "", 10, about("aaaaaaa"))),
		"a second word waits for the end of the first one's run": chain(defined(), pull('a', 0, fromAFork), ofTrust(pipeline.Allowed, 'a', "c0", 1), asked("c1", hubot, pipeline.Write, deploy.OkToTest, "", 10, about("aaaaaaa")),
			deploy.RunEnded{Run: "run/7/c0", Conclusion: pipeline.Failure, At: at(11)}, asked("c2", hubot, pipeline.Write, deploy.OkToTest, "", 12, about("aaaaaaa"))),
	})
}

// Who writes the code chooses its ids: two heads with the same first seven digits are made in minutes.
func TestAShortenedIDIsRefusedWhenItMayMeanAHeadThatWasReadBefore(t *testing.T) {
	t.Parallel()
	read, pushed := pipeline.Commit("abcdef0"+strings.Repeat("1", 33)), pipeline.Commit("abcdef0"+strings.Repeat("2", 33))
	head := func(c, before pipeline.Commit, second int) deploy.Event {
		return pull('a', second, fromAFork, func(p *deploy.PullSeen) { p.Head, p.Before = c, before })
	}
	for how, events := range map[string][]deploy.Event{
		"in order":                           {head(read, "", 0), head(pushed, read, 5)},
		"the first one's webhook comes late": {head(pushed, "", 5), head(read, "", 0)},
		"the first one's webhook is lost":    {head(pushed, read, 5)},
		"both within one second":             {head(pushed, read, 5), head(read, "", 5)},
	} {
		for said, refused := range map[string]bool{"abcdef0": true, "abcdef02": false, string(pushed): false, string(read): true} {
			s := deploy.State{}
			for _, e := range chain(defined(), events, asked("c1", hubot, pipeline.Write, deploy.OkToTest, "", 10, about(said))) {
				s = deploy.Apply(s, stored(t, e))
			}
			if p := s.Commands["c1"]; p.Refused != refused || refused && !strings.Contains(p.Say, "`/ok-to-test "+string(pushed)+"`") {
				t.Errorf("%s: %s is answered with (refused %v) %q", how, said, p.Refused, p.Say)
			}
		}
	}
}

func TestAfterManyHeadsOnlyAWholeIDIsTaken(t *testing.T) {
	t.Parallel()
	s := deploy.Apply(deploy.State{}, defined())
	var head pipeline.Commit
	for i := range 60 {
		head = pipeline.Commit(strings.Repeat(string("0123456789abcdef"[i%16]), 7) + strings.Repeat(string("0123456789abcdef"[i/16]), 33))
		s = deploy.Apply(s, pull('a', i, fromAFork, func(p *deploy.PullSeen) { p.Head = head }))
	}
	for _, e := range chain(asked("c1", hubot, pipeline.Write, deploy.OkToTest, "", 90, about(string(head[:39]))), asked("c2", hubot, pipeline.Write, deploy.OkToTest, "", 91, about(string(head)))) {
		s = deploy.Apply(s, e)
	}
	if !s.Commands["c1"].Refused || s.Commands["c2"].Refused || len(s.Pulls[12].Shown) > 50 {
		t.Errorf("shortened: %q; whole: %q; %d heads are kept", s.Commands["c1"].Say, s.Commands["c2"].Say, len(s.Pulls[12].Shown))
	}
}

func TestNothingThatCodeFromOutsideMadeEverEntersAnEnvironment(t *testing.T) {
	entered := 0
	rapid.Check(t, func(t *rapid.T) {
		s := deploy.Apply(deploy.State{}, defined())
		trust := map[pipeline.RunID]pipeline.Trust{}
		for i := range 40 {
			c := rapid.SampledFrom([]byte("abc")).Draw(t, "commit")
			id := fmt.Sprintf("d%d", i)
			tier := rapid.SampledFrom([]pipeline.Trust{-1, pipeline.Outside, pipeline.Allowed, pipeline.Writer}).Draw(t, "trust")
			var events []deploy.Event
			switch rapid.SampledFrom([]string{"run", "run", "pull", "word", "ask"}).Draw(t, "what") {
			case "run":
				trust[pipeline.RunID("run/7/"+id)] = tier
				events = chain(ofTrust(tier, c, id, i), endedWell(id, '1', i))
			case "pull":
				events = chain(pull(c, i, func(p *deploy.PullSeen) { p.Fork = rapid.Bool().Draw(t, "fork") }))
			case "word":
				events = chain(asked(id, hubot, pipeline.Write, deploy.OkToTest, "", i, about(string(commit(c)))), wasAllowed(c, i))
			case "ask":
				events = asked(id, hubot, pipeline.Admin, deploy.Promote, rapid.SampledFrom([]string{"staging", "preview", "production"}).Draw(t, "env"), i, about(string(commit(c))))
			}
			for _, e := range events {
				s = deploy.Apply(s, e)
			}
			for _, p := range s.Places {
				if p.Waiting == nil {
					continue
				}
				entered++
				if trust[p.Waiting.Run] != pipeline.Writer {
					t.Fatalf("%s waits for what the run %s of trust %d made", p.Name, p.Waiting.Run, trust[p.Waiting.Run])
				}
			}
		}
	})
	if entered == 0 {
		t.Fatal("nothing ever waited, so that this proves nothing")
	}
}
