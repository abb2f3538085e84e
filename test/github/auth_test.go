package github_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestAManifestThatGitHubRefusesIsRefused(t *testing.T) {
	w := start(t)
	good := func() map[string]any {
		return map[string]any{"name": "Conveyor", "url": "https://conveyor.example", "redirect_url": "http://localhost/done",
			"hook_attributes": map[string]any{"url": "https://conveyor.example/hooks"}, "default_permissions": map[string]string{"contents": "read"},
			"default_events": []string{"push"}}
	}
	for name, change := range map[string]func(map[string]any){
		"a secret in hook_attributes": func(m map[string]any) { m["hook_attributes"].(map[string]any)["secret"] = "s" },
		"no url":                      func(m map[string]any) { delete(m, "url") },
		"a bad redirect":              func(m map[string]any) { m["redirect_url"] = "/done" },
		"no redirect":                 func(m map[string]any) { delete(m, "redirect_url") },
		"an installation event":       func(m map[string]any) { m["default_events"] = []string{"installation"} },
		"an installation_repositories event": func(m map[string]any) {
			m["default_events"] = []string{"push", "installation_repositories"}
		},
		"an event without its permission": func(m map[string]any) { m["default_events"] = []string{"check_run"} },
		"an unknown permission": func(m map[string]any) {
			m["default_permissions"] = map[string]string{"contents": "read", "everything": "write"}
		},
		"an unknown level":   func(m map[string]any) { m["default_permissions"] = map[string]string{"contents": "some"} },
		"a long name":        func(m map[string]any) { m["name"] = strings.Repeat("n", 35) },
		"a hook without url": func(m map[string]any) { m["hook_attributes"] = map[string]any{"active": true} },
	} {
		m := good()
		change(m)
		if res, code := w.registerByBrowser("/settings/apps/new?state=xyz", m); res.StatusCode != http.StatusUnprocessableEntity || code != "" {
			t.Errorf("%s: answered %s", name, res.Status)
		}
	}
	if res, code := w.registerByBrowser("/settings/apps/new?state=xyz", good()); res.StatusCode != http.StatusFound || code == "" {
		t.Fatalf("the good one: answered %s", res.Status)
	}
	if res, _ := w.registerByBrowser("/settings/apps/new?state=xyz", good()); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a name that is taken: answered %s", res.Status)
	}
}

func TestAManifestCodeIsGoodForAnHour(t *testing.T) {
	w := start(t)
	_, code := w.registerByBrowser("/settings/apps/new?state=xyz", map[string]any{"name": "Late", "url": "https://a.example", "redirect_url": "http://localhost/"})
	w.clock.advance(time.Hour)
	if _, res, err := w.with("").Apps.CompleteAppManifest(context.Background(), code); err == nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("after an hour the code answered %v", res.Status)
	}
}

