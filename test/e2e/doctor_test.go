package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// table waits for the nth of the doctor's answers, and returns it.
func (h *house) table(p github.Pull, nth int) (body string) {
	h.t.Helper()
	h.wait("the doctor's answer", func(v *github.View) bool {
		seen := 0
		for _, c := range v.Comments(repo, p.Number) {
			if strings.Contains(c.Body, "| what | how it stands |") {
				seen++
				body = c.Body
			}
		}
		return seen == nth
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
	h.gh.Protect(repo, "main", github.Protection{Ruleset: true, Checks: []github.RequiredCheck{{Name: "conveyor / tset", App: "conveyor"}}})
	pull := h.talk()
	h.comment(pull, "reader", "/doctor")
	body := h.table(pull, 1)
	for _, want := range []string{
		"2 failed.", "✅ well | Installation |", "✅ well | Plan |", "1 stage", "✅ well | Environments |", "`preview`, `staging`, `production`",
		"❌ failed | Required checks |", "`conveyor / tset` is required on `main`, and the plan has no such stage",
		"❌ failed | Teams |", "lets `ghosts` approve",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}

	// A mistake in the plan is found at the default branch, whatever the pull request holds.
	h.gh.Protect(repo, "main", github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test", App: "conveyor"}}})
	h.push("main", "author", "A mistake", map[string]string{".github/conveyor.yml": "version: 1\nstagse: []\n"})
	h.comment(pull, "reader", "/doctor")
	body = h.table(pull, 2)
	for _, want := range []string{"1 failed.", "❌ failed | Plan |", "line 1, column 1", "✅ well | Required checks |", "until the default branch has a good plan"} {
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

func TestTheDoctorSaysHowManyRepositoriesItHasLookedInto(t *testing.T) {
	t.Parallel()
	h := found(t)
	var more []string
	for i := range 11 {
		more = append(more, fmt.Sprintf("more-%d", i))
		must(h.gh.CreateRepo("octo", more[i], true))(t)
	}
	if err := h.gh.ChangeRepos(h.at.ID, more, nil); err != nil {
		t.Fatal(err)
	}
	child := h.serve()
	defer child.stop()
	_, out := say(t, child.cmd.Env, "conveyor", "doctor")
	if !strings.Contains(out, "looked into 12 of 12 repositories\n") || !strings.Contains(out, "Repositories: All 12 were looked into.") {
		t.Errorf("it says\n%s", out)
	}
}
