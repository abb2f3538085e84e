package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// unasked makes GitHub silent on who may do what, until the returned function is called: commands stay undecided.
func (h *house) unasked() (answer func()) {
	return h.gh.Inject(github.Fault{Method: "GET", Route: "/repos/{owner}/{repo}/collaborators/{username}/permission", Status: 503})
}

// heard waits until a command's comment has been taken up.
func (h *house) heard(c github.Comment) {
	h.t.Helper()
	h.wait("the sign that it was heard", func(v *github.View) bool {
		for _, k := range v.Comments(repo, int64(c.Number)) {
			if k.ID == c.ID && len(k.Reactions) > 0 {
				return true
			}
		}
		return false
	})
}

// commits are the commits that were deployed to an environment, in order.
func (h *house) commits(env string) (shas []string) {
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deployments(repo, env) {
			shas = append(shas, d.SHA)
		}
	})
	return shas
}

// talk is a pull request to comment on.
func (h *house) talk() github.Pull {
	h.t.Helper()
	return must(h.gh.OpenPull(repo, "author", "talk", h.topic(""), "main"))(h.t)
}

func (h *house) said(p github.Pull, who, body string) github.Comment {
	h.t.Helper()
	return must(h.gh.Comment(repo, int(p.Number), who, body))(h.t)
}

func TestAPushBetweenTheWordAndTheDecisionVoidsTheWord(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	answer := h.unasked()
	h.heard(h.said(pull, "maintainer", "/approve production@"+first[:10]))
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	answer()
	h.answered(pull, "waits for the approval of "+second[:7])
	h.ends()
	if got := h.commits("production"); len(got) != 0 {
		t.Errorf("production got %v", got)
	}
}

func TestAPushAtTheMomentOfAnApprovalDeploysWhatWasApprovedOrNothing(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			h := open(t, func(h *house) { h.github.Seed = uint64(i) })
			first := h.push("main", "author", "first", withSites("one"))
			h.deployed("staging", first)
			pull := h.talk()
			h.settled()
			h.gh.HoldHooks(h.at.AppSlug)
			second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
			h.comment(pull, "maintainer", "/approve production@"+first[:10])
			h.gh.ReleaseHooks(h.at.AppSlug, true)
			h.deployed("staging", second)
			h.ends() // and with it: whatever was deployed was approved with this very commit and digest
			if got := h.commits("production"); len(got) > 1 || len(got) == 1 && got[0] != first {
				t.Errorf("production got %v", got)
			}
		})
	}
}

func TestTheApprovalOfAnOlderCommitIsRefusedWithTheLineToType(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	pull := h.talk()
	h.comment(pull, "maintainer", "/approve production@"+first)
	h.answered(pull, "type `/approve production@"+second[:7]+"`")
	h.comment(pull, "maintainer", "/approve production") // of the pull request's own head, which nothing has built
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v", got)
	}
	h.comment(pull, "maintainer", "/approve production@"+second[:7])
	h.deployed("production", second)
	h.ends()
}

func TestTwoApprovalsAtOnceAreOneDeployment(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "admin")
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.settled()
	h.gh.HoldHooks(h.at.AppSlug)
	for range 2 {
		h.comment(pull, "maintainer", "/approve production@"+first[:10])
		h.comment(pull, "other", "/approve production@"+first[:10])
	}
	h.gh.ReleaseHooks(h.at.AppSlug, false)
	h.deployed("production", first)
	h.ends()
	h.onceEach()
	if got := h.commits("production"); len(got) != 1 {
		t.Errorf("production got %v", got)
	}
}

// gated is a plan whose production asks for approvals by a rule.
func gated(page, rule string) map[string]string {
	files := withSites(page)
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "{by: [maintain], not_author: true}", rule, 1)
	return files
}

func TestTwoPeopleMustSayItWhereTwoAreAskedFor(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	first := h.push("main", "author", "first", gated("one", "{by: [maintain], count: 2}"))
	h.deployed("staging", first)
	pull := h.talk()
	for range 3 {
		h.comment(pull, "maintainer", "/approve production@"+first[:10])
	}
	h.answered(pull, "1 of 2 approvals")
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("one person said it three times, and production got %v", got)
	}
	h.comment(pull, "other", "/approve production@"+first[:10])
	h.deployed("production", first)
	h.ends()
}

