package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	local "github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

const (
	checkRuns     = "/repos/{owner}/{repo}/check-runs"
	oneCheckRun   = "/repos/{owner}/{repo}/check-runs/{check_run_id}"
	deployments   = "/repos/{owner}/{repo}/deployments"
	statuses      = "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"
	issueComments = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
	slug          = "acme/shop"
)

// company is a GitHub with a repository in it, and our App installed.
type company struct {
	*local.Server
	app          *github.App
	in           *github.Installation
	registered   local.App
	installation int64
	repo         pipeline.Repo
	commit       pipeline.Commit
}

func newCompany(t *testing.T) *company {
	t.Helper()
	checker := &conform.Checker{EveryRequest: true}
	s, err := local.Start(local.Options{Dir: t.TempDir(), Wrap: checker.Wrap})
	must(t, err)
	t.Cleanup(func() {
		_ = s.Close()
		for _, v := range checker.Violations() {
			if !strings.Contains(v, " /api/v3/repositories/") { // where GitHub sends those who ask by an old name; described nowhere
				t.Errorf("not as GitHub describes its API: %s", v)
			}
		}
		if checker.Checked() == 0 {
			t.Error("no call was checked")
		}
	})
	s.AddOrg("acme", "ada")
	repo, err := s.CreateRepo("acme", "shop", true)
	must(t, err)
	commit, err := s.Commit(slug, "main", "ada", "first", map[string]string{"README.md": "hello\n"})
	must(t, err)
	registered, err := s.RegisterApp("acme", local.Manifest{Name: "Conveyor", URL: "https://conveyor.example", DefaultPermissions: map[string]string{
		"checks": "write", "deployments": "write", "pull_requests": "write", "issues": "write", "contents": "read", "metadata": "read", "members": "read",
	}})
	must(t, err)
	installed, err := s.InstallApp(registered.Slug, "acme")
	must(t, err)
	app, err := github.New(github.Config{APIURL: s.APIURL(), WebURL: s.URL(), AppID: registered.ID, PrivateKey: []byte(registered.PEM)})
	must(t, err)
	return &company{
		Server: s, app: app, in: app.Installation(installed.ID), registered: registered, installation: installed.ID,
		repo:   pipeline.Repo{ID: repo.ID, Owner: "acme", Name: "shop", Installation: installed.ID, Branch: "main"},
		commit: pipeline.Commit(commit),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unheard demands that the write may have been done, as far as we know.
func unheard(t *testing.T, err error) {
	t.Helper()
	var u *github.Unavailable
	if !errors.As(err, &u) || !u.Unknown {
		t.Fatalf("got %v, want *Unavailable with Unknown", err)
	}
}

func (c *company) check() github.CheckRun {
	run := check()
	run.Commit = c.commit
	return run
}

func (c *company) pull(t *testing.T) int {
	t.Helper()
	_, err := c.Commit(slug, "topic", "ada", "change", map[string]string{"a.txt": "a\n"})
	must(t, err)
	p, err := c.OpenPull(slug, "ada", "A change", "topic", "main")
	must(t, err)
	return int(p.Number)
}

func TestACheckRunIsToldFromQueueToEnd(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	run := c.check()
	run.Status = pipeline.Queued
	id, _, err := c.in.UpsertCheck(ctx, c.repo, run)
	must(t, err)
	run.ID, run.Status, run.Conclusion, run.Title = id, pipeline.Completed, pipeline.Failure, "1 of 2 steps passed"
	run.Annotations = manyAnnotations(201)
	run.Summary = strings.Repeat("日本語", 25_000)
	again, confirmed, err := c.in.UpsertCheck(ctx, c.repo, run)
	must(t, err)
	if again != id || confirmed != 200 {
		t.Fatalf("id %d, then %d with %d annotations", id, again, confirmed)
	}
	c.Look(func(v *local.View) {
		all := v.CheckRuns(slug, string(c.commit))
		if len(all) != 1 || all[0].Conclusion != "failure" || len(all[0].Annotations) != 200 || all[0].ExternalID != run.ExternalID {
			t.Errorf("%d check runs: %+v", len(all), all)
		}
		if summary := all[0].Summary; len(summary) > 65_535 || !utf8.ValidString(summary) {
			t.Errorf("a summary of %d bytes", len(summary))
		}
	})
}

func TestACheckRunThatWasMadeUnheardIsAdopted(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	another := func(external string) { // run of the same commit
		run := c.check()
		run.ExternalID = external
		_, _, err := c.in.UpsertCheck(ctx, c.repo, run)
		must(t, err)
	}
	another("run/501/older conveyor / test")
	c.Inject(local.Fault{Method: http.MethodPost, Route: checkRuns, Times: 1, Cut: true})
	run := c.check()
	run.Annotations = manyAnnotations(51)
	id, confirmed, err := c.in.UpsertCheck(ctx, c.repo, run)
	unheard(t, err)
	if id != 0 || confirmed != 0 {
		t.Fatalf("id %d, %d confirmed", id, confirmed)
	}
	another("run/501/newer conveyor / test")
	run.Unknown = true
	id, confirmed, err = c.in.UpsertCheck(ctx, c.repo, run)
	must(t, err)
	c.Look(func(v *local.View) {
		all := v.CheckRuns(slug, string(c.commit))
		if len(all) != 3 || confirmed != 51 {
			t.Fatalf("%d check runs, %d confirmed", len(all), confirmed)
		}
		for _, one := range all {
			if one.ExternalID == run.ExternalID && (one.ID != id || len(one.Annotations) != 51) {
				t.Errorf("check run %d has %d annotations, we hold %d", one.ID, len(one.Annotations), id)
			}
		}
	})
}

func TestAnnotationsThatWereAddedUnheardAreNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, fault := range []local.Fault{{Cut: true}, {Lost: true}} {
		c, ctx := newCompany(t), testContext(t)
		fault.Method, fault.Route, fault.Times, fault.Skip = http.MethodPatch, oneCheckRun, 1, 1
		c.Inject(fault)
		run := c.check()
		run.Annotations = manyAnnotations(180)
		id, confirmed, err := c.in.UpsertCheck(ctx, c.repo, run)
		unheard(t, err)
		if id == 0 || confirmed != 100 {
			t.Fatalf("id %d, %d confirmed", id, confirmed)
		}
		run.ID, run.Confirmed, run.Unknown = id, confirmed, true
		if _, confirmed, err = c.in.UpsertCheck(ctx, c.repo, run); err != nil || confirmed != 180 {
			t.Fatalf("%d confirmed, %v", confirmed, err)
		}
		c.Look(func(v *local.View) {
			one, _ := v.CheckRun(slug, string(c.commit), run.Name)
			seen := map[string]bool{}
			for _, a := range one.Annotations {
				seen[a.Message] = true
			}
			if len(one.Annotations) != 180 || len(seen) != 180 {
				t.Errorf("%+v: %d annotations, %d different ones", fault, len(one.Annotations), len(seen))
			}
		})
	}
}

func (c *company) deployment() github.Deployment {
	return github.Deployment{
		Name: "deploy/501/7", Run: "run/501/guid", Approval: "a-1", Commit: c.commit, Environment: "production", Production: true,
		Digest: "sha256:" + pipeline.Digest(strings.Repeat("0", 64)), Description: "Release",
	}
}

func TestADeploymentThatWasMadeUnheardIsAdopted(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	d := c.deployment()
	another := func(name string) { // deployment of the same commit
		d.Name = name
		_, err := c.in.UpsertDeployment(ctx, c.repo, d)
		must(t, err)
	}
	another("deploy/501/6")
	c.Inject(local.Fault{Method: http.MethodPost, Route: deployments, Times: 1, Cut: true})
	d = c.deployment()
	_, err := c.in.UpsertDeployment(ctx, c.repo, d)
	unheard(t, err)
	another("deploy/501/8")
	// Somebody else who may deploy plants our name.
	forged := fmt.Sprintf(`{"ref":%q,"auto_merge":false,"required_contexts":[],"environment":"production","payload":{"deployment":"deploy/501/7"}}`, c.commit)
	if status := c.as(t, c.AddUser("ada").Token, http.MethodPost, "repos/acme/shop/deployments", forged); status != http.StatusCreated {
		t.Fatalf("the forged deployment was answered with %d", status)
	}
	d = c.deployment()
	d.Unknown = true
	id, err := c.in.UpsertDeployment(ctx, c.repo, d)
	must(t, err)
	c.Look(func(v *local.View) {
		ours := 0
		for _, one := range v.Deployments(slug, "production") {
			if one.ID == id {
				ours++
				planted, _ := one.Payload.(map[string]any)
				if planted["deployment"] != d.Name || one.SHA != string(c.commit) || !one.Production || one.Digest != string(d.Digest) || one.Creator != c.registered.Slug+"[bot]" {
					t.Errorf("%+v", one)
				}
			}
		}
		if n := len(v.Deployments(slug, "production")); n != 4 || ours != 1 {
			t.Errorf("%d deployments, %d adopted", n, ours)
		}
	})
}

func TestAStateThatWasToldUnheardIsNotToldAgain(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	id, err := c.in.UpsertDeployment(ctx, c.repo, c.deployment())
	must(t, err)
	tell := func(state string, unknown bool) error {
		return c.in.SetDeploymentState(ctx, c.repo, id, github.State{
			State: state, Unknown: unknown, Description: strings.Repeat("é", 200), LogURL: "https://ci.example/log", EnvironmentURL: "https://shop.example",
		})
	}
	must(t, tell("in_progress", false))
	c.Inject(local.Fault{Method: http.MethodPost, Route: statuses, Times: 1, Cut: true})
	unheard(t, tell("success", false))
	must(t, tell("success", true))
	must(t, tell("success", true))
	must(t, tell("inactive", true))
	c.Look(func(v *local.View) {
		var states []string
		for _, s := range v.Deployments(slug, "production")[0].Statuses {
			states = append(states, s.State)
		}
		if fmt.Sprint(states) != "[in_progress success inactive]" {
			t.Errorf("told %v", states)
		}
	})
}

func TestOneCommentStaysWhateverHappens(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	number := c.pull(t)
	comment := github.Comment{Marker: "deploy/preview", Body: "Building"}
	_, err := c.Comment(slug, number, "mallory", "<!-- conveyor:deploy/preview -->\nnot ours")
	must(t, err)
	comments := func(want ...string) {
		t.Helper()
		var got []string
		c.Look(func(v *local.View) {
			for _, one := range v.Comments(slug, int64(number)) {
				got = append(got, one.Author+": "+strings.TrimPrefix(one.Body, "<!-- conveyor:deploy/preview -->\n"))
			}
		})
		if want = append([]string{"mallory: not ours"}, want...); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("comments %q, want %q", got, want)
		}
	}
	bot := c.registered.Slug + "[bot]: "

	c.Inject(local.Fault{Method: http.MethodPost, Route: issueComments, Times: 2, Cut: true})
	for range 2 { // twice without knowing: two comments
		_, err = c.in.UpsertComment(ctx, c.repo, number, comment)
		unheard(t, err)
	}
	comments(bot+"Building", bot+"Building")
	other, err := c.in.UpsertComment(ctx, c.repo, number, github.Comment{Marker: "deploy/preview2", Body: "other"})
	must(t, err)
	comment.Body, comment.Unknown = "Built", true
	id, err := c.in.UpsertComment(ctx, c.repo, number, comment)
	must(t, err)
	comments(bot+"Built", bot+"<!-- conveyor:deploy/preview2 -->\nother")
	must(t, c.DeleteComment(slug, other, "ada"))

	comment.ID, comment.Unknown, comment.Body = id, false, "Deployed"
	again, err := c.in.UpsertComment(ctx, c.repo, number, comment)
	must(t, err)
	comments(bot + "Deployed")
	if again != id {
		t.Fatalf("comment %d became %d", id, again)
	}
	must(t, c.DeleteComment(slug, id, "ada"))
	if again, err = c.in.UpsertComment(ctx, c.repo, number, comment); err != nil || again == id {
		t.Fatalf("deleted comment %d became %d, %v", id, again, err)
	}
	comments(bot + "Deployed")
}

