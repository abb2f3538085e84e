package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/test/browser"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

// newcomer is a company that has no Conveyor yet: a GitHub with a repository, and a server that is being set up.
type newcomer struct {
	*house
	link string
}

// setUp starts a server without an App.
func setUp(t *testing.T, change ...func(*house)) *newcomer {
	t.Helper()
	check := &conform.Checker{}
	h := &house{t: t, log: &safeBuffer{}, stop: func() {}}
	gh, err := github.Start(github.Options{Dir: t.TempDir(), Wrap: check.Wrap, NewKey: key})
	if err != nil {
		t.Fatal(err)
	}
	h.gh = gh
	t.Cleanup(func() {
		if err := gh.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range check.Violations() {
			t.Errorf("GitHub's own description does not allow it: %s", v)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", h.log.String())
		}
	})
	for _, login := range []string{"author", "reader", "maintainer"} {
		gh.AddUser(login)
	}
	gh.AddOrg("octo", "maintainer")
	must(gh.CreateRepo("octo", "shop", true))(t)
	for login, role := range map[string]string{"author": "write", "reader": "read", "maintainer": "maintain"} {
		h.grant(login, role)
	}
	gh.SignIn("maintainer")
	address := freeAddress(t)
	h.config = app.Config{
		Listen: address, PublicURL: "http://" + address, GitHubURL: gh.URL(), GitHubAPIURL: strings.TrimSuffix(gh.APIURL(), "/"),
		DataDir: filepath.Join(t.TempDir(), "data"), Sandbox: "auto", Workers: 2, Grace: 5 * time.Second, OpenPages: true,
	}
	for _, c := range change {
		c(h)
	}
	n := &newcomer{house: h}
	ctx, cancel := context.WithCancel(context.Background())
	links, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		a, err := app.SetUp(ctx, h.config, slog.New(slog.NewTextHandler(h.log, nil)), func(link string) { links <- link })
		if err == nil && a != nil {
			err = errors.Join(a.Run(ctx), a.Close())
		}
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server did not end well: %v", err)
		}
	})
	select {
	case n.link = <-links:
	case err := <-ended:
		ended <- err
		t.Fatalf("the set-up did not begin: %v", err)
	}
	return n
}

// shoot keeps a picture where the one who looks at the pages wants it.
func shoot(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	dir := os.Getenv("PICTURES")
	if dir == "" {
		return
	}
	var size struct{ W, H int }
	p.Eval(`({w: innerWidth, h: Math.max(innerHeight, document.documentElement.scrollHeight)})`, &size)
	p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": size.W, "height": size.H, "deviceScaleFactor": 1, "mobile": size.W < 600}, nil)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), p.Picture(), 0o600); err != nil {
		t.Error(err)
	}
}

// fits wants a page that is not wider than its window, and that complains of nothing.
func fits(t *testing.T, p *browser.Page) {
	t.Helper()
	var over int
	p.Eval(`document.documentElement.scrollWidth - innerWidth`, &over)
	if over > 0 {
		t.Errorf("the page is %d pixels wider than its window: %s", over, p.Text("h1"))
	}
	var small []string
	p.Eval(`[...document.querySelectorAll("button, .button, input:not([type=hidden])")].filter((e) => e.getBoundingClientRect().height < 43).map((e) => e.textContent || e.name)`, &small)
	if len(small) > 0 {
		t.Errorf("these are hard to hit: %q", small)
	}
}

