package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/golden"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

var (
	shop  = pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Branch: "main"}
	mona  = pipeline.Actor{ID: 1, Login: "mona"}  // writes the change
	hubot = pipeline.Actor{ID: 2, Login: "hubot"} // maintains
	lena  = pipeline.Actor{ID: 3, Login: "lena"}  // reads
)

func commit(c byte) pipeline.Commit { return pipeline.Commit(strings.Repeat(string(c), 40)) }
func digest(c byte) pipeline.Digest {
	return pipeline.Digest("sha256:" + strings.Repeat(string(c), 64))
}

// environments are a preview for each pull request, staging, and production behind a maintainer.
func environments() []pipeline.Environment {
	static := func(root string) pipeline.Target {
		return pipeline.Target{Kind: "static", Settings: map[string]string{"root": root}}
	}
	return []pipeline.Environment{
		{Name: "preview", On: pipeline.EnvOn{PullRequest: true}, Artifact: "site", URL: "http://pr-{{ pr }}.test", Expires: pipeline.Duration(7 * 24 * time.Hour), Target: static("preview")},
		{Name: "staging", On: pipeline.EnvOn{Branch: "main"}, Artifact: "site", Target: static("staging")},
		{Name: "production", After: "staging", Artifact: "site", Target: static("production"),
			Approve: &pipeline.Approve{By: []string{"maintain", "team:release"}, Count: 1, NotAuthor: true, Expires: pipeline.Duration(24 * time.Hour), UnsafeWindow: pipeline.Duration(5 * time.Second)}},
	}
}

func defined() deploy.Event {
	return deploy.Defined{Repo: shop, Commit: commit('0'), Pushed: true, Environments: environments(), Plan: "p1"}
}

func pull(head byte, second int, change ...func(*deploy.PullSeen)) deploy.PullSeen {
	p := deploy.PullSeen{Number: 12, Open: true, Head: commit(head), Branch: "fix", Base: "main", Author: mona, Updated: at(second)}
	for _, c := range change {
		c(&p)
	}
	return p
}

func merged(as byte) func(*deploy.PullSeen) {
	return func(p *deploy.PullSeen) { p.Open, p.Merged, p.MergeCommit = false, true, commit(as) }
}

func closed(p *deploy.PullSeen) { p.Open = false }

func replacing(head byte) func(*deploy.PullSeen) {
	return func(p *deploy.PullSeen) { p.Before = commit(head) }
}

// run is a successful run of a pull request's head or of a push to main, that makes the artifact d.
func run(kind pipeline.TriggerKind, c, d byte, second int) []deploy.Event {
	id := pipeline.RunID("run/7/" + string(kind) + string(c))
	tr := pipeline.Trigger{Kind: kind, Delivery: string(c), Repo: shop, Commit: commit(c), Actor: mona, At: at(second), Branch: "fix", Pull: 12}
	if kind == pipeline.Push {
		tr.Branch, tr.Pull = "main", 0
	}
	return []deploy.Event{
		deploy.RunBegan{Run: id, Trigger: tr, Trust: pipeline.Writer, At: at(second)},
		deploy.RunEnded{Run: id, Conclusion: pipeline.Success, At: at(second + 1),
			Artifacts: []pipeline.Artifact{{Name: "site", Digest: digest(d), Files: 1, Size: 5}}},
	}
}

func start(env string, n int, c, d byte, second int) deploy.Event {
	return deploy.DeployStarted{Deployment: fmt.Sprintf("%s#%d", env, n), Environment: env, Commit: commit(c), Digest: digest(d), At: at(second)}
}

func done(env string, n, second int) deploy.Event {
	return deploy.DeployFinished{Deployment: fmt.Sprintf("%s#%d", env, n), OK: true, At: at(second)}
}

func say(id string, who pipeline.Actor, verb deploy.Verb, env string, second int, change ...func(*deploy.Command)) deploy.Event {
	c := deploy.Command{ID: id, Pull: 12, Comment: 500, Actor: who, Verb: verb, Environment: env, Line: "/" + string(verb) + " " + env, At: at(second)}
	for _, f := range change {
		f(&c)
	}
	return deploy.Commanded{Command: c, Repo: shop}
}

func role(id string, r pipeline.Role, second int, teams ...string) deploy.Event {
	return deploy.RoleKnown{Command: id, Role: r, Teams: teams, At: at(second)}
}

func chain(parts ...any) (events []deploy.Event) {
	for _, p := range parts {
		switch p := p.(type) {
		case deploy.Event:
			events = append(events, p)
		case []deploy.Event:
			events = append(events, p...)
		}
	}
	return events
}

// shipped is everything up to a merge commit m that staging runs and production waits for.
func shipped() []deploy.Event {
	return chain(defined(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1), start("preview/pr-12", 1, 'a', '1', 3), done("preview/pr-12", 1, 4),
		pull('a', 10, merged('e')), run(pipeline.Push, 'e', '2', 11), deploy.Removed{Environment: "preview/pr-12", At: at(12)},
		start("staging", 1, 'e', '2', 13), done("staging", 1, 14), card("production", 1, 'e', '2', 15))
}

