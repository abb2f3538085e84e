package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// asked is a command and the answer to who may: what a person says and what becomes of it.
func asked(id string, who pipeline.Actor, r pipeline.Role, verb deploy.Verb, env string, second int, change ...func(*deploy.Command)) []deploy.Event {
	return []deploy.Event{say(id, who, verb, env, second, change...), role(id, r, second)}
}

func why(reason string) func(*deploy.Command) {
	return func(c *deploy.Command) { c.Reason, c.Line = reason, c.Line+" "+reason }
}

func lasting(d time.Duration) func(*deploy.Command) {
	return func(c *deploy.Command) { c.For, c.Line = deploy.Span(d), c.Line+" for "+d.String() }
}

func naming(word string) func(*deploy.Command) {
	return func(c *deploy.Command) {
		c.Word = word
		c.Line = strings.TrimSpace("/" + string(c.Verb) + " " + word + " " + c.Environment)
	}
}

func onPull(n int) func(*deploy.Command) { return func(c *deploy.Command) { c.Pull = n } }

func about(sha string) func(*deploy.Command) {
	return func(c *deploy.Command) { c.Commit = sha }
}

func numbered(n int) func(*deploy.PullSeen) { return func(p *deploy.PullSeen) { p.Number = n } }

// next is a pull request beside number 12, open at d.
func next() []deploy.Event { return chain(pull('d', 15, numbered(14))) }

func holds(s deploy.State) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Locks)) {
		fmt.Fprintf(&b, "    lock of %s for #%d until %s\n", name, s.Locks[name].Pull, s.Locks[name].Until.Format(time.RFC3339))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Freezes)) {
		fmt.Fprintf(&b, "    freeze of %q until %s\n", name, s.Freezes[name].Until.Format(time.RFC3339))
	}
	for _, name := range s.PlaceNames() {
		if r := s.Places[name].Rejected; r != nil {
			fmt.Fprintf(&b, "    %s rejected %s: %s\n", name, r.Commit.Short(), r.Reason)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(s.Pulls)) {
		for _, r := range s.Panel(n).Rows {
			if r.State == "rejected" || strings.Contains(r.Detail, "lock") || strings.Contains(r.Detail, "fr") || strings.Contains(r.Detail, "stop") || strings.Contains(r.Detail, "no more") {
				fmt.Fprintf(&b, "    panel of #%d: %s %s: %s\n", n, r.Environment, r.State, r.Detail)
			}
		}
	}
	return b.String()
}

const hour = 3600