func TestAReactionIsThereOnce(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	number := c.pull(t)
	comment, err := c.Comment(slug, number, "ada", "/approve production")
	must(t, err)
	for range 2 {
		must(t, c.in.React(ctx, c.repo, comment.ID, "eyes"))
	}
	c.Look(func(v *local.View) {
		if got := v.Comments(slug, int64(number))[0].Reactions; len(got) != 1 || got[0].Content != "eyes" {
			t.Errorf("%+v", got)
		}
	})
}

func TestRolesAndTeamsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	id := map[string]int64{}
	for _, login := range []string{"ada", "reader", "triager", "writer", "maintainer", "stranger", "releaser"} {
		id[login] = c.AddUser(login).ID
	}
	for login, role := range map[string]string{"reader": "read", "triager": "triage", "writer": "write", "maintainer": "maintain"} {
		must(t, c.Grant(slug, login, role))
	}
	for login, want := range map[string]pipeline.Role{
		"ada": pipeline.Admin, "reader": pipeline.Read, "triager": pipeline.Triage, "writer": pipeline.Write, "maintainer": pipeline.Maintain, "stranger": pipeline.NoRole,
	} {
		if got, err := c.in.Role(ctx, c.repo, login, id[login]); err != nil || got != want {
			t.Errorf("%s has %q, %v; want %q", login, got, err, want)
		}
	}
	if got, err := c.in.Role(ctx, c.repo, "ada", id["stranger"]); err != nil || got != pipeline.NoRole {
		t.Errorf("a stranger with ada's login has %q, %v", got, err)
	}
	if got, err := c.in.Role(ctx, c.repo, "nobody-of-that-name", 1); err != nil || got != pipeline.NoRole {
		t.Errorf("nobody has %q, %v", got, err)
	}
	c.AddTeam("acme", "release", "releaser")
	for login, want := range map[string]bool{"releaser": true, "ada": false, "stranger": false} {
		if got, err := c.in.TeamMember(ctx, "acme", "release", login, id[login]); err != nil || got != want {
			t.Errorf("%s is a member: %v, %v", login, got, err)
		}
	}
	if got, err := c.in.TeamMember(ctx, "acme", "release", "releaser", id["stranger"]); err != nil || got {
		t.Errorf("a stranger with the login of a member is one: %v, %v", got, err)
	}
	if got, err := c.in.TeamMember(ctx, "acme", "no-such-team", "releaser", id["releaser"]); err != nil || got {
		t.Errorf("a team that is not there has a member: %v, %v", got, err)
	}
}