func TestAWrongJWTIsAnsweredInGitHubsWords(t *testing.T) {
	w, _, _ := ready(t)
	now := w.clock.now()
	for name, c := range map[string]struct {
		token  string
		status int
		text   string
	}{
		"expired":           {w.jwt(func(m jwt.MapClaims) { m["exp"] = now.Add(-time.Second).Unix() }), 401, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"},
		"too long":          {w.jwt(func(m jwt.MapClaims) { m["exp"] = now.Add(11 * time.Minute).Unix() }), 401, "'Expiration time' claim ('exp') is too far in the future"},
		"from the future":   {w.jwt(func(m jwt.MapClaims) { m["iat"] = now.Add(time.Minute).Unix() }), 401, "'Issued at' claim ('iat') must be an Integer"},
		"without iat":       {w.jwt(func(m jwt.MapClaims) { delete(m, "iat") }), 401, "'Issued at' claim"},
		"of another App":    {w.jwt(func(m jwt.MapClaims) { m["iss"] = "1" }), 404, "Integration not found"},
		"no JWT":            {"abc", 401, "Bad credentials"},
		"a broken JWT":      {"a.b.c", 401, "A JSON web token could not be decoded"},
		"a bad signature":   {w.jwt(nil)[:len(w.jwt(nil))-8] + "AAAAAAAA", 401, "A JSON web token could not be decoded"},
		"signed with HS256": {hs256(t, w), 401, "A JSON web token could not be decoded"},
	} {
		status, _, body := w.api(c.token, "GET", "/app", "")
		if message, _ := body["message"].(string); status != c.status || !strings.Contains(message, c.text) {
			t.Errorf("%s: answered %d %q", name, status, message)
		}
	}
	if status, _, _ := w.api(w.jwt(func(m jwt.MapClaims) { m["iss"] = w.app.ClientID }), "GET", "/app", ""); status != http.StatusOK {
		t.Errorf("the client id as issuer answered %d", status)
	}
}

// hs256 signs with the public half as if it were a shared secret.
func hs256(t *testing.T, w *world) string {
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": w.app.ID, "iat": w.clock.now().Unix(), "exp": w.clock.now().Add(time.Minute).Unix()}).SignedString([]byte(w.app.PEM))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestARotatedKeyWorksAndTheOldOneNoLonger(t *testing.T) {
	w, _, _ := ready(t, func(o *github.Options) { o.NewKey = nil })
	fresh := w.app
	var err error
	fresh.PEM, err = w.AddKey(w.app.Slug)
	w.ok(err)
	if status, _, _ := w.api(w.sign(fresh, nil), "GET", "/app", ""); status != http.StatusOK {
		t.Errorf("the new key answered %d", status)
	}
	w.DropKey(w.app.Slug)
	if status, _, _ := w.api(w.sign(w.app, nil), "GET", "/app", ""); status != http.StatusUnauthorized {
		t.Errorf("the old key answered %d", status)
	}
}

func TestATokenLivesAnHourOrUntilItIsRevoked(t *testing.T) {
	w, _, _ := ready(t)
	id := w.installationID()
	token := w.token(id, nil)
	if len(token) < 400 || strings.Count(token, ".") != 2 || !strings.HasPrefix(token, "ghs_") {
		t.Errorf("a token of %d characters: %.20s…", len(token), token)
	}
	ask := func() int { status, _, _ := w.api(token, "GET", "/repos/acme/shop", ""); return status }
	if got := ask(); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	w.clock.advance(time.Hour)
	if got := ask(); got != http.StatusUnauthorized {
		t.Errorf("after an hour answered %d", got)
	}
	token = w.token(id, nil)
	if _, err := w.with(token).Apps.RevokeInstallationToken(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != http.StatusUnauthorized {
		t.Errorf("once revoked answered %d", got)
	}
}

func (w *world) installationID() int64 {
	w.t.Helper()
	list, _, err := w.asApp().Apps.ListInstallations(context.Background(), nil)
	w.ok(err)
	return list[0].GetID()
}

func TestATokenReachesOnlyWhatItWasMadeFor(t *testing.T) {
	w, sha, _ := ready(t)
	ctx := context.Background()
	other, err := w.CreateRepo("acme", "other", true)
	w.ok(err)
	w.must(w.CreateRepo("acme", "open", false))
	w.must(w.CreateRepo("elsewhere", "secret", true))
	w.must(w.CreateRepo("elsewhere", "public", false))
	id := w.installationID()

	read := gogithub.InstallationPermissions{Contents: gogithub.String("read")}
	token := w.token(id, &gogithub.InstallationTokenOptions{Repositories: []string{"shop"}, Permissions: &read})
	for path, want := range map[string]int{
		"GET /repos/acme/shop":                           200,
		"GET /repos/acme/shop/commits/main":              200,
		"GET /repos/acme/shop/pulls":                     403, // granted to the App, not to this token
		"POST /repos/acme/shop/check-runs":               403,
		"GET /repos/acme/other":                          404,
		"GET /repos/elsewhere/secret":                    404,
		"GET /repos/elsewhere/public":                    200,
		"POST /repos/elsewhere/public/issues/1/comments": 403,
		"GET /repos/acme/nothing":                        404,
		"GET /orgs/acme/teams":                           403,
		"GET /app":                                       401,
	} {
		method, path, _ := strings.Cut(path, " ")
		status, header, body := w.api(token, method, path, "")
		if status != want {
			t.Errorf("%s %s answered %d, want %d: %v", method, path, status, want, body["message"])
		}
		if strings.HasSuffix(path, "/pulls") && header.Get("X-Accepted-GitHub-Permissions") != "pull_requests=read" {
			t.Errorf("the refusal names %q", header.Get("X-Accepted-GitHub-Permissions"))
		}
	}
	for name, opt := range map[string]*gogithub.InstallationTokenOptions{
		"a permission that was not granted": {Permissions: &gogithub.InstallationPermissions{Contents: gogithub.String("write")}},
		"a repository of somebody else":     {Repositories: []string{"secret"}},
		"an unknown repository id":          {RepositoryIDs: []int64{1}},
	} {
		if _, res, err := w.asApp().Apps.CreateInstallationToken(ctx, id, opt); err == nil || res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: answered %s", name, res.Status)
		}
	}
	made, _, err := w.asApp().Apps.CreateInstallationToken(ctx, id, &gogithub.InstallationTokenOptions{RepositoryIDs: []int64{other.ID}})
	w.ok(err)
	repos, _, err := w.with(made.GetToken()).Apps.ListRepos(ctx, nil)
	w.ok(err)
	if repos.GetTotalCount() != 1 || repos.Repositories[0].GetName() != "other" {
		t.Errorf("the token reaches %d repositories", repos.GetTotalCount())
	}
	_ = sha
}

func TestASuspendedAndThenUninstalledAppIsShutOut(t *testing.T) {
	w, _, _ := ready(t)
	id := w.installationID()
	token := w.token(id, nil)
	w.ok(w.Suspend(id))
	if status, _, body := w.api(token, "GET", "/repos/acme/shop", ""); status != http.StatusForbidden || body["message"] != "This installation has been suspended" {
		t.Errorf("suspended, answered %d %v", status, body["message"])
	}
	if _, res, err := w.asApp().Apps.CreateInstallationToken(context.Background(), id, nil); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("suspended, a new token answered %s", res.Status)
	}
	w.commit("main", "ada", map[string]string{"unheard": "x"})
	w.ok(w.Unsuspend(id))
	if status, _, _ := w.api(token, "GET", "/repos/acme/shop", ""); status != http.StatusOK {
		t.Errorf("unsuspended, answered %d", status)
	}
	w.ok(w.Uninstall(id))
	if status, _, _ := w.api(token, "GET", "/repos/acme/shop", ""); status != http.StatusUnauthorized {
		t.Errorf("uninstalled, answered %d", status)
	}
	if _, res, err := w.asApp().Apps.CreateInstallationToken(context.Background(), id, nil); err == nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("uninstalled, a new token answered %s", res.Status)
	}
	w.quiet()
	names := strings.Join(w.inbox.names(), " ")
	if !strings.HasSuffix(names, "installation.suspend installation.unsuspend installation.deleted") {
		t.Errorf("heard %s", names)
	}
}