// card says what ships with a promotion, compared with the release of before: env's deployment n-1 of the commit before.
func card(env string, n int, c, d byte, second int, change ...func(*deploy.Card)) deploy.Event {
	known := deploy.Card{Environment: env, CommitCount: 1, Commits: []deploy.CardCommit{{Commit: commit(c), Title: "a change", Author: "mona"}},
		Contributors: []pipeline.Actor{mona}, FileCount: 1, Thorough: true,
		To: deploy.CardSide{Deployment: fmt.Sprintf("%s#%d", env, n), Commit: commit(c), Digest: digest(d)}}
	for _, f := range change {
		f(&known)
	}
	return deploy.CardKnown{Environment: env, Promotion: known.To.Deployment, Card: known, At: at(second)}
}

// from is what the environment runs when the card's promotion comes.
func from(env string, n int, c, d byte) func(*deploy.Card) {
	return func(k *deploy.Card) {
		k.From = deploy.CardSide{Deployment: fmt.Sprintf("%s#%d", env, n), Commit: commit(c), Digest: digest(d)}
	}
}

func TestStories(t *testing.T) {
	t.Parallel()
	stories := map[string][]deploy.Event{
		"a pull request gets a preview that goes when it is closed": chain(
			defined(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1), start("preview/pr-12", 1, 'a', '1', 3), done("preview/pr-12", 1, 4),
			pull('a', 9, closed), deploy.Removed{Environment: "preview/pr-12", At: at(10)}),
		"a merge goes to staging and waits for a maintainer": shipped(),
		"a reader's approval is refused with the reason": chain(shipped(),
			say("c1", lena, deploy.Approve, "production", 20), role("c1", pipeline.Read, 20)),
		"the author may not approve": chain(shipped(),
			say("c1", mona, deploy.Approve, "production", 20), role("c1", pipeline.Maintain, 20)),
		"who wrote the pull request may not approve what a maintainer merged although no webhook told of the merge": chain(defined(),
			pull('a', 0), run(pipeline.Push, 'e', '2', 11), start("staging", 1, 'e', '2', 13), done("staging", 1, 14),
			say("c1", lena, deploy.Approve, "production", 20, func(c *deploy.Command) { c.Commit = "eeeeeee" }),
			deploy.RoleKnown{Command: "c1", Role: pipeline.Maintain, Wrote: []pipeline.Actor{lena}, At: at(21)}),
		"a maintainer approves and the same digest goes to production": chain(shipped(),
			say("c1", hubot, deploy.Approve, "production", 20), role("c1", pipeline.Maintain, 21),
			start("production", 1, 'e', '2', 22), done("production", 1, 23)),
		"a team member approves": chain(shipped(),
			say("c1", lena, deploy.Approve, "production", 20), role("c1", pipeline.Write, 21, "release")),
		"an approval that names another commit is refused": chain(shipped(),
			say("c1", hubot, deploy.Approve, "production", 20, func(c *deploy.Command) { c.Commit = "bbbbbbb" }), role("c1", pipeline.Maintain, 21)),
		"a newer merge takes the place of what waits and its approvals are void": chain(shipped(),
			say("c1", hubot, deploy.Approve, "production", 20), // the role is still being asked for
			run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33),
			role("c1", pipeline.Maintain, 34)),
		"an older run that ends late takes nobody's place": chain(defined(),
			run(pipeline.Push, 'f', '3', 30), start("staging", 1, 'f', '3', 32), done("staging", 1, 33), run(pipeline.Push, 'e', '2', 11)),
		"rolling back needs one who may approve and goes to the release before": chain(shipped(),
			say("c1", hubot, deploy.Approve, "production", 20), role("c1", pipeline.Maintain, 21), start("production", 1, 'e', '2', 22), done("production", 1, 23),
			run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33), card("production", 2, 'f', '3', 34, from("production", 1, 'e', '2')),
			say("c2", hubot, deploy.Approve, "production", 40, func(c *deploy.Command) { c.Commit = "fffffff" }), role("c2", pipeline.Maintain, 41),
			start("production", 2, 'f', '3', 42), done("production", 2, 43),
			say("c3", lena, deploy.Rollback, "production", 50), role("c3", pipeline.Read, 51),
			say("c4", hubot, deploy.Rollback, "production", 52), role("c4", pipeline.Maintain, 53),
			start("production", 3, 'e', '2', 54), done("production", 3, 55)),
		"a failed deployment leaves what was there": chain(shipped(),
			run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32),
			deploy.DeployFinished{Deployment: "staging#2", Reason: "GET /up answered 500", At: at(33)}),
		"an approval that has run out does not open the gate": chain(shipped(),
			say("c1", hubot, deploy.Approve, "production", 20), role("c1", pipeline.Maintain, 21),
			start("production", 1, 'e', '2', 24*3600+22),
			deploy.GateClosed{Environment: "production", Promotion: "production#1", Reason: "the approval has run out", At: at(24*3600 + 22)}),
		"a push makes the run of the old head superseded": chain(defined(), pull('a', 0),
			run(pipeline.PullRequest, 'a', '1', 1)[:1], pull('b', 5), deploy.CancelSent{Run: "run/7/pull_requesta"}),
		"a late synchronize does not reopen a closed pull request": chain(defined(), pull('a', 0), pull('a', 9, closed), pull('b', 5)),
		"of two pushes within a second the last one counts whichever is heard first": chain(defined(), pull('a', 0),
			pull('c', 5, replacing('b')), run(pipeline.PullRequest, 'c', '3', 5)[:1], pull('b', 5, replacing('a')), run(pipeline.PullRequest, 'b', '2', 5)[:1]),
		"a command on an unknown pull request asks GitHub first": chain(defined(),
			say("c1", hubot, deploy.Retest, "", 1), pull('a', 0), role("c1", pipeline.Write, 2),
			deploy.Acknowledged{Command: "c1"}, deploy.Forwarded{Command: "c1", Run: "run/7/c1", Say: "started"}, deploy.Answered{Command: "c1"}),
		"code from a fork gets no preview": chain(defined(), pull('a', 0, func(p *deploy.PullSeen) { p.Fork = true }), run(pipeline.PullRequest, 'a', '1', 1)),
	}
	play(t, stories)
}