func TestAPullRequestIsReadAsItStands(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	number := c.pull(t)
	p, err := c.in.Pull(ctx, c.repo, number)
	must(t, err)
	if p.State != "open" || p.Merged || p.MergeCommit != "" || !p.Head.Valid() || p.HeadRepo != c.repo.ID || p.Base != "main" || p.Author.ID != c.AddUser("ada").ID || p.Author.Login != "ada" {
		t.Errorf("open: %+v", p)
	}
	merged, err := c.Merge(slug, int64(number), "ada")
	must(t, err)
	if p, err = c.in.Pull(ctx, c.repo, number); err != nil || p.State != "closed" || !p.Merged || string(p.MergeCommit) != merged {
		t.Errorf("merged: %+v, %v", p, err)
	}
}

func TestARenamedRepositoryGoesOnAndItsOldNamesNewOwnerGainsNothing(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	ada := c.AddUser("ada").ID
	must(t, c.Rename(slug, "store", "ada"))
	id, _, err := c.in.UpsertCheck(ctx, c.repo, c.check())
	if err != nil || id == 0 {
		t.Fatalf("a write: %d, %v", id, err)
	}
	if role, err := c.in.Role(ctx, c.repo, "ada", ada); err != nil || role != pipeline.Admin {
		t.Fatalf("a read: %q, %v", role, err)
	}
	now, err := c.in.Repo(ctx, "acme", "shop")
	if err != nil || now.ID != c.repo.ID || now.Name != "store" || now.Branch != "main" || now.Installation != c.installation {
		t.Fatalf("%+v, %v", now, err)
	}
	_, err = c.CreateRepo("acme", "shop", true)
	must(t, err)
	mallory := c.AddUser("mallory").ID
	must(t, c.Grant(slug, "mallory", "admin"))
	if role, err := c.in.Role(ctx, c.repo, "mallory", mallory); role != pipeline.NoRole || !errors.Is(err, github.ErrGone) {
		t.Fatalf("the new owner of the old name has %q, %v", role, err)
	}
}

