package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// reviewed is a plan whose preview asks for approvals by a rule.
func reviewed(page, rule string) map[string]string {
	files := withSites(page)
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "target: {static: preview}}", "target: {static: preview}, approve: "+rule+"}", 1)
	return files
}

func TestAWordRightAfterAPushIsRefusedWithTheLineToType(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", reviewed("one", "{by: [maintain], unsafe_window: 1h}"))
	pull := h.pull("change", reviewed("two", "{by: [maintain], unsafe_window: 1h}"))
	h.answered(pull, "comment `/approve preview/pr-1@"+pull.HeadSHA[:7]+"`")
	h.comment(pull, "maintainer", "/approve preview")
	h.answered(pull, "was pushed less than 60 minutes before this comment")
	h.answered(pull, "type `/approve preview/pr-1@"+pull.HeadSHA[:7]+"`")
	h.quiet()
	if got := h.commits("preview/pr-1"); len(got) != 0 {
		t.Fatalf("the preview got %v", got)
	}
	h.comment(pull, "maintainer", "/approve preview/pr-1@"+pull.HeadSHA[:7])
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.ends()
}

func TestAPushThatNoWebhookToldOfIsNotApprovedByABareWord(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", reviewed("one", "{by: [maintain], unsafe_window: 1s}"))
	pull := h.pull("change", reviewed("two", "{by: [maintain], unsafe_window: 1s}"))
	h.answered(pull, "comment `/approve preview/pr-1@"+pull.HeadSHA[:7]+"`")
	h.gh.InjectHook(github.HookFault{Event: "pull_request.synchronize", Lose: true})
	h.push("change", "author", "next", map[string]string{"page.html": "three"})
	h.comment(pull, "maintainer", "/approve preview")
	h.quiet()
	if got := h.commits("preview/pr-1"); len(got) != 0 {
		t.Fatalf("the preview got %v", got)
	}
	h.ends()
}

func TestARightThatIsLostBeforeTheDeploymentStartsDoesNotCount(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, who := range []string{"other", "third"} {
		h.gh.AddUser(who)
		h.grant(who, "maintain")
	}
	first := h.push("main", "author", "first", gated("one", "{by: [maintain], count: 2}"))
	h.deployed("staging", first)
	pull := h.talk()
	h.comment(pull, "other", "/approve production@"+first[:10])
	h.answered(pull, "1 of 2 approvals")
	h.grant("other", "triage")
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	h.answered(pull, "may enter `production`.\n")
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v", got)
	}
	h.comment(pull, "third", "/approve production@"+first[:10])
	h.deployed("production", first)
	h.ends()
}

func TestAnotherBaseVoidsTheApprovalOfAnOpenPullRequest(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	const rule = "{by: [maintain], count: 2}"
	h.push("main", "author", "first", reviewed("one", rule))
	h.push("release", "author", "first", reviewed("one", rule))
	pull := h.pull("change", reviewed("two", rule))
	name := "/approve preview/pr-1@" + pull.HeadSHA[:10]
	h.answered(pull, "comment `/approve preview/pr-1@"+pull.HeadSHA[:7]+"`")
	h.comment(pull, "other", name)
	h.answered(pull, "1 of 2 approvals")
	if err := h.gh.EditPull(repo, pull.Number, "author", "", "", "release"); err != nil {
		t.Fatal(err)
	}
	h.answered(pull, "the pull request goes into release now, and not into main")
	h.comment(pull, "maintainer", name)
	h.quiet()
	if got := h.commits("preview/pr-1"); len(got) != 0 {
		t.Fatalf("the preview got %v", got)
	}
	h.comment(pull, "other", name)
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.ends()
}

func TestOwnersAndAnotherTeamOpenAGateTogetherAndWhoContributedDoesNot(t *testing.T) {
	t.Parallel()
	h := open(t)
	for who, role := range map[string]string{"boss": "write", "keeper": "write", "releaser": "read"} {
		h.gh.AddUser(who)
		h.grant(who, role)
	}
	h.gh.AddTeam("octo", "release", "releaser", "author")
	files := gated("one", "{groups: [{by: [codeowners]}, {by: [\"team:release\"]}], not_contributor: true}")
	files[".github/CODEOWNERS"] = "* @boss\n*.html @keeper\n"
	first := h.push("main", "author", "first", files)
	h.deployed("staging", first)
	talk := h.talk()
	word := "/approve production@" + first[:10]
	h.comment(talk, "maintainer", word)
	h.answered(talk, "may be approved by 1 of codeowners, and 1 of team:release; @maintainer has the role")
	h.comment(talk, "author", word)
	h.answered(talk, "author contributed to what ships")
	h.comment(talk, "boss", word)
	h.answered(talk, "Still missing: 0 of 1 approvals by team:release.")
	h.comment(talk, "releaser", word)
	h.answered(talk, "Still missing: an owner of `page.html` (@keeper).")
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v", got)
	}
	h.comment(talk, "keeper", word)
	h.deployed("production", first)

	pull := h.pull("change", map[string]string{"page.html": "two", "db/migrations/1.sql": "select 1;\n"})
	head := h.push("change", "keeper", "more", map[string]string{"page.html": "three"})
	h.deployed("preview/pr-2", head)
	merged := must(h.gh.Merge(repo, pull.Number, "maintainer"))(t)
	h.deployed("staging", merged)
	for _, words := range []string{
		"What ships</b> to <code>production</code>: 3 commits, 2 files, ⚠️ 1 to look at", "| now | `" + first[:7] + "` |", "- `db/migrations/1.sql` (migration)",
		"Pull requests: 2 by author.", "Who may approve: 1 of codeowners, and 1 of team:release.",
	} {
		h.answered(pull, words)
	}
	h.comment(pull, "keeper", "/approve production")
	h.answered(pull, "keeper contributed to what ships")
	h.ends()
}