// play compares each story with what is written down of it.
func play(t *testing.T, stories map[string][]deploy.Event) {
	t.Helper()
	for name, events := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Equal(t, filepath.Join("testdata/stories", strings.ReplaceAll(name, " ", "_")+".txt"), tell(t, events))
		})
	}
}

// tell plays events, each through its stored form, and writes down what is owed after each.
func tell(t *testing.T, events []deploy.Event) string {
	var b strings.Builder
	var s deploy.State
	for _, e := range events {
		s = deploy.Apply(s, stored(t, e))
		fmt.Fprintf(&b, "%s\n", headline(e))
		for _, owed := range deploy.Next(s) {
			fmt.Fprintf(&b, "    owes %s\n", short(owed.Name()))
		}
	}
	b.WriteString("ends with\n")
	for _, name := range s.PlaceNames() {
		p := s.Places[name]
		fmt.Fprintf(&b, "    %s:", name)
		if p.Live != nil {
			fmt.Fprintf(&b, " runs %s %s", p.Live.Commit.Short(), p.Live.Digest.Short())
		}
		if p.Flight != nil {
			fmt.Fprintf(&b, " deploys %s", p.Flight.ID)
		}
		if p.Waiting != nil {
			fmt.Fprintf(&b, " waits %s %s %d approvals held %q", p.Waiting.ID, p.Waiting.Commit.Short(), len(p.Waiting.Approvals), p.Waiting.Held)
		}
		if p.Failed != "" {
			fmt.Fprintf(&b, " failed: %s", p.Failed)
		}
		b.WriteString("\n")
	}
	b.WriteString(holds(s))
	for _, id := range slices.Sorted(maps.Keys(s.Commands)) {
		if c := s.Commands[id]; c.Decided {
			fmt.Fprintf(&b, "    answer to %s (refused %v): %s\n", id, c.Refused, c.Say)
		}
	}
	return b.String()
}

func short(name string) string {
	for _, c := range "abcdef0123" {
		name = strings.ReplaceAll(name, strings.Repeat(string(c), 40), strings.Repeat(string(c), 7))
	}
	return name
}

func headline(e deploy.Event) string {
	switch e := e.(type) {
	case deploy.PullSeen:
		return fmt.Sprintf("pull_seen %d %s open=%v", e.Number, e.Head.Short(), e.Open)
	case deploy.Commanded:
		return fmt.Sprintf("commanded %s by @%s: %s", e.Command.ID, e.Command.Actor.Login, e.Command.Line)
	case deploy.RoleKnown:
		return fmt.Sprintf("role_known %s %s", e.Command, e.Role)
	case deploy.RunBegan:
		return fmt.Sprintf("run_began %s", e.Run)
	case deploy.RunEnded:
		return fmt.Sprintf("run_ended %s %s", e.Run, e.Conclusion)
	case deploy.DeployStarted:
		return fmt.Sprintf("deploy_started %s %s", e.Deployment, e.Digest.Short())
	case deploy.DeployFinished:
		return fmt.Sprintf("deploy_finished %s ok=%v", e.Deployment, e.OK)
	}
	return e.Kind()
}

// stored sends an event through the form in which the journal keeps it.
func stored(t testing.TB, e deploy.Event) deploy.Event {
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	back, err := deploy.Decode(e.Kind(), data)
	if err != nil || back == nil {
		t.Fatalf("a stored %q does not read back: %v %v", e.Kind(), back, err)
	}
	return back
}