func TestStoriesOfLocks(t *testing.T) {
	t.Parallel()
	locked := chain(defined(), pull('a', 0), next(), asked("c1", mona, pipeline.Write, deploy.TakeLock, "staging", 20, why("the migration"), lasting(2*time.Hour)))
	merge := run(pipeline.Push, 'e', '2', 30)
	play(t, map[string][]deploy.Event{
		"a lock keeps other commits out until its time is up": chain(locked, merge, start("staging", 1, 'e', '2', 40),
			deploy.LockEnded{Environment: "staging", At: at(30)}, deploy.LockEnded{Environment: "staging", At: at(20 + 2*hour)}),
		"the pull request that holds a lock may enter": chain(locked, run(pipeline.PullRequest, 'a', '1', 30),
			asked("c2", mona, pipeline.Write, deploy.Promote, "staging", 40), start("staging", 1, 'a', '1', 41)),
		"a lock ends with its pull request": chain(locked, merge, pull('a', 50, closed)),
		"a lock is renewed on its own pull request and refused on another": chain(locked,
			asked("c2", hubot, pipeline.Maintain, deploy.TakeLock, "staging", 40, onPull(14)),
			asked("c3", hubot, pipeline.Write, deploy.TakeLock, "staging", 60, lasting(time.Hour)),
			deploy.LockEnded{Environment: "staging", At: at(20 + hour)}),
		"a lock of another pull request is ended by a maintainer who says why": chain(locked, merge,
			asked("c2", lena, pipeline.Write, deploy.EndLock, "staging", 40, onPull(14)),
			asked("c3", hubot, pipeline.Maintain, deploy.EndLock, "staging", 41, onPull(14)),
			asked("c4", hubot, pipeline.Maintain, deploy.EndLock, "staging", 42, onPull(14), why("mona is on holiday")),
			asked("c5", hubot, pipeline.Maintain, deploy.EndLock, "staging", 43)),
		"who took a lock ends it from anywhere": chain(locked, asked("c2", mona, pipeline.Write, deploy.EndLock, "staging", 40, onPull(14))),
		"what was held when its turn came is asked again once the lock is gone": chain(defined(), pull('a', 0), merge,
			asked("c1", mona, pipeline.Write, deploy.TakeLock, "staging", 33),
			deploy.GateClosed{Environment: "staging", Promotion: "staging#1", Reason: "locked", At: at(34)},
			asked("c2", mona, pipeline.Write, deploy.EndLock, "staging", 35)),
		"a lock is refused": chain(locked, merge, pull('c', 15, numbered(15), closed),
			asked("c2", lena, pipeline.Read, deploy.TakeLock, "production", 40),
			asked("c3", mona, pipeline.Write, deploy.TakeLock, "production", 41, lasting(8*24*time.Hour)),
			asked("c4", mona, pipeline.Write, deploy.TakeLock, "production", 42, lasting(time.Second)),
			asked("c5", mona, pipeline.Write, deploy.TakeLock, "preview", 43),
			asked("c6", mona, pipeline.Write, deploy.TakeLock, "production", 44, onPull(15)),
			asked("c7", lena, pipeline.Read, deploy.EndLock, "staging", 45),
			asked("c8", mona, pipeline.Write, deploy.EndLock, "production", 46)),
		"a rollback passes a lock and a freeze": chain(shipped(), run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33), next(),
			asked("c1", mona, pipeline.Write, deploy.TakeLock, "staging", 40, onPull(14)),
			asked("c2", hubot, pipeline.Maintain, deploy.TakeFreeze, "", 41),
			asked("c3", hubot, pipeline.Write, deploy.Rollback, "staging", 42), start("staging", 3, 'e', '2', 43)),
	})
}

func TestStoriesOfFreezes(t *testing.T) {
	t.Parallel()
	merge := run(pipeline.Push, 'e', '2', 30)
	play(t, map[string][]deploy.Event{
		"a freeze of everything lets nothing enter and ends by itself": chain(defined(), pull('a', 0),
			asked("c1", hubot, pipeline.Maintain, deploy.TakeFreeze, "release", 20, why("week"), lasting(2*time.Hour)),
			merge, start("staging", 1, 'e', '2', 40), run(pipeline.PullRequest, 'a', '1', 41), start("preview/pr-12", 1, 'a', '1', 43),
			deploy.FreezeEnded{At: at(100)}, deploy.FreezeEnded{At: at(20 + 2*hour)}),
		"a freeze of production keeps what was approved": chain(shipped(),
			asked("c1", hubot, pipeline.Maintain, deploy.TakeFreeze, "production", 20, why("the fair")),
			asked("c2", hubot, pipeline.Maintain, deploy.Approve, "production", 21), start("production", 1, 'e', '2', 22),
			asked("c3", hubot, pipeline.Maintain, deploy.EndFreeze, "", 23),
			asked("c4", hubot, pipeline.Maintain, deploy.EndFreeze, "production", 24), start("production", 1, 'e', '2', 25)),
		"only a maintainer freezes and ends a freeze": chain(defined(), pull('a', 0),
			asked("c1", mona, pipeline.Write, deploy.TakeFreeze, "", 20),
			asked("c2", hubot, pipeline.Maintain, deploy.TakeFreeze, "", 21, lasting(31*24*time.Hour)),
			asked("c3", hubot, pipeline.Maintain, deploy.TakeFreeze, "", 22),
			asked("c4", mona, pipeline.Write, deploy.EndFreeze, "", 23),
			asked("c5", hubot, pipeline.Maintain, deploy.EndFreeze, "staging", 24),
			asked("c6", hubot, pipeline.Maintain, deploy.EndFreeze, "", 25),
			asked("c7", hubot, pipeline.Maintain, deploy.EndFreeze, "", 26)),
	})
}