func TestAUserMayDoWhatTheirRoleAllows(t *testing.T) {
	w, sha, _ := ready(t)
	for login, role := range map[string]string{"reader": "read", "writer": "write"} {
		w.ok(w.Grant("acme/shop", login, role))
	}
	n, err := w.OpenIssue("acme/shop", "ada", "An issue", "")
	w.ok(err)
	if n != 1 {
		t.Fatalf("the first issue has number %d", n)
	}
	status := func(login, method, path, body string) int {
		got, _, _ := w.api(w.AddUser(login).Token, method, path, body)
		return got
	}
	for _, c := range []struct {
		login, method, path, body string
		want                      int
	}{
		{"stranger", "GET", "/repos/acme/shop", "", 404},
		{"reader", "GET", "/repos/acme/shop", "", 200},
		{"reader", "POST", "/repos/acme/shop/issues/1/comments", `{"body":"hi"}`, 201},
		{"reader", "POST", "/repos/acme/shop/statuses/" + sha, `{"state":"success"}`, 403},
		{"writer", "POST", "/repos/acme/shop/statuses/" + sha, `{"state":"success"}`, 201},
		{"writer", "POST", "/repos/acme/shop/check-runs", `{"name":"x","head_sha":"` + sha + `"}`, 403},
		{"writer", "GET", "/user", "", 200},
		{"writer", "GET", "/installation/repositories", "", 403},
	} {
		if got := status(c.login, c.method, c.path, c.body); got != c.want {
			t.Errorf("%s: %s %s answered %d, want %d", c.login, c.method, c.path, got, c.want)
		}
	}
	if got, _, _ := w.api("", "GET", "/repos/acme/shop", ""); got != http.StatusNotFound {
		t.Errorf("nobody: answered %d", got)
	}
	if got, _, _ := w.api("", "GET", "/user", ""); got != http.StatusUnauthorized {
		t.Errorf("nobody: /user answered %d", got)
	}
}

