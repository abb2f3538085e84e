package github_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestAnInstallationFollowsItsRepositories(t *testing.T) {
	w, _, _ := ready(t)
	w.must(w.CreateRepo("acme", "other", true))
	id := w.installationID()
	w.ok(w.ChangeRepos(id, []string{"other"}, nil))
	if status, _, _ := w.api(w.token(id, nil), "GET", "/repos/acme/shop", ""); status != http.StatusNotFound {
		t.Errorf("a repository that was not selected answered %d", status)
	}
	w.ok(w.ChangeRepos(id, []string{"shop"}, []string{"other"}))
	w.ok(w.SetPermissions(w.app.Slug, map[string]string{"contents": "write", "checks": "write"}, []string{"push", "check_run", "check_suite"}))
	w.quiet()
	names := w.inbox.names()
	if tail := strings.Join(names[len(names)-4:], " "); tail != "installation_repositories.added installation_repositories.added installation_repositories.removed installation.new_permissions_accepted" {
		t.Errorf("heard %s", tail)
	}
	from := len(names)
	w.must(w.OpenIssue("acme/shop", "ada", "An issue", ""))
	w.must(w.Comment("acme/shop", 1, "ada", "no longer heard"))
	w.commit("main", "ada", map[string]string{"x": "y"})
	w.quiet()
	if got := w.inbox.names()[from:]; !slices.Equal(got, []string{"push", "check_suite.requested"}) {
		t.Errorf("with other events heard %v", got)
	}
}

func TestTheHookIsMovedAndItsSecretChanged(t *testing.T) {
	w, _, _ := ready(t)
	w.quiet()
	elsewhere := newInbox(t)
	status, _, body := w.api(w.jwt(nil), "PATCH", "/app/hook/config", `{"url":"`+elsewhere.URL+`","secret":"new"}`)
	if status != http.StatusOK || body["secret"] != "********" {
		t.Fatalf("answered %d %v", status, body)
	}
	w.commit("main", "ada", map[string]string{"x": "y"})
	w.quiet()
	h, found := elsewhere.last("push")
	if !found || h.header.Get("X-Hub-Signature-256") != sha256Sign("new", h.raw) {
		t.Error("the hook did not move, or signs with the old secret")
	}
}

func TestManyTagsAtOnceAreToldOfByNobody(t *testing.T) {
	w, _, _ := ready(t)
	w.ok(w.Grant("acme/shop", "grace", "write"))
	dir := t.TempDir() + "/shop"
	w.mustGit(".", "clone", "--quiet", w.cloneURL(w.AddUser("grace").Token), dir)
	w.quiet()
	from := len(w.inbox.names())
	for i := range 4 {
		w.mustGit(dir, "tag", fmt.Sprint("v", i))
	}
	w.mustGit(dir, "push", "--quiet", "--tags")
	w.quiet()
	if got := w.inbox.names()[from:]; len(got) != 0 {
		t.Errorf("heard %v", got)
	}
}

func TestGhReachesTheAPIOverASocket(t *testing.T) {
	socket := t.TempDir() + "/s"
	w, _, _ := ready(t, func(o *github.Options) { o.Socket = socket })
	for i := range 3 {
		w.must(w.OpenIssue("acme/shop", "ada", fmt.Sprint("issue ", i), ""))
	}
	for range 40 {
		w.must(w.Comment("acme/shop", 1, "ada", "hello"))
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest("GET", "http://api.github.localhost/repos/acme/shop/issues/1/comments", nil)
	w.ok(err)
	req.Header.Set("Authorization", "token "+w.AddUser("ada").Token)
	res, err := (&http.Client{Transport: transport}).Do(req)
	w.ok(err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Link"), "<http://api.github.localhost/repos/acme/shop/issues/1/comments?page=2>") {
		t.Errorf("answered %s with links %s", res.Status, res.Header.Get("Link"))
	}
}

func TestTwoServersDoNotShareAnything(t *testing.T) {
	t.Parallel()
	a, err := github.Start(github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := github.Start(github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := a.CreateRepo("acme", "shop", false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit("acme/shop", "main", "ada", "m", map[string]string{"a": "b"}); err == nil {
		t.Error("a repository of the other one took a commit")
	}
	for _, name := range []string{"../x", "/x", "a//b", ""} {
		if _, err := a.Commit("acme/shop", "main", "ada", "m", map[string]string{name: "b"}); err == nil {
			t.Errorf("%q was taken for a path", name)
		}
	}
}