func TestAPersonSetsConveyorUpInABrowser(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	for _, screen := range []struct {
		name          string
		width, height int
		org           string
	}{{"desk", 1280, 900, "octo"}, {"phone", 390, 844, ""}} {
		t.Run(screen.name, func(t *testing.T) {
			t.Parallel()
			n := setUp(t)
			must(n.gh.Commit(repo, "main", "author", "The plan", plan("true")))(t)
			n.gh.Protect(repo, "main", github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test"}}})
			p := b.Page(t, screen.width, screen.height)
			p.Open(n.link)
			p.Until(`document.querySelector("#name")`)
			var search string
			if p.Eval(`location.search`, &search); search != "" {
				t.Errorf("the link's token stays in the address: %s", search)
			}
			fits(t, p)
			shoot(t, p, screen.name+"-1-form")
			p.Eval(fmt.Sprintf(`document.querySelector("#name").value = "Shop Conveyor"; document.querySelector("#organization").value = %q; document.querySelector("form button").click()`, screen.org), nil)
			p.Until(`document.querySelector("form[method=post]")`)
			fits(t, p)
			shoot(t, p, screen.name+"-2-review")
			for _, want := range []string{"Shop Conveyor", "/webhooks/github", "contents", "fetch the code"} {
				if !strings.Contains(p.Text("main"), want) {
					t.Errorf("the page does not say %q:\n%s", want, p.Text("main"))
				}
			}
			p.Eval(`document.querySelector("form[method=post] button").click()`, nil)
			p.Until(`location.pathname === "/setup" && document.querySelector(".findings")`)
			shoot(t, p, screen.name+"-3-made")
			p.Until(`document.querySelector(".button.main").href.endsWith("/installations/new")`)
			p.Eval(`document.querySelector(".button.main").click()`, nil)
			p.Until(`document.querySelector("select[name=account]")`)
			p.Eval(`document.querySelector("select[name=account]").value = "octo"; document.querySelector("form button").click()`, nil)
			p.Until(`location.pathname === "/setup" && [...document.querySelectorAll(".findings .bad b")].some((b) => b.innerText === "Required checks of octo/shop") && document.querySelector("h1").innerText === "The App is installed"`)
			shoot(t, p, screen.name+"-4-unpinned")
			fits(t, p)
			slugs := n.gh.AppSlugs()
			n.gh.Protect(repo, "main", github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test", App: slugs[0]}}})
			p.Until(`document.querySelector("h1").innerText === "Conveyor is ready"`)
			shoot(t, p, screen.name+"-5-ready")
			fits(t, p)
			text := p.Text("main")
			for _, want := range []string{"Webhook round trip well", "Clock well", "Permissions well", "Installation in octo well", "only shop-conveyor can pass it"} {
				if !strings.Contains(text, want) {
					t.Errorf("the list does not say %q:\n%s", want, text)
				}
			}
			for _, said := range p.Complaints() {
				if !strings.HasSuffix(said, "/favicon.ico") { // of the local GitHub's own page
					t.Errorf("the pages complain: %s", said)
				}
			}
			n.keptWell()
			// The next start needs no set-up, and the server that was set up does its work.
			again, err := app.Recall(n.config)
			if err != nil || again.Unregistered() || len(again.Check()) > 0 {
				t.Errorf("the next start does not know the App: %v %v", err, again.Check())
			}
			sha := n.push("main", "author", "A change", plan("echo hello"))
			if run := n.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
				t.Errorf("a push after the set-up: %s", run.Conclusion)
			}
		})
	}
}

// keptWell wants the key and the secret to be readable by the owner only, and in no log.
func (n *newcomer) keptWell() {
	n.t.Helper()
	if n.config.PrivateKeyFile == "" {
		err := filepath.WalkDir(filepath.Join(n.config.DataDir, "app"), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				n.t.Errorf("%s is open to others: %s", path, info.Mode())
			}
			return err
		})
		if err != nil {
			n.t.Error(err)
		}
	}
	c, err := app.Recall(n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	body := strings.Split(c.PrivateKey.Reveal(), "\n")[1]
	for _, secret := range []string{body, c.WebhookSecrets[0].Reveal(), strings.SplitN(n.link, "=", 2)[1]} {
		if strings.Contains(n.log.String(), secret) {
			n.t.Error("the log holds a secret")
		}
	}
}