func TestWhatWasSuspendedOrUninstalledIsGone(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	tell := func() error { _, _, err := c.in.UpsertCheck(ctx, c.repo, c.check()); return err }
	must(t, tell())
	must(t, c.Suspend(c.installation))
	if err := tell(); !errors.Is(err, github.ErrGone) || !strings.Contains(err.Error(), "suspended") {
		t.Fatalf("suspended: %v", err)
	}
	asked := len(c.Calls())
	if err := tell(); !errors.Is(err, github.ErrSuspended) || errors.Is(err, github.ErrGone) || len(c.Calls()) != asked {
		t.Fatalf("still suspended, after %d more calls: %v", len(c.Calls())-asked, err)
	}
	must(t, c.Unsuspend(c.installation))
	must(t, c.in.Resume(ctx))
	must(t, tell())
	must(t, c.Uninstall(c.installation))
	if err := tell(); !errors.Is(err, github.ErrGone) || !strings.Contains(err.Error(), "not installed") {
		t.Fatalf("uninstalled: %v", err)
	}
	if _, err := c.in.Token(ctx, c.repo, "run/1"); !errors.Is(err, github.ErrGone) {
		t.Fatalf("a token for git: %v", err)
	}
}

func TestATokenForGitOpensOneRepositoryUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	_, err := c.CreateRepo("acme", "payroll", true)
	must(t, err)
	_, err = c.Commit("acme/payroll", "main", "ada", "secret", map[string]string{"a": "b"})
	must(t, err)
	token, err := c.in.Token(ctx, c.repo, "run/1")
	must(t, err)
	open := func(name string) int {
		repo := c.repo
		repo.Name = name
		url, err := c.app.CloneURL(repo)
		must(t, err)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/info/refs?service=git-upload-pack", nil)
		must(t, err)
		req.SetBasicAuth("x-access-token", token.Value.Reveal())
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	if shop, payroll := open("shop"), open("payroll"); shop != 200 || payroll == 200 {
		t.Fatalf("shop %d, payroll %d", shop, payroll)
	}
	must(t, c.in.Release(ctx, c.repo, "run/1"))
	if shop := open("shop"); shop == 200 {
		t.Fatal("a revoked token still opens the repository")
	}
	if status := c.as(t, token.Value.Reveal(), http.MethodPost, "repos/acme/shop/check-runs", fmt.Sprintf(`{"name":"x","head_sha":%q}`, c.commit)); status == http.StatusCreated {
		t.Fatal("a token for git writes")
	}
}

