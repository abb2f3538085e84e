package app_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// patient is a server that is well in all respects, until a test makes it ill. What it hears is answered with code.
type patient struct {
	t      *testing.T
	gh     *github.Server
	app    github.App
	at     github.Installation
	config app.Config
	code   atomic.Int64
	ready  atomic.Int64
	ahead  time.Duration // of our clock
}

var rights = map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "members": "read", "merge_queues": "read", "metadata": "read", "pull_requests": "write"}

func healthy(t *testing.T) *patient {
	t.Helper()
	p := &patient{t: t}
	p.code.Store(http.StatusAccepted)
	p.ready.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/webhooks/github":
			w.WriteHeader(int(p.code.Load()))
		case "/readyz":
			w.WriteHeader(int(p.ready.Load()))
			fmt.Fprintln(w, "[-] journal: the disk is full")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	check := &conform.Checker{}
	gh, err := github.Start(github.Options{Dir: t.TempDir(), Wrap: check.Wrap, NewKey: key})
	if err != nil {
		t.Fatal(err)
	}
	p.gh = gh
	t.Cleanup(func() {
		if err := gh.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range check.Violations() {
			t.Errorf("GitHub's own description does not allow it: %s", v)
		}
	})
	gh.AddOrg("octo", "maintainer")
	must(t, gh.CreateRepo)("octo", "shop", true)
	if _, err := gh.Commit("octo/shop", "main", "maintainer", "First", map[string]string{"README.md": "shop\n"}); err != nil {
		t.Fatal(err)
	}
	p.app, err = gh.RegisterApp("octo", github.Manifest{
		Name: "Conveyor", URL: server.URL, HookAttributes: &github.Hook{URL: server.URL + "/webhooks/github"},
		DefaultPermissions: maps.Clone(rights), DefaultEvents: []string{"issue_comment", "merge_group", "pull_request", "push", "repository"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.at, err = gh.InstallApp(p.app.Slug, "octo"); err != nil {
		t.Fatal(err)
	}
	gh.Protect("octo/shop", "main", github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test", App: p.app.Slug}}})
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.config = app.Config{
		Listen: strings.TrimPrefix(server.URL, "http://"), PublicURL: server.URL, DataDir: dir, GitHubURL: gh.URL(), GitHubAPIURL: strings.TrimSuffix(gh.APIURL(), "/"),
		AppID: p.app.ID, PrivateKey: appgithub.NewSecret(p.app.PEM), WebhookSecrets: []appgithub.Secret{appgithub.NewSecret(p.app.WebhookSecret)},
		Sandbox: "none", Workers: 1, LedgerKeyFile: filepath.Join(t.TempDir(), "audit.key"),
	}
	p.quiet()
	return p
}

func must[T any](t *testing.T, make func(string, string, bool) (T, error)) func(string, string, bool) T {
	return func(a, b string, c bool) T {
		t.Helper()
		v, err := make(a, b, c)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (p *patient) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) quiet() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p.ok(p.gh.Quiet(ctx))
}

// look examines once, lets GitHub deliver what it was asked for, and says how what is named stands.
func (p *patient) look(name string) app.Finding {
	p.t.Helper()
	all := app.Examine(context.Background(), p.config, func() time.Time { return time.Now().Add(p.ahead) })
	p.quiet()
	for _, f := range all {
		if f.Name == name {
			return f
		}
	}
	p.t.Fatalf("nothing is said of %s:\n%s", name, list(all))
	return app.Finding{}
}

func list(all []app.Finding) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%s %s: %s → %s\n", f.Level, f.Name, f.Says, f.Fix)
	}
	return b.String()
}

func TestAWellServerHasNothingToPutRight(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	all := app.Diagnose(context.Background(), p.config, slog.New(slog.DiscardHandler), func(int, int) {})
	seen := map[string]app.Level{}
	for _, f := range all {
		seen[f.Name] = f.Level
		if f.Level != app.OK && f.Name != "Sandbox" && f.Name != "Journal" { // of which there is none here
			t.Errorf("%s", list([]app.Finding{f}))
		}
		if f.Level != app.OK && f.Fix == "" && f.Level != app.Unknown {
			t.Errorf("nothing is said of what to do: %+v", f)
		}
	}
	for _, name := range []string{"Settings", "Data folder", "Sandbox", "Journal", "Server", "GitHub", "Clock", "App", "Permissions", "Events", "Webhook address", "Webhook round trip", "Installation in octo", "Required checks of octo/shop"} {
		if seen[name] == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}
}

func TestEachIllnessIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ill   func(*patient)
		what  string
		level app.Level
		says  string
	}{
		"GitHub does not answer":           {func(p *patient) { p.config.GitHubAPIURL = "http://127.0.0.1:1/api/v3" }, "GitHub", app.Failed, "gives no answer"},
		"the clock is a minute ahead":      {func(p *patient) { p.ahead = 62 * time.Second }, "Clock", app.Failed, "clock is 6"},
		"the clock is ten seconds behind":  {func(p *patient) { p.ahead = -12 * time.Second }, "Clock", app.Warning, "behind GitHub's"},
		"the App is another":               {func(p *patient) { p.config.AppID = 4711 }, "App", app.Failed, "does not take the key of App 4711"},
		"a permission is missing":          {func(p *patient) { p.ask("deployments", "read") }, "Permissions", app.Failed, "`deployments: write`"},
		"a permission is too much":         {func(p *patient) { p.ask("administration", "write") }, "Permissions", app.Warning, "`administration: write`"},
		"a new permission is not accepted": {func(p *patient) { p.drop("members") }, "Installation in octo", app.Failed, "`members: read`"},
		"an event is missing":              {func(p *patient) { p.events("push", "pull_request") }, "Events", app.Failed, "`issue_comment`"},
		"an event is too much": {func(p *patient) {
			p.events("push", "pull_request", "issue_comment", "merge_group", "repository", "star")
		}, "Events", app.Warning, "`star`"},
		"the hook goes elsewhere":       {func(p *patient) { p.ok(p.gh.SetHook(p.app.Slug, "http://127.0.0.1:1/hooks", "x")) }, "Webhook address", app.Failed, "127.0.0.1:1/hooks"},
		"there is no hook":              {func(p *patient) { p.ok(p.gh.SetHook(p.app.Slug, "", "x")) }, "Webhook address", app.Failed, "has no webhook"},
		"the hook has no secret":        {func(p *patient) { p.ok(p.gh.SetHook(p.app.Slug, p.app.HookURL, "")) }, "Webhook address", app.Failed, "has no secret"},
		"the installation is suspended": {func(p *patient) { p.ok(p.gh.Suspend(p.at.ID)) }, "Installation in octo", app.Failed, "suspended"},
		"the App is installed nowhere":  {func(p *patient) { p.ok(p.gh.Uninstall(p.at.ID)) }, "Installations", app.Unknown, "not installed anywhere"},
		"the App may see no repository": {func(p *patient) { p.ok(p.gh.ChangeRepos(p.at.ID, nil, []string{"shop"})) }, "Installation in octo", app.Warning, "no repository"},
		"no check is required":          {func(p *patient) { p.protect(github.Protection{}) }, "Required checks of octo/shop", app.Warning, "what is red can be merged"},
		"a required check is anyone's": {func(p *patient) {
			p.protect(github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test"}}})
		}, "Required checks of octo/shop", app.Failed, "taken from anyone"},
		"a ruleset's check is anyone's": {func(p *patient) {
			p.protect(github.Protection{Ruleset: true, Checks: []github.RequiredCheck{{Name: "conveyor / test"}}})
		}, "Required checks of octo/shop", app.Failed, "taken from anyone"},
		"a required check is another App's": {func(p *patient) { p.other() }, "Required checks of octo/shop", app.Failed, "another App only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy(t)
			c.ill(p)
			f := p.look(c.what)
			if f.Level != c.level || !strings.Contains(f.Says, c.says) || f.Fix == "" {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func (p *patient) ask(name, level string) {
	all := maps.Clone(rights)
	all[name] = level
	p.ok(p.gh.SetPermissions(p.app.Slug, all, []string{"issue_comment", "merge_group", "pull_request", "push", "repository"}))
}

// drop takes a permission from the installation, and lets the App ask for it anew.
func (p *patient) drop(name string) {
	less := maps.Clone(rights)
	delete(less, name)
	p.ok(p.gh.SetPermissions(p.app.Slug, less, []string{"issue_comment", "merge_group", "pull_request", "push", "repository"}))
	p.ok(p.gh.AskPermissions(p.app.Slug, rights, []string{"issue_comment", "merge_group", "pull_request", "push", "repository"}))
}

func (p *patient) events(names ...string) {
	p.ok(p.gh.SetPermissions(p.app.Slug, rights, names))
}

func (p *patient) protect(protection github.Protection) {
	p.gh.Protect("octo/shop", "main", protection)
}

func (p *patient) other() {
	other, err := p.gh.RegisterApp("octo", github.Manifest{Name: "Other", URL: "https://other.example.com", DefaultPermissions: map[string]string{"checks": "write"}})
	p.ok(err)
	p.protect(github.Protection{Ruleset: true, Checks: []github.RequiredCheck{{Name: "conveyor / test", App: other.Slug}}})
}

func TestTheRoundTripIsMadeAnewEachTime(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	for code, want := range map[int]string{401: "signature was refused", 503: "could not be kept", 404: "not Conveyor", 500: "did not arrive"} {
		p.code.Store(int64(code))
		// Each doctor asks for a delivery of its own.
		f := app.Finding{}
		for _, found := range app.Diagnose(context.Background(), p.config, slog.New(slog.DiscardHandler), func(int, int) {}) {
			if found.Name == "Webhook round trip" {
				f = found
			}
		}
		if f.Level != app.Failed || !strings.Contains(f.Says, want) || f.Fix == "" {
			t.Errorf("%d: %+v", code, f)
		}
	}
	if n := len(p.gh.Deliveries()); n < 5 {
		t.Errorf("only %d deliveries were made", n)
	}
}

func TestTheServersOwnIllnessesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ill  func(*patient)
		what string
		says string
	}{
		"the server is not ready": {func(p *patient) { p.ready.Store(503) }, "Server", "the disk is full"},
		"no server runs":          {func(p *patient) { p.config.Listen = "127.0.0.1:1" }, "Server", "Nothing answers"},
		"a setting is wrong":      {func(p *patient) { p.config.Workers = 0 }, "Settings", "CONVEYOR_WORKERS"},
		"there is no App": {func(p *patient) {
			p.config.AppID, p.config.PrivateKey, p.config.WebhookSecrets = 0, appgithub.Secret{}, nil
		}, "Settings", "no App yet"},
		"the key is none":         {func(p *patient) { p.config.PrivateKey = appgithub.NewSecret("-----BEGIN RSA PRIVATE KEY-----\nx") }, "App", "not an RSA key"},
		"the folder is open":      {func(p *patient) { p.ok(os.Chmod(p.config.DataDir, 0o755)) }, "Data folder", "open to others"},
		"the folder is not there": {func(p *patient) { p.config.DataDir += "/none" }, "Data folder", "is not there"},
		"the kept key is open":    {func(p *patient) { p.keepOpen() }, "Data folder", "private-key.pem"},
		"Redis does not answer":   {func(p *patient) { p.config.RedisURL = appgithub.NewSecret("redis://127.0.0.1:1/0") }, "Journal", "durable"},
		"a tool is not there":     {func(p *patient) { p.config.Sandbox, p.config.Tools = "auto", []string{"/not/there"} }, "Sandbox", "No step could be shut in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy(t)
			c.ill(p)
			for _, f := range app.Diagnose(context.Background(), p.config, slog.New(slog.NewTextHandler(io.Discard, nil)), func(int, int) {}) {
				if f.Name == c.what && f.Level == app.Failed && strings.Contains(f.Says, c.says) && f.Fix != "" {
					return
				}
			}
			t.Errorf("%s was not found:\n%s", c.says, list(app.Diagnose(context.Background(), p.config, slog.New(slog.DiscardHandler), func(int, int) {})))
		})
	}
}

func (p *patient) keepOpen() {
	dir := filepath.Join(p.config.DataDir, "app")
	p.ok(os.MkdirAll(dir, 0o700))
	p.ok(os.WriteFile(filepath.Join(dir, "private-key.pem"), []byte("x"), 0o644))
}

func TestTheTableForGitHubMentionsNobodyAndKeepsItsForm(t *testing.T) {
	t.Parallel()
	got := app.FindingsTable([]app.Finding{{Name: "A|b", Level: app.Failed, Says: "`x|y` of @octo/all\n| and <b>.", Fix: "See `z`."}, {Name: "C", Level: app.OK, Says: "odd ` tick"}})
	if strings.Contains(got, "@octo") || strings.Contains(got, "<b>") || strings.Count(got, "\n") != 6 || !strings.Contains(got, "1 failed.") || !strings.Contains(got, "`x¦y`") {
		t.Errorf("got\n%s", got)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 4 {
			t.Errorf("a row of another width: %s", line)
		}
	}
}
