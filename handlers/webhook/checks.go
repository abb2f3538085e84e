package webhook

import (
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// checkRun hears what a person asks for at one of our check runs: that it runs again, or what one of its buttons says.
// GitHub shows them to those who may write; whether the sender may is asked again all the same.
//
// https://docs.github.com/webhooks/webhook-events-and-payloads#check_run
func checkRun(d Delivery, p payload, repo pipeline.Repo) Heard {
	c := deploy.Command{Verb: deploy.Retest, Button: deploy.Rerequested}
	switch {
	case p.Action == "requested_action" && p.Pressed != nil:
		verb, ours := deploy.ButtonVerb(p.Pressed.Identifier)
		if !ours || len(p.Pressed.Identifier) > 20 {
			return ignored("%s: none of our buttons has this name", describe(d.Event, p.Action))
		}
		c.Verb, c.Button = verb, p.Pressed.Identifier
	case p.Action != "rerequested":
		return ignored("%s: it only tells what a check shows", describe(d.Event, p.Action))
	}
	r := p.CheckRun
	if why := notOurCheck(d, p, r); why != "" {
		return ignored("%s: %s", describe(d.Event, p.Action), why)
	}
	if r.Name == "" || len(r.Name) > 255 {
		return ignored("%s: the check has no name", describe(d.Event, p.Action))
	}
	c.Check, c.Run = r.Name, pipeline.RunOf(repo.ID, r.ExternalID)
	return pressed(d, p, r, c)
}

// checkSuite hears that all checks of a commit are to run again.
func checkSuite(d Delivery, p payload, _ pipeline.Repo) Heard {
	if p.Action != "rerequested" {
		return ignored("%s: pushes and pull requests say what is to be checked", describe(d.Event, p.Action))
	}
	if why := notOurCheck(d, p, p.CheckSuite); why != "" {
		return ignored("%s: %s", describe(d.Event, p.Action), why)
	}
	return pressed(d, p, p.CheckSuite, deploy.Command{Verb: deploy.Retest, Button: deploy.Rerequested})
}

// notOurCheck says why a check is no place to ask this App for something.
func notOurCheck(d Delivery, p payload, c *check) string {
	switch {
	case c == nil || !pipeline.Commit(c.HeadSHA).Valid():
		return "it names no commit"
	case AppSource(c.App.ID) != d.Source:
		return "the check is another App's"
	case p.Sender.ID <= 0:
		return "it names no sender"
	case p.Sender.actor().Bot:
		return "Apps and bots do not command"
	}
	return ""
}

// pressed completes a command that was given at a check. The pull request is not read from the payload, which has none
// for code of a fork: our own records know it.
func pressed(d Delivery, p payload, r *check, c deploy.Command) Heard {
	c.ID, c.Commit, c.Actor, c.At = d.GUID+".0", r.HeadSHA, p.Sender.actor(), d.ReceivedAt
	c.Line = "/" + string(c.Verb)
	return Heard{Commands: []deploy.Command{c}}
}

// mergeGroup hears that the merge queue waits for the checks of what it would make of a base, or that it waits no more.
//
// https://docs.github.com/webhooks/webhook-events-and-payloads#merge_group
func mergeGroup(d Delivery, p payload, repo pipeline.Repo) Heard {
	g := p.MergeGroup
	if g == nil || !pipeline.Commit(g.HeadSHA).Valid() {
		return ignored("%s names no commit", describe(d.Event, p.Action))
	}
	branch, queued := strings.CutPrefix(g.HeadRef, "refs/heads/")
	base, based := strings.CutPrefix(g.BaseRef, "refs/heads/")
	switch {
	case p.Action == "destroyed":
		gone := &deploy.GroupGone{Commit: pipeline.Commit(g.HeadSHA), At: d.ReceivedAt}
		if p.Reason == "merged" || p.Reason == "invalidated" || p.Reason == "dequeued" {
			gone.Reason = p.Reason
		}
		return Heard{Gone: gone}
	case p.Action != "checks_requested":
		return ignored("nothing follows from %s", describe(d.Event, p.Action))
	case !queued || !strings.HasPrefix(branch, "gh-readonly-queue/"):
		return ignored("%s: the group is not on a branch of the merge queue's own", describe(d.Event, p.Action))
	case !based || base == "":
		return ignored("%s: the group has no base branch", describe(d.Event, p.Action))
	case p.Sender.ID <= 0:
		return ignored("%s names no sender", describe(d.Event, p.Action))
	}
	t := &pipeline.Trigger{
		Kind: pipeline.MergeGroup, Delivery: d.GUID, Repo: repo, Commit: pipeline.Commit(g.HeadSHA), Ref: g.HeadRef, Branch: branch,
		Base: base, Before: full(g.BaseSHA), Actor: p.Sender.actor(), At: d.ReceivedAt,
	}
	if g.HeadCommit != nil {
		t.Title = title(g.HeadCommit.Message)
	}
	return Heard{Trigger: t}
}
