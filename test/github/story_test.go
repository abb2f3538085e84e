package github_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v60/github"
)

// registerByBrowser posts the manifest as the set-up page does and returns
// the code that comes back.
func (w *world) registerByBrowser(at string, m any) (*http.Response, string) {
	w.t.Helper()
	text, err := json.Marshal(m)
	w.ok(err)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(w.URL()+at, url.Values{"manifest": {string(text)}})
	w.ok(err)
	_ = res.Body.Close()
	to, err := url.Parse(res.Header.Get("Location"))
	w.ok(err)
	if got := to.Query().Get("state"); res.StatusCode == http.StatusFound && got != "xyz" {
		w.t.Errorf("state came back as %q", got)
	}
	return res, to.Query().Get("code")
}

func TestAnAppIsRegisteredInstalledAndTellsOfAPush(t *testing.T) {
	w := start(t)
	ctx := context.Background()
	res, code := w.registerByBrowser("/organizations/acme/settings/apps/new?state=xyz", map[string]any{
		"name": "Conveyor", "url": "https://conveyor.example", "redirect_url": "http://localhost/setup/done?x=1",
		"hook_attributes": map[string]any{"url": w.inbox.URL, "active": true},
		"default_permissions": map[string]string{"checks": "write", "deployments": "write", "pull_requests": "write", "issues": "write",
			"contents": "read", "metadata": "read", "members": "read"},
		"default_events": []string{"push", "pull_request", "issue_comment", "deployment", "deployment_status"},
	})
	if res.StatusCode != http.StatusFound || code == "" {
		t.Fatalf("registering answered %s to %s", res.Status, res.Header.Get("Location"))
	}
	config, _, err := w.with("").Apps.CompleteAppManifest(ctx, code)
	w.ok(err)
	if _, _, err := w.with("").Apps.CompleteAppManifest(ctx, code); err == nil {
		t.Error("a code was good twice")
	}
	w.app.ID, w.app.PEM, w.app.Slug = config.GetID(), config.GetPEM(), config.GetSlug()

	w.must(w.CreateRepo("acme", "shop", true))
	w.must(w.InstallApp(config.GetSlug(), "acme"))
	found, _, err := w.asApp().Apps.FindRepositoryInstallation(ctx, "acme", "shop")
	w.ok(err)
	gh := w.installation(found.GetID(), nil)

	first := w.commit("main", "ada", map[string]string{"README.md": "one\n", "src/a.txt": "a\n"})
	head := w.commit("topic", "ada", map[string]string{"src/a.txt": "b\n"})
	pull, err := w.OpenPull("acme/shop", "ada", "A change", "topic", "main")
	w.ok(err)
	head2 := w.commit("topic", "ada", map[string]string{"new.txt": "new\n"})

	// A check run, from queued to done with an annotation and a button.
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: head2, Status: gogithub.String("in_progress"),
		ExternalID: gogithub.String("run-1"), DetailsURL: gogithub.String("https://conveyor.example/runs/1")})
	w.ok(err)
	run, _, err = gh.Checks.UpdateCheckRun(ctx, "acme", "shop", run.GetID(), gogithub.UpdateCheckRunOptions{Name: "unit", Conclusion: gogithub.String("success"),
		Output: &gogithub.CheckRunOutput{Title: gogithub.String("Passed"), Summary: gogithub.String("all of it"), Annotations: []*gogithub.CheckRunAnnotation{{
			Path: gogithub.String("src/a.txt"), StartLine: gogithub.Int(1), EndLine: gogithub.Int(1), AnnotationLevel: gogithub.String("notice"), Message: gogithub.String("seen")}}},
		Actions: []*gogithub.CheckRunAction{{Label: "Approve", Description: "Let it go to production", Identifier: "approve"}}})
	w.ok(err)
	if run.GetStatus() != "completed" || len(run.PullRequests) != 1 || run.PullRequests[0].GetNumber() != int(pull.Number) {
		t.Errorf("the run is %s for %d pull requests", run.GetStatus(), len(run.PullRequests))
	}
	w.ok(w.RequestAction("acme/shop", run.GetID(), "approve", "ada"))
	w.ok(w.RerequestCheck("acme/shop", run.GetID(), "ada"))

	// A comment, an answer to it and a reaction.
	asked, err := w.Comment("acme/shop", int(pull.Number), "ada", "/approve production")
	w.ok(err)
	reaction, res1, err := gh.Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", asked.ID, "eyes")
	w.ok(err)
	again, res2, err := gh.Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", asked.ID, "eyes")
	w.ok(err)
	if res1.StatusCode != http.StatusCreated || res2.StatusCode != http.StatusOK || reaction.GetID() != again.GetID() {
		t.Errorf("the same reaction twice answered %d and %d", res1.StatusCode, res2.StatusCode)
	}
	answered, _, err := gh.Issues.CreateComment(ctx, "acme", "shop", int(pull.Number), &gogithub.IssueComment{Body: gogithub.String("on its way")})
	w.ok(err)
	if answered.GetUser().GetLogin() != "conveyor[bot]" || answered.GetUser().GetType() != "Bot" {
		t.Errorf("the App comments as %s", answered.GetUser().GetLogin())
	}
	_, _, err = gh.Issues.EditComment(ctx, "acme", "shop", answered.GetID(), &gogithub.IssueComment{Body: gogithub.String("there")})
	w.ok(err)

	// A deployment.
	none := []string{}
	deployment, _, err := gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: &head2, Environment: gogithub.String("preview"),
		AutoMerge: gogithub.Bool(false), RequiredContexts: &none, TransientEnvironment: gogithub.Bool(true), Payload: map[string]any{"digest": "sha256:abc"}})
	w.ok(err)
	for _, state := range []string{"in_progress", "success"} {
		_, _, err = gh.Repositories.CreateDeploymentStatus(ctx, "acme", "shop", deployment.GetID(), &gogithub.DeploymentStatusRequest{State: &state,
			EnvironmentURL: gogithub.String("https://preview.example")})
		w.ok(err)
	}

	merged, err := w.Merge("acme/shop", pull.Number, "ada")
	w.ok(err)
	got, _, err := gh.PullRequests.Get(ctx, "acme", "shop", int(pull.Number))
	w.ok(err)
	if !got.GetMerged() || got.GetMergeCommitSHA() != merged || got.GetChangedFiles() != 2 || got.GetCommits() != 2 {
		t.Errorf("merged %v as %s with %d files in %d commits", got.GetMerged(), got.GetMergeCommitSHA(), got.GetChangedFiles(), got.GetCommits())
	}
	w.quiet()
	want := []string{"ping", "installation.created", "push", "check_suite.requested", "push", "check_suite.requested", "pull_request.opened", "push",
		"check_suite.requested", "pull_request.synchronize", "check_run.created", "check_run.completed", "check_suite.completed", "check_run.requested_action",
		"check_run.rerequested", "issue_comment.created", "issue_comment.created", "issue_comment.edited", "deployment.created", "deployment_status.created",
		"deployment_status.created", "pull_request.closed", "push", "check_suite.requested"}
	if names := w.inbox.names(); !slices.Equal(names, want) {
		t.Errorf("heard\n %s\nwant\n %s", strings.Join(names, " "), strings.Join(want, " "))
	}
	push, _ := w.inbox.last("push")
	if push.payload["after"] != merged || push.payload["before"] != first {
		t.Errorf("the merge was pushed as %v..%v", push.payload["before"], push.payload["after"])
	}
	if sum := sha256Sign(config.GetWebhookSecret(), push.raw); push.header.Get("X-Hub-Signature-256") != sum {
		t.Errorf("signed %s, want %s", push.header.Get("X-Hub-Signature-256"), sum)
	}
	for _, h := range w.inbox.got {
		if _, err := gogithub.ParseWebHook(h.event, h.raw); err != nil {
			t.Errorf("go-github cannot read %s: %v", h.name(), err)
		}
	}
	l := w.Ledger()
	if len(l.Deployments) != 1 || l.Deployments[0].Digest != "sha256:abc" || !slices.Equal(l.Deployments[0].States, []string{"in_progress", "success"}) {
		t.Errorf("the ledger has deployments %+v", l.Deployments)
	}
	_ = head
}