func TestWeKnowWhoWeAre(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	self, err := c.in.Self(ctx)
	must(t, err)
	number := c.pull(t)
	id, err := c.in.UpsertComment(ctx, c.repo, number, github.Comment{Marker: "m", Body: "hello"})
	must(t, err)
	c.Look(func(v *local.View) {
		one := v.Comments(slug, int64(number))[0]
		if one.ID != id || one.Author != self.Login || self.Login != c.registered.Slug+"[bot]" || self.UserID == 0 || self.UserID == self.AppID {
			t.Errorf("%+v wrote as %q", self, one.Author)
		}
	})
}

// as asks the API directly.
func (c *company) as(t *testing.T, token, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, c.APIURL()+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

func TestAnAppMadeFromAManifestCanSpeakAtOnce(t *testing.T) {
	t.Parallel()
	c, ctx := newCompany(t), testContext(t)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"manifest": {`{"name":"Second","url":"https://conveyor.example","redirect_url":"https://conveyor.example/made","hook_attributes":{"url":"https://conveyor.example/hook"},"default_permissions":{"checks":"write","metadata":"read"}}`}}
	resp, err := browser.PostForm(c.URL()+"/organizations/acme/settings/apps/new?state=s", form)
	must(t, err)
	resp.Body.Close()
	to, err := resp.Location()
	must(t, err)
	made, err := github.ConvertManifest(ctx, c.APIURL(), nil, to.Query().Get("code"))
	must(t, err)
	if _, err = github.ConvertManifest(ctx, c.APIURL(), nil, to.Query().Get("code")); err == nil || !strings.Contains(err.Error(), "begin the set-up again") {
		t.Errorf("a code was good twice: %v", err)
	}
	installed, err := c.InstallApp(made.Slug, "acme")
	must(t, err)
	app, err := github.New(github.Config{APIURL: c.APIURL(), WebURL: c.URL(), AppID: made.AppID, PrivateKey: []byte(made.PEM.Reveal())})
	must(t, err)
	if _, _, err = app.Installation(installed.ID).UpsertCheck(ctx, c.repo, c.check()); err != nil {
		t.Error(err)
	}
	// What was not granted is refused, with what to do about it.
	_, err = app.Installation(installed.ID).UpsertDeployment(ctx, c.repo, c.deployment())
	var refused *github.Refused
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(err.Error(), "must accept them") {
		t.Errorf("got %v", err)
	}
}
