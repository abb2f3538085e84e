package e2e

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/test/github"
)

// pull opens a pull request of a new branch.
func (h *house) pull(branch string, files map[string]string) github.Pull {
	h.t.Helper()
	h.push(branch, "author", branch, files)
	return must(h.gh.OpenPull(repo, "author", branch, branch, "main"))(h.t)
}

func (h *house) comment(p github.Pull, who, body string) {
	h.t.Helper()
	must(h.gh.Comment(repo, int(p.Number), who, body))(h.t)
}

// grant gives a person a role in the repository.
func (h *house) grant(login, role string) {
	h.t.Helper()
	if err := h.gh.Grant(repo, login, role); err != nil {
		h.t.Fatal(err)
	}
}

// last is the newest deployment of an environment.
func last(v *github.View, env string) *github.Deployment {
	all := v.Deployments(repo, env)
	if len(all) == 0 {
		return &github.Deployment{}
	}
	return &all[len(all)-1]
}

// deployed waits until an environment's newest deployment is of a commit, and has succeeded.
func (h *house) deployed(env, sha string) (d github.Deployment) {
	h.t.Helper()
	h.wait(env+" with "+sha[:7], func(v *github.View) bool {
		d = *last(v, env)
		return d.SHA == sha && (d.State() == "success" || d.State() == "failure")
	})
	if d.State() != "success" {
		h.t.Fatalf("%s: %s", env, d.Statuses[len(d.Statuses)-1].Description)
	}
	return d
}

// answered waits for a comment that holds words.
func (h *house) answered(p github.Pull, words string) {
	h.t.Helper()
	plain := func(s string) string { return strings.ReplaceAll(s, "\u200b", "") }
	h.wait("the answer: "+words, func(v *github.View) bool {
		for _, c := range v.Comments(repo, p.Number) {
			if strings.Contains(plain(c.Body), words) {
				return true
			}
		}
		return false
	})
}

// serves wants a page in an environment.
func (h *house) serves(env, page string) {
	h.t.Helper()
	got, err := os.ReadFile(filepath.Join(h.site(env), "index.html"))
	if err != nil {
		h.t.Fatal(err)
	}
	if string(got) != page {
		h.t.Fatalf("%s serves %q, not %q", env, got, page)
	}
}

// oneOfEach wants one check run per name and commit, one panel per pull request, one deployment per name.
func (h *house) oneOfEach() {
	h.t.Helper()
	h.gh.Look(func(v *github.View) {
		seen := map[string]int{}
		for _, run := range v.CheckRuns(repo, "") {
			seen["check "+run.Name+" of "+run.HeadSHA]++
			if run.Status != "completed" {
				h.t.Errorf("%s of %s is left %s", run.Name, run.HeadSHA[:7], run.Status)
			}
		}
		for n := int64(1); ; n++ {
			if _, ok := v.Pull(repo, n); !ok {
				break
			}
			for _, c := range v.Comments(repo, n) {
				if strings.HasSuffix(c.Author, "[bot]") && strings.HasPrefix(c.Body, "<!-- conveyor:conveyor/panel -->") {
					seen["panel of "+strings.Repeat("I", int(n))]++
				}
			}
		}
		for _, d := range v.Deployments(repo, "") {
			if p, ok := d.Payload.(map[string]any); ok {
				name, _ := p["deployment"].(string)
				seen["deployment "+name]++
			}
		}
		for what, n := range seen {
			if n != 1 {
				h.t.Errorf("%s: there are %d", what, n)
			}
		}
	})
}