func TestStoriesOfRejections(t *testing.T) {
	t.Parallel()
	rejected := chain(shipped(), asked("c1", hubot, pipeline.Maintain, deploy.Reject, "production", 20, why("it is | `slow`")))
	play(t, map[string][]deploy.Event{
		"who may approve may reject and the same build does not come back by itself": chain(rejected,
			run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), deploy.DeployFinished{Deployment: "staging#2", Reason: "no", At: at(33)},
			asked("c2", mona, pipeline.Write, deploy.Promote, "staging", 40, about("eeeeeee")), start("staging", 3, 'e', '2', 41), done("staging", 3, 42)),
		"a newer build waits again after a rejection": chain(rejected, run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33)),
		"a rejected build waits again when someone asks for it": chain(rejected,
			asked("c2", mona, pipeline.Write, deploy.Onward, "production", 30)),
		"a rejection by who may not approve is refused": chain(shipped(),
			asked("c1", lena, pipeline.Write, deploy.Reject, "production", 20),
			asked("c2", hubot, pipeline.Maintain, deploy.Reject, "production", 21, about("bbbbbbb")),
			asked("c3", hubot, pipeline.Maintain, deploy.Reject, "staging", 22)),
		"a rollback that still waits is rejected": chain(shipped(), run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33),
			asked("c1", mona, pipeline.Write, deploy.Rollback, "staging", 40), asked("c2", mona, pipeline.Write, deploy.Reject, "staging", 41, about("eeeeeee"))),
	})
}

func TestStoriesOfPreviews(t *testing.T) {
	t.Parallel()
	up := chain(defined(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1), start("preview/pr-12", 1, 'a', '1', 3), done("preview/pr-12", 1, 4))
	stopped := chain(up, asked("c1", mona, pipeline.Write, deploy.Preview, "", 20, naming("stop")))
	week := 7 * 24 * hour
	play(t, map[string][]deploy.Event{
		"a preview is kept for longer": chain(up, asked("c1", mona, pipeline.Write, deploy.Preview, "", 20, naming("keep"), lasting(10*24*time.Hour)),
			deploy.Expired{Environment: "preview/pr-12", At: at(4 + week)}, deploy.Expired{Environment: "preview/pr-12", At: at(20 + week + 3*24*hour)}),
		"keeping a preview never shortens its time": chain(up, asked("c1", mona, pipeline.Write, deploy.Preview, "", 20, naming("keep"), lasting(time.Hour))),
		"a stopped preview stays down over a second run of the same head": chain(stopped, deploy.Removed{Environment: "preview/pr-12", At: at(21)},
			again(run(pipeline.PullRequest, 'a', '1', 30)), pull('a', 40)),
		"a stopped preview is not brought back by an edit of the pull request in the middle": chain(stopped, pull('a', 21), deploy.Removed{Environment: "preview/pr-12", At: at(22)}),
		"a stopped preview comes back with the next push": chain(stopped, deploy.Removed{Environment: "preview/pr-12", At: at(21)},
			pull('b', 30), run(pipeline.PullRequest, 'b', '2', 31)),
		"a stopped preview comes back when someone asks for it": chain(stopped, deploy.Removed{Environment: "preview/pr-12", At: at(21)},
			asked("c2", mona, pipeline.Write, deploy.Promote, "preview", 30)),
		"a preview command is refused": chain(defined(), pull('a', 0),
			asked("c1", mona, pipeline.Write, deploy.Preview, "", 20, naming("keep")),
			asked("c2", lena, pipeline.Read, deploy.Preview, "", 21, naming("stop")),
			run(pipeline.PullRequest, 'a', '1', 30), start("preview/pr-12", 1, 'a', '1', 33), done("preview/pr-12", 1, 34),
			asked("c3", mona, pipeline.Write, deploy.Preview, "", 40, naming("keep"), lasting(40*24*time.Hour))),
	})
}

