// Package clients tries the local GitHub, and the webhook door, with clients that are not ours: GitHub's own libraries for
// Node.js and its command line. What they take for GitHub, our tests may, too.
//
// Each topic is one program of programs/, which asserts for itself; here is the world that it finds.
package clients

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/github/conform"
)

// patience is how long a program may take: much longer than it does, for machines that are busy.
const patience = 3 * time.Minute

const repo = "octo/shop"

// world is a local GitHub that checks each call against GitHub's own description.
type world struct {
	*github.Server
	t      *testing.T
	check  *conform.Checker
	app    github.App
	at     github.Installation
	author github.User
	head   string // of main
	pull   github.Pull
	socket string
	silent bool // nobody calls the API in this test

	home, as string // of gh: its folder, and its token
}

// key is the private key of all Apps: making one takes longer than a test.
var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// open starts a GitHub with octo/shop, an author, a reader, a pull request, and an App whose webhooks go to hook.
func open(t *testing.T, hook string) *world {
	t.Helper()
	t.Parallel()
	// A socket's path has room for some hundred characters, which a test's own folder may exceed.
	dir := must(os.MkdirTemp("", "hub"))(t)
	w := &world{t: t, check: &conform.Checker{}, socket: filepath.Join(dir, "s")}
	w.Server = must(github.Start(github.Options{Dir: t.TempDir(), Socket: w.socket, Wrap: w.check.Wrap, NewKey: key}))(t)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		for _, v := range w.check.Violations() {
			t.Errorf("GitHub's own description does not allow it: %s", v)
		}
		if w.check.Checked() == 0 && !w.silent {
			t.Error("no call was made")
		}
	})
	w.author = w.AddUser("author")
	w.AddUser("reader")
	w.AddOrg("octo", "maintainer")
	for _, name := range []string{"shop", "other"} {
		must(w.CreateRepo("octo", name, true))(t)
	}
	for login, role := range map[string]string{"author": "write", "reader": "read"} {
		if err := w.Grant(repo, login, role); err != nil {
			t.Fatal(err)
		}
	}
	m := github.Manifest{
		Name: "Conveyor", URL: w.URL(),
		DefaultPermissions: map[string]string{"checks": "write", "contents": "write", "deployments": "write", "issues": "write", "members": "read", "metadata": "read", "pull_requests": "write"},
		DefaultEvents:      []string{"issue_comment", "pull_request", "push"},
	}
	if hook != "" {
		m.HookAttributes = &github.Hook{URL: hook}
	}
	w.app = must(w.RegisterApp("octo", m))(t)
	w.at = must(w.InstallApp(w.app.Slug, "octo", "shop"))(t)
	w.head = must(w.Commit(repo, "main", "author", "first", map[string]string{"README.md": "shop\n", "src/cart.go": "package cart\n"}))(t)
	must(w.Commit(repo, "change/one", "author", "second", map[string]string{"src/cart.go": "package cart // more\n"}))(t)
	w.pull = must(w.OpenPull(repo, "author", "More", "change/one", "main"))(t)
	return w
}

// told is what every program is told of the world, on its standard input.
func (w *world) told(more map[string]any) []byte {
	w.t.Helper()
	all := map[string]any{
		"api": strings.TrimSuffix(w.APIURL(), "/"), "owner": "octo", "repo": "shop", "app": w.app.ID, "key": w.app.PEM, "secret": w.app.WebhookSecret,
		"installation": w.at.ID, "head": w.head, "branch": "change/one", "pull": w.pull.Number, "pullHead": w.pull.HeadSHA, "token": w.author.Token,
	}
	for k, v := range more {
		all[k] = v
	}
	return must(json.Marshal(all))(w.t)
}

// program looks for a program that a test stands on, and says what to do when it is missing.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed, so this client cannot be tried: run `make setup-test`", name)
	}
	return path
}

// node is one of the programs, ready to run.
func node(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	path := program(t, "node")
	if _, err := os.Stat("node_modules/.package-lock.json"); err != nil {
		t.Fatalf("GitHub's libraries for Node.js are not in test/clients/node_modules (%v): run `make setup-test`", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, filepath.Join("programs", name+".mjs"))
	cmd.Env = append(os.Environ(), "NODE_NO_WARNINGS=1", "NO_PROXY=*", "http_proxy=", "https_proxy=")
	return cmd
}

// plays runs a program to its end: it says "done" when it got through all that it wants. It gives what was said before.
func (w *world) plays(name string, more map[string]any) string {
	w.t.Helper()
	cmd := node(w.t, name)
	cmd.Stdin = bytes.NewReader(w.told(more))
	out, err := cmd.CombinedOutput()
	said, through := strings.CutSuffix(string(out), "done\n")
	if err != nil || !through {
		w.t.Errorf("%s.mjs did not get through (%v):\n%s", name, err, out)
	}
	return said
}

// must is for calls that only fail when the test itself is wrong.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
