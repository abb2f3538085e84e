package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// table waits for the answer to a command, and returns it.
func (h *house) table(p github.Pull, heading string) (body string) {
	h.t.Helper()
	h.wait("the answer "+heading, func(v *github.View) bool {
		for _, c := range v.Comments(repo, p.Number) {
			if strings.Contains(c.Body, heading) && strings.Contains(c.Body, "| what | how it stands |") {
				body = c.Body
				return true
			}
		}
		return false
	})
	return body
}

func TestWhoeverMayReadAsksTheDoctorWhatARepositoryLacks(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.AddTeam("octo", "release", "maintainer")
	files := withSites("one")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "by: [maintain]", "by: [team:release, team:ghosts]", 1)
	h.deployed("staging", h.push("main", "author", "first", files))
	h.gh.Protect(repo, "main", github.Protection{Ruleset: true, Queue: true, Checks: []github.RequiredCheck{{Name: "conveyor / tset", App: "conveyor"}}})
	pull := h.talk()
	h.comment(pull, "reader", "/doctor")
	body := h.table(pull, "3 failed.")
	for _, want := range []string{
		"✅ well | Installation |", "✅ well | Plan |", "is good: 1 stage", "✅ well | Environments |", "`preview`, `staging`, `production`",
		"❌ failed | Required checks |", "`conveyor / tset` is required on `main`, and the plan has no such stage",
		"❌ failed | Merge queue |", "❌ failed | Teams |", "lets `ghosts` approve",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}

	// A mistake in the plan is found at the default branch, whatever the pull request holds.
	h.gh.Protect(repo, "main", github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test", App: "conveyor"}}})
	h.push("main", "author", "A mistake", map[string]string{".github/conveyor.yml": "version: 1\nstagse: []\n"})
	h.comment(pull, "reader", "/doctor")
	body = h.table(pull, "1 failed.")
	for _, want := range []string{"❌ failed | Plan |", "line 2, column 1", "✅ well | Required checks |", "⚠️ look | Environments |"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}
	h.ends()
}

func TestWhoMayNotReadIsToldNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	pull := h.talk()
	h.gh.AddUser("stranger")
	h.comment(pull, "stranger", "/doctor")
	h.answered(pull, "needs the role read")
}