// again gives a run another name.
func again(events []deploy.Event) []deploy.Event {
	began, ended := events[0].(deploy.RunBegan), events[1].(deploy.RunEnded)
	began.Run += "again"
	ended.Run += "again"
	return []deploy.Event{began, ended}
}

func TestStoriesOfChangedComments(t *testing.T) {
	t.Parallel()
	voided := func(second int, w string) deploy.Event {
		return deploy.ApprovalVoided{Comment: 500, Pull: 12, Why: w, By: lena, At: at(second)}
	}
	freeze := asked("c0", hubot, pipeline.Maintain, deploy.TakeFreeze, "production", 18) // so that nothing begins at once
	play(t, map[string][]deploy.Event{
		"an edited approval counts no more and says so once": chain(shipped(), freeze, asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20),
			voided(21, "edited"), deploy.Answered{Command: "voided.500"}, voided(22, "edited")),
		"a deleted approval counts no more": chain(shipped(), freeze, asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20), voided(21, "deleted")),
		"an approval on which a deployment has begun stays": chain(shipped(), asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20),
			start("production", 1, 'e', '2', 22), voided(23, "edited"), done("production", 1, 24)),
		"an approval that is changed before it is decided counts for nothing": chain(shipped(), say("c1", hubot, deploy.Approve, "production", 20), voided(21, "edited"), role("c1", pipeline.Maintain, 22)),
		"an approval whose change is heard of first counts for nothing":       chain(shipped(), voided(21, "edited"), asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20)),
		"a rollback whose comment is edited while it waits is dropped": chain(shipped(), run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33),
			asked("c1", mona, pipeline.Write, deploy.Rollback, "staging", 40), voided(41, "edited")),
		"another comment that is edited changes nothing": chain(shipped(), freeze, asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20),
			deploy.ApprovalVoided{Comment: 501, Pull: 12, Why: "edited", By: lena, At: at(21)}),
	})
}

func TestStoriesOfPromoting(t *testing.T) {
	t.Parallel()
	failed := chain(shipped(), asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20), start("production", 1, 'e', '2', 22),
		deploy.DeployFinished{Deployment: "production#1", Reason: "GET /up answered 500", At: at(23)})
	play(t, map[string][]deploy.Event{
		"promoting takes what the environment before runs whatever pull request says it": chain(failed, next(),
			asked("c2", mona, pipeline.Write, deploy.Onward, "production", 30, onPull(14))),
		"promoting is refused": chain(defined(), pull('a', 0),
			asked("c1", lena, pipeline.Read, deploy.Onward, "production", 1),
			asked("c2", mona, pipeline.Write, deploy.Onward, "production", 2),
			asked("c3", mona, pipeline.Write, deploy.Onward, "staging", 3),
			run(pipeline.Push, 'e', '2', 11), start("staging", 1, 'e', '2', 13), done("staging", 1, 14),
			asked("c4", mona, pipeline.Write, deploy.Onward, "production", 15, about("bbbbbbb")),
			asked("c5", mona, pipeline.Write, deploy.Onward, "production", 16, about("eeeeeee"))),
		"a run of a part of the plan offers nothing and is not the head's run": chain(defined(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1)[:1],
			partial(again(run(pipeline.PullRequest, 'a', '2', 5)))),
		"a word for a commit that is not the head any more is refused": chain(defined(), pull('a', 0), pull('b', 5),
			asked("c1", hubot, pipeline.Maintain, deploy.OkToTest, "", 10, about("aaaaaaa")),
			asked("c2", lena, pipeline.Triage, deploy.OkToTest, "", 11, about("bbbbbbb")),
			asked("c3", hubot, pipeline.Write, deploy.OkToTest, "", 12, about("bbbbbbb")), pull('b', 20, closed),
			asked("c4", hubot, pipeline.Write, deploy.OkToTest, "", 21, about("bbbbbbb"))),
		"a listed App commands by its role": chain(defined(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1),
			asked("c1", pipeline.Actor{ID: 9, Login: "ship[bot]", Bot: true}, pipeline.Write, deploy.Promote, "staging", 10),
			asked("c2", pipeline.Actor{ID: 9, Login: "ship[bot]", Bot: true}, pipeline.Read, deploy.Promote, "staging", 11, func(c *deploy.Command) { c.App = 77 }),
			asked("c3", pipeline.Actor{ID: 9, Login: "ship[bot]", Bot: true}, pipeline.Write, deploy.Promote, "staging", 12, func(c *deploy.Command) { c.App = 77 })),
	})
}