func TestRolesAndTeamsAreToldAsTheyAre(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	for login, role := range map[string]string{"mia": "maintain", "tim": "triage"} {
		w.ok(w.Grant("acme/shop", login, role))
	}
	w.AddTeam("acme", "release", "grace")
	w.AddTeam("acme", "pilots", "pia")
	w.ok(w.ChildTeam("acme", "release", "pilots"))
	w.ok(w.GrantTeam("acme/shop", "release", "write"))
	for login, want := range map[string][2]string{"ada": {"admin", "admin"}, "mia": {"write", "maintain"}, "tim": {"read", "triage"},
		"grace": {"write", "write"}, "pia": {"write", "write"}, "nobody": {"none", "none"}} {
		w.AddUser(login)
		got, _, err := gh.Repositories.GetPermissionLevel(ctx, "acme", "shop", login)
		w.ok(err)
		if got.GetPermission() != want[0] || got.User.GetRoleName() != want[1] {
			t.Errorf("%s is %s (%s), want %v", login, got.GetPermission(), got.User.GetRoleName(), want)
		}
	}
	for login, want := range map[string]int{"grace": 200, "pia": 200, "ada": 404} {
		_, res, _ := gh.Teams.GetTeamMembershipBySlug(ctx, "acme", "release", login)
		if res.StatusCode != want {
			t.Errorf("membership of %s answered %s", login, res.Status)
		}
	}
	w.LeaveTeam("acme", "release", "grace")
	if _, res, _ := gh.Teams.GetTeamMembershipBySlug(ctx, "acme", "release", "grace"); res.StatusCode != http.StatusNotFound {
		t.Errorf("once out, membership answered %s", res.Status)
	}
	members, _, err := gh.Teams.ListTeamMembersBySlug(ctx, "acme", "release", nil)
	w.ok(err)
	if len(members) != 1 || members[0].GetLogin() != "pia" {
		t.Errorf("the team has %d members", len(members))
	}
	teams, _, err := gh.Teams.ListTeams(ctx, "acme", nil)
	w.ok(err)
	if len(teams) != 2 {
		t.Errorf("%d teams", len(teams))
	}
	if _, _, err := gh.Teams.GetTeamBySlug(ctx, "acme", "pilots"); err != nil {
		t.Error(err)
	}
	if _, _, err := gh.Organizations.Get(ctx, "acme"); err != nil {
		t.Error(err)
	}
	if member, _, err := gh.Organizations.IsMember(ctx, "acme", "mia"); err != nil || member {
		t.Errorf("an outside collaborator is a member: %v %v", member, err)
	}
	if who, _, err := gh.Users.Get(ctx, "conveyor[bot]"); err != nil || who.GetType() != "Bot" {
		t.Errorf("the bot: %v", err)
	}
	list, _, err := gh.Repositories.ListCollaborators(ctx, "acme", "shop", nil)
	w.ok(err)
	if len(list) != 4 {
		t.Errorf("%d collaborators", len(list))
	}
}

func TestAnAppIsInstalledInTheBrowser(t *testing.T) {
	w := start(t)
	m := manifest(w.inbox.URL)
	m.SetupURL = "http://localhost/setup/installed"
	app, err := w.RegisterApp("acme", m)
	w.ok(err)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(w.URL()+"/apps/"+app.Slug+"/installations/new", url.Values{"account": {"acme"}})
	w.ok(err)
	_ = res.Body.Close()
	to := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "http://localhost/setup/installed?installation_id=") || !strings.HasSuffix(to, "&setup_action=install") {
		t.Errorf("answered %s to %s", res.Status, to)
	}
}
