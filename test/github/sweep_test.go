package github_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
)

// The other tests follow stories; this one goes through the endpoints that
// none of them needs, so that GitHub's description is held against all.
func TestEveryOtherEndpointConforms(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	w.AddMember("acme", "mel")
	w.ok(w.Grant("acme/shop", "wim", "admin"))
	admin := w.AddUser("wim").Token
	w.ok(w.Tag("acme/shop", "v1", "ada", sha))
	w.commit("topic", "ada", map[string]string{"a": "b"})
	p, err := w.OpenPull("acme/shop", "ada", "A", "topic", "main")
	w.ok(err)
	comment, err := w.Comment("acme/shop", int(p.Number), "ada", "hello")
	w.ok(err)
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: sha, Conclusion: gogithub.String("success")})
	w.ok(err)
	none := []string{}
	d, _, err := gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: &sha, Environment: gogithub.String("eu/staging"),
		AutoMerge: gogithub.Bool(false), RequiredContexts: &none})
	w.ok(err)
	state, _, err := gh.Repositories.CreateDeploymentStatus(ctx, "acme", "shop", d.GetID(), &gogithub.DeploymentStatusRequest{State: gogithub.String("queued")})
	w.ok(err)
	id, installation := w.installationID(), ""
	token := w.token(id, nil)
	installation = fmt.Sprint("/app/installations/", id)
	app := w.jwt(nil)
	for _, c := range []struct {
		token, method, path, body string
		want                      int
	}{
		{"", "GET", "/", "", 200},
		{"", "GET", "/apps/" + w.app.Slug, "", 200},
		{app, "GET", "/orgs/acme/installation", "", 200},
		{app, "GET", "/users/acme/installation", "", 404},
		{app, "GET", installation, "", 200},
		{app, "GET", "/app/hook/config", "", 200},
		{token, "GET", "/orgs/acme/memberships/mel", "", 200},
		{token, "GET", "/orgs/acme/members/mel", "", 204},
		{token, "GET", "/repos/acme/shop/collaborators/wim", "", 204},
		{token, "GET", "/repos/acme/shop/collaborators/mel", "", 404},
		{token, "POST", fmt.Sprintf("/repos/acme/shop/check-runs/%d/rerequest", run.GetID()), "", 201},
		{token, "POST", "/repos/acme/shop/check-suites", `{"head_sha":"` + p.HeadSHA + `"}`, 200},
		{token, "GET", "/repos/acme/shop/issues/comments", "", 200},
		{token, "GET", fmt.Sprintf("/repos/acme/shop/deployments/%d", d.GetID()), "", 200},
		{token, "GET", fmt.Sprintf("/repos/acme/shop/deployments/%d/statuses/%d", d.GetID(), state.GetID()), "", 200},
		{token, "GET", "/repos/acme/shop/environments/eu%2Fstaging", "", 200},
		{token, "DELETE", "/repos/acme/shop/environments/eu%2Fstaging", "", 403},
		{admin, "DELETE", "/repos/acme/shop/environments/eu%2Fstaging", "", 204},
		{token, "POST", "/repos/acme/shop/issues", `{"title":"An issue","labels":["bug"]}`, 201},
		{token, "PATCH", "/repos/acme/shop/issues/2", `{"state":"closed"}`, 200},
		{token, "PATCH", "/repos/acme/shop/issues/2", `{"state":"open","labels":["new"],"title":"Another"}`, 200},
		{token, "POST", "/repos/acme/shop/pulls/1/reviews", `{"event":"COMMENT","body":"seen"}`, 200},
		{token, "POST", "/repos/acme/shop/issues/1/reactions", `{"content":"rocket"}`, 201},
		{token, "GET", "/repos/acme/shop/issues/1/reactions", "", 200},
		{token, "GET", "/repos/acme/shop/git/matching-refs/heads/t", "", 200},
		{token, "GET", "/repos/acme/shop/commits/" + sha + "/branches-where-head", "", 200},
		{token, "GET", "/repos/acme/shop/tags", "", 200},
		{token, "DELETE", fmt.Sprintf("/repos/acme/shop/issues/comments/%d", comment.ID), "", 204},
		{app, "PUT", installation + "/suspended", "", 204},
		{app, "DELETE", installation + "/suspended", "", 204},
		{app, "DELETE", installation, "", 204},
	} {
		if got, _, body := w.api(c.token, c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s answered %d, want %d: %v", c.method, c.path, got, c.want, body["message"])
		}
	}
	w.Look(func(v *github.View) {
		if got := v.Labels("acme/shop", 2); !slices.Equal(got, []string{"new"}) {
			t.Errorf("labels %v", got)
		}
		if n := v.CallsTo(http.MethodPatch, "/repos/{owner}/{repo}/issues/{issue_number}"); n != 2 {
			t.Errorf("%d calls that change an issue", n)
		}
		if at := v.CheckRuns("acme/shop", sha)[0].CreatedAt; !at.Equal(w.clock.now()) {
			t.Errorf("the run was made at %s", at)
		}
	})
	w.quiet()
}