func TestAnApprovalAndARollbackAtOnceEndInOneOfBoth(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			h := open(t, func(h *house) { h.github.Seed = uint64(i) })
			h.push("main", "author", "before", map[string]string{"README.md": "shop"})
			pull := h.talk()
			var shas []string
			for n := range 3 {
				sha := h.push("main", "author", "push", withSites(fmt.Sprint(n)))
				shas = append(shas, sha)
				h.deployed("staging", sha)
				if n < 2 {
					h.comment(pull, "maintainer", "/approve production@"+sha[:10])
					h.deployed("production", sha)
				}
			}
			h.quiet()
			h.gh.HoldHooks(h.at.AppSlug)
			h.comment(pull, "maintainer", "/approve production@"+shas[2][:10])
			h.comment(pull, "maintainer", "/rollback production")
			h.gh.ReleaseHooks(h.at.AppSlug, true)
			h.ends()
			got := h.commits("production")
			if len(got) < 3 || len(got) > 4 {
				t.Fatalf("production got %d deployments", len(got))
			}
			last := got[len(got)-1]
			for n, sha := range shas {
				if sha == last {
					h.serves("production", fmt.Sprint(n))
				}
			}
		})
	}
}

func TestARoleThatIsLostBeforeTheDecisionDecides(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	answer := h.unasked()
	h.heard(h.said(pull, "other", "/approve production@"+first[:10]))
	h.grant("other", "triage")
	answer()
	h.answered(pull, "other has the role triage")
	h.ends()
	if got := h.commits("production"); len(got) != 0 {
		t.Errorf("production got %v", got)
	}
}

func TestWhoMayApproveIsAskedEachTime(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.comment(pull, "other", "/approve production@"+first[:10])
	h.deployed("production", first)
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	h.grant("other", "write")
	h.comment(pull, "other", "/approve production@"+second[:10])
	h.answered(pull, "other has the role write")
	h.ends()
	if got := h.commits("production"); len(got) != 1 {
		t.Errorf("production got %v", got)
	}
}

func TestAMaintainerMayNotApproveTheirOwnChange(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.grant("author", "maintain")
	first := h.push("main", "maintainer", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.pull("change", map[string]string{"page.html": "two"})
	h.deployed("preview/pr-1", pull.HeadSHA)
	merged := must(h.gh.Merge(repo, pull.Number, "maintainer"))(t)
	h.deployed("staging", merged)
	h.comment(pull, "author", "/approve production")
	h.answered(pull, "author wrote this change")
	h.comment(pull, "author", "/approve production@"+merged[:10])
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v", got)
	}
	h.comment(pull, "maintainer", "/approve production")
	h.deployed("production", merged)
	h.ends()
}

func TestATeamMayApprove(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("releaser")
	h.gh.AddTeam("octo", "release", "releaser")
	h.grant("releaser", "read")
	first := h.push("main", "author", "first", gated("one", "{by: [\"team:release\"]}"))
	h.deployed("staging", first)
	pull := h.talk()
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	h.answered(pull, "may be approved by team:release")
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v", got)
	}
	h.gh.LeaveTeam("octo", "release", "releaser")
	h.comment(pull, "releaser", "/approve production@"+first[:10])
	h.answered(pull, "releaser has the role read")
	h.gh.AddTeam("octo", "release", "releaser")
	h.comment(pull, "releaser", "/approve production@"+first[:10])
	h.deployed("production", first)
	h.ends()
}

func TestACommandWhoseCommentIsGoneIsWorkedOff(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.gh.HoldHooks(h.at.AppSlug)
	c := h.said(pull, "maintainer", "/promote production@"+first[:10])
	if err := h.gh.DeleteComment(repo, c.ID, "maintainer"); err != nil {
		t.Fatal(err)
	}
	h.gh.ReleaseHooks(h.at.AppSlug, false)
	h.answered(pull, "is wanted in `production`")
	h.ends()
}

func TestWhoWroteAChangeMayNotApproveItAlthoughItsMergeWasNeverHeardOf(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	h.push("main", "maintainer", "first", withSites("one"))
	h.push("change", "other", "two", map[string]string{"page.html": "two"})
	pull := must(h.gh.OpenPull(repo, "other", "two", "change", "main"))(t)
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.gh.InjectHook(github.HookFault{Event: "pull_request.closed", Lose: true})
	merged := must(h.gh.Merge(repo, pull.Number, "maintainer"))(t)
	h.deployed("staging", merged)
	h.comment(pull, "other", "/approve production@"+merged[:10])
	h.answered(pull, "other wrote this change")
	h.ends()
	if got := h.commits("production"); len(got) != 0 {
		t.Errorf("production got %v", got)
	}
}
