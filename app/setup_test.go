package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	appgithub "github.com/conveyor-ci/conveyor/app/github"
)

func TestTheManifestIsFilledInForThisServer(t *testing.T) {
	t.Parallel()
	text, err := app.ManifestFor(app.Config{PublicURL: "https://ci.example.com/"}, "Shop")
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Name, URL   string
		Redirect    string            `json:"redirect_url"`
		Setup       string            `json:"setup_url"`
		Hook        map[string]any    `json:"hook_attributes"`
		Permissions map[string]string `json:"default_permissions"`
		Events      []string          `json:"default_events"`
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if m.Name != "Shop" || m.URL != "https://ci.example.com" || m.Redirect != "https://ci.example.com/setup/callback" || m.Setup != "https://ci.example.com/setup/installed" ||
		len(m.Hook) != 2 || m.Hook["url"] != "https://ci.example.com/webhooks/github" || m.Permissions["contents"] != "read" || len(m.Events) < 3 {
		t.Errorf("got %s", text)
	}
	for public, want := range map[string]string{"https://ci.example.com": "Conveyor ci.example.com", "https://" + strings.Repeat("long.", 6) + "example.com": "Conveyor"} {
		if got := app.ProposedName(public); got != want || len(got) > 34 {
			t.Errorf("%s is proposed as %q", public, got)
		}
	}
}

func TestASetUpThatCouldNotKeepAKeyDoesNotBegin(t *testing.T) {
	t.Parallel()
	good := app.Config{
		Listen: "127.0.0.1:0", PublicURL: "http://127.0.0.1:1", DataDir: t.TempDir(), GitHubURL: "https://github.com", GitHubAPIURL: "https://api.github.com",
		Sandbox: "none", Workers: 1,
	}
	for what, c := range map[string]struct {
		ill  func(*app.Config)
		says string
	}{
		"a folder that is a file": {func(c *app.Config) { c.PrivateKeyFile = "/dev/null/app.pem" }, "cannot keep a key"},
		"a Redis that is away":    {func(c *app.Config) { c.RedisURL = appgithub.NewSecret("redis://127.0.0.1:1/0") }, "journal cannot be opened"},
		"a wrong address":         {func(c *app.Config) { c.PublicURL = "ci" }, "CONVEYOR_PUBLIC_URL"},
	} {
		config := good
		c.ill(&config)
		a, err := app.SetUp(context.Background(), config, slog.New(slog.DiscardHandler), func(link string) { t.Errorf("%s: a link was printed", what) })
		if a != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
		var wrong *app.ConfigError
		if errors.As(err, &wrong) && strings.Contains(err.Error(), "CONVEYOR_APP_ID") {
			t.Errorf("%s: it asks for an App: %v", what, err)
		}
	}
}
