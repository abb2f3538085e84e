package deploy_test

import (
	"fmt"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// permutations are all orders of n things.
func permutations(n int) (all [][]int) {
	var grow func(order []int)
	grow = func(order []int) {
		if len(order) == n {
			all = append(all, append([]int(nil), order...))
			return
		}
		for i := range n {
			taken := false
			for _, o := range order {
				taken = taken || o == i
			}
			if !taken {
				grow(append(order, i))
			}
		}
	}
	grow(nil)
	return all
}

// reviewed are environments whose preview asks for an approval, so that a push to the pull request races it.
func reviewed() deploy.Event {
	list := environments()
	list[0].Approve = &pipeline.Approve{By: []string{"maintain"}, Count: 1, Expires: list[2].Approve.Expires, UnsafeWindow: list[2].Approve.UnsafeWindow}
	return deploy.Defined{Repo: shop, Commit: commit('0'), Pushed: true, Environments: list, Plan: "p1"}
}

// A maintainer reads the head a, and says so. Meanwhile b is pushed. Whatever reaches us first (the push, the comment, the
// answer about the role, the end of either run, what ships, the start of a deployment), and whenever the comment was
// written, nothing but a commit that its writer could see and meant is ever deployed.
func TestNoOrderOfAPushAndAnApprovalDeploysWhatTheApproverCouldNotSee(t *testing.T) {
	t.Parallel()
	deployed, refused := map[string]int{}, 0
	for _, said := range []struct {
		name  string
		at    int // the push of b is of second 100
		sha   string
		meant string // the commit that its writer can have meant; none when nobody can say
		heard int    // when we hear of the push
	}{
		{"long before the push", 60, "", "a", 100},
		{"in the second before the push", 99, "", "a", 100},
		{"in the second of the push", 100, "", "", 100},
		{"within the window", 103, "", "", 100},
		{"after the window", 106, "", "b", 100},
		{"after the window, of a push that we heard of late", 106, "", "", 130},
		{"naming the old head", 103, string(commit('a')[:7]), "a", 100},
		{"naming the new head", 103, string(commit('b')[:7]), "b", 100},
	} {
		push := pull('b', 100, replacing('a'))
		push.Seen, push.Sender = at(said.heard), mona
		// asked is what GitHub answers when it is asked for the pull request, as the product does before it rules on a bare
		// word and before it starts. A comment that was written after the push is answered after it, too.
		asked := func(s deploy.State, second int) deploy.State {
			if said.at < 100 || s.Pulls[12].Head == commit('b') {
				return s
			}
			now := push
			now.Before, now.Seen = "", at(second)
			return deploy.Apply(s, now)
		}
		answer := func(s deploy.State, second int) deploy.State {
			if _, heard := s.Commands["c1"]; heard && said.sha == "" {
				s = asked(s, second)
			}
			return deploy.Apply(s, role("c1", pipeline.Maintain, second))
		}
		start := func(s deploy.State, second int) deploy.State {
			p := s.Places["preview/pr-12"]
			if p.Waiting == nil || p.Flight != nil {
				return s
			}
			owed := false
			for _, e := range deploy.Next(s) {
				if _, ok := e.(deploy.Deploy); ok {
					owed = true
				}
			}
			if !owed {
				return s
			}
			w := p.Waiting
			s = asked(s, second)
			s = deploy.Apply(s, deploy.DeployStarted{Deployment: w.ID, Environment: p.Name, Commit: w.Commit, Digest: w.Digest, At: at(second)})
			if f := s.Places[p.Name].Flight; f != nil {
				short := string(f.Commit[:1])
				if short != said.meant {
					t.Errorf("said %s: %s was deployed, and %q was meant", said.name, short, said.meant)
				}
				deployed[said.name]++
				s = deploy.Apply(s, deploy.DeployFinished{Deployment: f.ID, OK: true, At: at(second)})
			}
			return s
		}
		look := func(s deploy.State, second int) deploy.State {
			if p := s.Places["preview/pr-12"]; s.OwesCard(p) {
				return deploy.Apply(s, deploy.CardKnown{Environment: p.Name, Promotion: p.Waiting.ID, Card: s.Blank(p), At: at(second)})
			}
			return s
		}
		runA, runB := run(pipeline.PullRequest, 'a', '1', 1), run(pipeline.PullRequest, 'b', '2', 101)
		begin := []deploy.Event{reviewed(), pull('a', 0), runA[0], runA[1]}
		steps := []func(deploy.State) deploy.State{
			func(s deploy.State) deploy.State { return deploy.Apply(s, push) },
			func(s deploy.State) deploy.State {
				return deploy.Apply(s, say("c1", hubot, deploy.Approve, "preview", said.at, func(c *deploy.Command) { c.Commit = said.sha }))
			},
			func(s deploy.State) deploy.State { return answer(s, 140) },
			func(s deploy.State) deploy.State { return deploy.Apply(deploy.Apply(s, runB[0]), runB[1]) },
			func(s deploy.State) deploy.State { return look(s, 141) },
			func(s deploy.State) deploy.State { return start(s, 142) },
		}
		for _, order := range permutations(len(steps)) {
			var s deploy.State
			for _, e := range begin {
				s = deploy.Apply(s, e)
			}
			s = look(s, 3)
			for _, i := range order {
				s = steps[i](s)
			}
			for range 2 { // until it rests: the answer about the role may be asked for again
				s = answer(s, 150)
				s = start(look(s, 151), 152)
			}
			if s.Commands["c1"].Refused {
				refused++
			}
		}
	}
	for name, n := range deployed {
		t.Logf("said %s: deployed in %d orders", name, n)
	}
	if deployed["after the window"] == 0 || deployed["naming the new head"] == 0 || deployed["long before the push"] == 0 || refused == 0 {
		t.Error(fmt.Sprint("the orders were too tame to prove anything: ", deployed, refused))
	}
}
