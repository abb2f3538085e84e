package clients

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// gh runs GitHub's command line against the local GitHub: over its Unix socket, for without TLS there is no other way, and
// with a folder for its settings of its own. It gives what was printed, and whether that was a success.
func (w *world) gh(args ...string) (out string, ok bool) {
	w.t.Helper()
	path := program(w.t, "gh")
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = w.home
	cmd.Env = []string{
		"HOME=" + w.home, "GH_CONFIG_DIR=" + w.home, "GH_HOST=github.localhost", "GH_TOKEN=" + w.as, "GH_REPO=github.localhost/" + repo,
		"GH_NO_UPDATE_NOTIFIER=1", "GH_PROMPT_DISABLED=1", "NO_COLOR=1", "PATH=/usr/bin:/bin",
	}
	b, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(b)), err == nil
}

// prints wants a command to print exactly this.
func (w *world) prints(want string, args ...string) {
	w.t.Helper()
	if out, ok := w.gh(args...); !ok || out != want {
		w.t.Errorf("gh %s:\n%s\nwant:\n%s", strings.Join(args, " "), out, want)
	}
}

// fails wants a command to fail with these words.
func (w *world) fails(words string, args ...string) {
	w.t.Helper()
	if out, ok := w.gh(args...); ok || !strings.Contains(out, words) {
		w.t.Errorf("gh %s: failed %v:\n%s\nwant: %s", strings.Join(args, " "), !ok, out, words)
	}
}

func TestTheCommandLineOfGitHubIsServed(t *testing.T) {
	w := open(t, "")
	w.home, w.as = t.TempDir(), w.author.Token
	if out, ok := w.gh("config", "set", "http_unix_socket", w.socket); !ok {
		t.Fatal(out)
	}
	const at = "repos/octo/shop"
	w.prints("author", "api", "user", "--jq", ".login")
	w.prints("octo/shop", "api", at, "--jq", ".full_name")
	w.prints("shop", "api", at+"/contents/README.md", "-H", "Accept: application/vnd.github.raw")
	w.prints("change/one main", "api", at+"/branches", "--jq", "[.[].name] | join(\" \")")
	w.prints(w.head, "api", at+"/commits/main", "--jq", ".sha")
	w.prints("open More change/one", "api", at+"/pulls/1", "--jq", `"\(.state) \(.title) \(.head.ref)"`)

	// Comments are written, with whatever is in them, and read page after page.
	w.prints("author", "api", at+"/issues/1/comments", "-f", "body=$(id) `id` @everyone", "--jq", ".user.login")
	for range 4 {
		w.prints("more", "api", at+"/issues/1/comments", "-f", "body=more", "--jq", ".body")
	}
	w.prints("$(id) `id` @everyone\nmore\nmore\nmore\nmore", "api", "--paginate", at+"/issues/1/comments?per_page=2", "--jq", ".[].body")
	w.prints("New title", "api", "-X", "PATCH", at+"/pulls/1", "-f", "title=New title", "--jq", ".title")
	w.prints("queued", "api", at+"/deployments", "-f", "ref=main", "-f", "environment=staging", "-F", "auto_merge=false", "-F", "required_contexts[]", "--jq", `"queued"`)

	// What a person may not do, and what is wrong or not there, is told as GitHub tells it.
	w.fails("HTTP 403", "api", "-X", "POST", at+"/check-runs", "-f", "name=mine", "-f", "head_sha="+w.head)
	w.fails("HTTP 404", "api", "repos/octo/nothing")
	w.fails("HTTP 422", "api", at+"/issues/1/comments", "-f", "body=")
	w.as = w.AddUser("reader").Token
	w.fails("HTTP 403", "api", at+"/git/refs", "-f", "ref=refs/heads/mine", "-f", "sha="+w.head)
	w.as = "ghp_nobodys"
	w.fails("HTTP 401", "api", "user")
	w.Look(func(v *github.View) {
		if n := len(v.CheckRuns(repo, w.head)); n != 0 {
			t.Errorf("a person wrote %d checks", n)
		}
		if n := len(v.Deployments(repo, "staging")); n != 1 {
			t.Errorf("there are %d deployments, of one that was asked for", n)
		}
	})
}

// An App's own token serves the command line as a person's does.
func TestTheCommandLineOfGitHubTakesAnAppsToken(t *testing.T) {
	w := open(t, "")
	w.home, w.as = t.TempDir(), strings.TrimSpace(w.plays("token", nil))
	if out, ok := w.gh("config", "set", "http_unix_socket", w.socket); !ok {
		t.Fatal(out)
	}
	w.prints("octo/shop", "api", "installation/repositories", "--jq", ".repositories[].full_name")
	w.prints("conveyor success", "api", "repos/octo/shop/check-runs", "-f", "name=unit", "-f", "head_sha="+w.head, "-f", "conclusion=success", "--jq", `"\(.app.slug) \(.conclusion)"`)
	w.fails("HTTP 403", "api", "user")
}