func partial(events []deploy.Event) []deploy.Event {
	began := events[0].(deploy.RunBegan)
	began.Only = "test"
	events[0] = began
	return events
}

func TestStoriesOfExplanations(t *testing.T) {
	t.Parallel()
	held := chain(shipped(), next(), asked("c0", hubot, pipeline.Maintain, deploy.TakeFreeze, "", 18, why("the fair")),
		asked("c1", mona, pipeline.Write, deploy.TakeLock, "production", 19, onPull(14)))
	dry := func(verb string) func(*deploy.Command) { return naming(verb) }
	play(t, map[string][]deploy.Event{
		"the plan of a promotion says everything that is missing": chain(held, asked("c2", lena, pipeline.Read, deploy.Plan, "production", 30, dry("promote"))),
		"the plan of a promotion that could go at once says so": chain(shipped(), run(pipeline.PullRequest, 'a', '1', 20),
			asked("c1", mona, pipeline.Write, deploy.Plan, "staging", 30, dry("deploy"), about("aaaaaaa"))),
		"the plan of what is not possible says why": chain(shipped(), asked("c1", mona, pipeline.Write, deploy.Plan, "staging", 30, dry("promote")),
			asked("c2", mona, pipeline.Write, deploy.Plan, "production", 31, dry("promote")),
			asked("c3", mona, pipeline.NoRole, deploy.Plan, "production", 32, dry("promote"))),
		"the reason of what an environment waits for": chain(held, asked("c2", lena, pipeline.Read, deploy.Why, "", 30, naming("production")),
			asked("c3", lena, pipeline.Read, deploy.Why, "", 31, naming("staging")),
			asked("c4", lena, pipeline.Read, deploy.Why, "", 32, naming("preview")),
			asked("c5", lena, pipeline.Read, deploy.Why, "", 33, naming("unit")),
			asked("c6", lena, pipeline.NoRole, deploy.Why, "", 34, naming("production"))),
		"the reason of what an environment before does not run": chain(defined(), pull('a', 0), run(pipeline.PullRequest, 'a', '1', 1),
			asked("c1", mona, pipeline.Write, deploy.Promote, "production", 10), asked("c2", mona, pipeline.Write, deploy.Why, "", 11, naming("production"))),
		"what someone can do is what the commands grant": chain(held, asked("c2", lena, pipeline.Read, deploy.Can, "", 30),
			asked("c3", hubot, pipeline.Maintain, deploy.Can, "", 31),
			asked("c4", mona, pipeline.Write, deploy.Can, "production", 32),
			asked("c5", mona, pipeline.NoRole, deploy.Can, "", 33)),
		"help is about everything or about one command": chain(defined(), pull('a', 0), asked("c1", lena, pipeline.NoRole, deploy.Help, "", 1, naming("lock")),
			asked("c2", lena, pipeline.NoRole, deploy.Help, "", 2, naming("nothing"))),
	})
}
