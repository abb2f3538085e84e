package e2e

import "testing"

func TestTheCardShowsTheLockAndAnApprovalThatDidNotSeeItIsVoid(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddUser("other")
	h.grant("other", "maintain")
	first := h.push("main", "author", "first", gated("one", "{by: [maintain], count: 2}"))
	h.deployed("staging", first)
	pull := h.pull("change", map[string]string{"page.html": "two"})
	h.deployed("preview/pr-1", pull.HeadSHA)
	merged := must(h.gh.Merge(repo, pull.Number, "maintainer"))(t)
	h.deployed("staging", merged)
	h.comment(pull, "maintainer", "/approve production@"+merged[:10])
	h.answered(pull, "1 of 2 approvals")
	talk := h.talk()
	h.comment(talk, "author", "/lock production the `fair` of @everyone")
	h.answered(talk, "`production` is locked for #2")
	h.answered(pull, ", 🔒 locked for #2</summary>")
	h.answered(pull, "🔒 The environment is locked for #2 by @author: `the 'fair' of @everyone`.")
	h.comment(pull, "other", "/approve production@"+merged[:10])
	h.answered(pull, "Approved: "+merged[:7])
	h.comment(talk, "author", "/unlock production")
	h.answered(talk, "`production` is not locked any more")
	h.answered(pull, "the one of @maintainer is void: the lock of the environment has changed since")
	h.quiet()
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v on one word that counts", got)
	}
	h.comment(pull, "maintainer", "/approve production@"+merged[:10])
	h.deployed("production", merged) // the other one's word saw the lock, and counts now that it is gone
	h.ends()
}
