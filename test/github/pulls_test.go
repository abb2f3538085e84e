package github_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestAPullRequestKeepsItsRefs(t *testing.T) {
	w, main, gh := ready(t)
	ctx := context.Background()
	head := w.commit("topic", "ada", map[string]string{"a": "1\n"})
	p, err := w.OpenPull("acme/shop", "ada", "A", "topic", "main")
	w.ok(err)
	token := w.token(w.installationID(), nil)
	ref := func(name string) string {
		line, _, _ := strings.Cut(w.mustGit(".", "ls-remote", w.cloneURL(token), name), "\t")
		return line
	}
	got, _, err := gh.PullRequests.Get(ctx, "acme", "shop", int(p.Number))
	w.ok(err)
	if ref("refs/pull/1/head") != head || ref("refs/pull/1/merge") != got.GetMergeCommitSHA() || !got.GetMergeable() || got.GetBase().GetSHA() != main {
		t.Errorf("head %s, merge %s, mergeable %v", ref("refs/pull/1/head"), ref("refs/pull/1/merge"), got.GetMergeable())
	}
	stale := ref("refs/pull/1/merge")
	w.commit("main", "ada", map[string]string{"b": "1\n"})
	if ref("refs/pull/1/merge") != stale {
		t.Error("the test merge follows the base by itself; GitHub's does not")
	}
	_, _, err = gh.PullRequests.Get(ctx, "acme", "shop", 1)
	w.ok(err)
	if ref("refs/pull/1/merge") == stale {
		t.Error("reading the pull request does not refresh its test merge")
	}
	w.commit("main", "ada", map[string]string{"a": "2\n"})
	got, _, err = gh.PullRequests.Get(ctx, "acme", "shop", 1)
	w.ok(err)
	if got.GetMergeable() || got.GetMergeableState() != "dirty" || ref("refs/pull/1/merge") != "" {
		t.Errorf("in conflict it is %s with %q", got.GetMergeableState(), ref("refs/pull/1/merge"))
	}
	if _, err := w.Merge("acme/shop", 1, "ada"); err == nil {
		t.Error("a conflict was merged")
	}
}

func TestAForksPullRequestBringsItsCommitsOver(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	fork, err := w.Fork("acme/shop", "mallory")
	w.ok(err)
	first, err := w.Commit("mallory/shop", "evil", "mallory", "first", map[string]string{"x": "1"})
	w.ok(err)
	p, err := w.OpenPull("acme/shop", "mallory", "Take this", "mallory:evil", "main")
	w.ok(err)
	second, err := w.Commit("mallory/shop", "evil", "mallory", "second", map[string]string{"x": "2"})
	w.ok(err)
	w.quiet()
	names := w.inbox.names()
	if slices.Contains(names[len(names)-2:], "push") || names[len(names)-1] != "pull_request.synchronize" {
		t.Errorf("heard %v; the base hears no push to a fork", names)
	}
	told, _ := w.inbox.last("pull_request.synchronize")
	if told.payload["before"] != first || told.payload["after"] != second {
		t.Errorf("synchronized %v..%v", told.payload["before"], told.payload["after"])
	}
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: second})
	w.ok(err)
	if len(run.PullRequests) != 0 || run.GetCheckSuite().GetHeadBranch() != "" {
		t.Errorf("a run for a fork's commit names %d pull requests", len(run.PullRequests))
	}
	dir := t.TempDir()
	w.mustGit(dir, "init", "--quiet")
	w.mustGit(dir, "fetch", "--quiet", w.cloneURL(w.token(w.installationID(), nil)), second)
	w.ok(w.DeleteRepo(fork.FullName, "mallory"))
	got, _, err := gh.PullRequests.Get(ctx, "acme", "shop", int(p.Number))
	w.ok(err)
	if got.GetHead().Repo != nil || got.GetHead().GetSHA() != second {
		t.Errorf("once the fork is gone its repository is %v", got.GetHead().Repo)
	}
}

func TestAPullRequestIsFoundListedEditedClosedAndReopened(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	head := w.commit("topic", "ada", map[string]string{"a": "1\n", "dir/b": "x\n"})
	w.commit("release", "ada", map[string]string{"r": "1\n"})
	p, _, err := gh.PullRequests.Create(ctx, "acme", "shop", &gogithub.NewPullRequest{Title: gogithub.String("A"), Head: gogithub.String("topic"), Base: gogithub.String("main")})
	w.ok(err)
	if _, _, err := gh.PullRequests.Create(ctx, "acme", "shop", &gogithub.NewPullRequest{Title: gogithub.String("A"), Head: gogithub.String("topic"), Base: gogithub.String("main")}); err == nil || !strings.Contains(err.Error(), "A pull request already exists for acme:topic.") {
		t.Errorf("a second one: %v", err)
	}
	if _, _, err := gh.PullRequests.Create(ctx, "acme", "shop", &gogithub.NewPullRequest{Title: gogithub.String("A"), Head: gogithub.String("main"), Base: gogithub.String("main")}); err == nil || !strings.Contains(err.Error(), "No commits between main and main") {
		t.Errorf("one of nothing: %v", err)
	}
	n := p.GetNumber()
	files, _, err := gh.PullRequests.ListFiles(ctx, "acme", "shop", n, nil)
	w.ok(err)
	commits, _, err := gh.PullRequests.ListCommits(ctx, "acme", "shop", n, nil)
	w.ok(err)
	if len(files) != 2 || files[1].GetFilename() != "dir/b" || files[1].GetAdditions() != 1 || !strings.HasPrefix(files[1].GetPatch(), "@@ -0,0 +1 @@") || len(commits) != 1 {
		t.Errorf("%d files in %d commits, patch %q", len(files), len(commits), files[1].GetPatch())
	}
	of, _, err := gh.PullRequests.ListPullRequestsWithCommit(ctx, "acme", "shop", head, nil)
	w.ok(err)
	list, _, err := gh.PullRequests.List(ctx, "acme", "shop", &gogithub.PullRequestListOptions{Head: "acme:topic", Base: "main"})
	w.ok(err)
	if len(of) != 1 || len(list) != 1 {
		t.Errorf("%d by commit, %d by head", len(of), len(list))
	}
	w.ok(w.EditPull("acme/shop", int64(n), "ada", "", "", "release"))
	w.ok(w.ClosePull("acme/shop", int64(n), "ada"))
	w.ok(w.ReopenPull("acme/shop", int64(n), "ada"))
	w.ok(w.Review("acme/shop", int64(n), "ada", "APPROVE", "fine"))
	reviews, _, err := gh.PullRequests.ListReviews(ctx, "acme", "shop", n, nil)
	w.ok(err)
	if len(reviews) != 1 || reviews[0].GetState() != "APPROVED" || reviews[0].GetCommitID() != head {
		t.Errorf("%d reviews", len(reviews))
	}
	_, _, err = gh.PullRequests.Edit(ctx, "acme", "shop", n, &gogithub.PullRequest{State: gogithub.String("closed")})
	w.ok(err)
	w.ok(w.ReopenPull("acme/shop", int64(n), "ada"))
	w.ok(w.DeleteBranch("acme/shop", "topic", "ada"))
	got, _, err := gh.PullRequests.Get(ctx, "acme", "shop", n)
	w.ok(err)
	if got.GetState() != "closed" || got.GetMerged() {
		t.Errorf("without its branch it is %s", got.GetState())
	}
	w.quiet()
	edited, _ := w.inbox.last("pull_request.edited")
	if edited.payload["changes"].(map[string]any)["base"].(map[string]any)["ref"].(map[string]any)["from"] != "main" {
		t.Errorf("edited: %v", edited.payload["changes"])
	}
}

func TestMergingOverRESTChecksTheHead(t *testing.T) {
	w, _, _ := ready(t)
	w.ok(w.Grant("acme/shop", "wim", "write"))
	gh := w.with(w.AddUser("wim").Token)
	ctx := context.Background()
	head := w.commit("topic", "ada", map[string]string{"a": "1\n"})
	w.must(w.OpenPull("acme/shop", "ada", "A change", "topic", "main"))
	if _, res, _ := gh.PullRequests.Merge(ctx, "acme", "shop", 1, "", &gogithub.PullRequestOptions{SHA: strings.Repeat("a", 40)}); res.StatusCode != http.StatusConflict {
		t.Errorf("another head answered %s", res.Status)
	}
	if _, res, _ := gh.PullRequests.Merge(ctx, "acme", "shop", 1, "", &gogithub.PullRequestOptions{MergeMethod: "rebase"}); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a rebase answered %s", res.Status)
	}
	done, _, err := gh.PullRequests.Merge(ctx, "acme", "shop", 1, "", &gogithub.PullRequestOptions{SHA: head, MergeMethod: "squash"})
	w.ok(err)
	commit, _, err := gh.Repositories.GetCommit(ctx, "acme", "shop", "main", nil)
	w.ok(err)
	if commit.GetSHA() != done.GetSHA() || len(commit.Parents) != 1 || commit.GetCommit().GetMessage() != "A change (#1)" {
		t.Errorf("main is %s, %q", commit.GetSHA(), commit.GetCommit().GetMessage())
	}
	if merged, _, err := gh.PullRequests.IsMerged(ctx, "acme", "shop", 1); err != nil || !merged {
		t.Errorf("merged: %v %v", merged, err)
	}
	if _, res, _ := gh.PullRequests.Merge(ctx, "acme", "shop", 1, "", nil); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a second time answered %s", res.Status)
	}
	w.quiet()
	closed, _ := w.inbox.last("pull_request.closed")
	pr := closed.payload["pull_request"].(map[string]any)
	if pr["merged"] != true || pr["merge_commit_sha"] != done.GetSHA() {
		t.Errorf("told merged=%v as %v", pr["merged"], pr["merge_commit_sha"])
	}
}

func TestAPushToTheBaseThatHoldsTheHeadMerges(t *testing.T) {
	w, _, _ := ready(t)
	head := w.commit("topic", "ada", map[string]string{"a": "1\n"})
	p, err := w.OpenPull("acme/shop", "ada", "A", "topic", "main")
	w.ok(err)
	w.ok(w.ForcePush("acme/shop", "main", "ada", head))
	w.Look(func(v *github.View) {
		if got, _ := v.Pull("acme/shop", p.Number); !got.Merged || got.MergeCommitSHA != head {
			t.Errorf("it is %s, merged %v", got.State, got.Merged)
		}
	})
}

func TestGitClonesAndPushesOverHTTP(t *testing.T) {
	w, first, _ := ready(t)
	w.ok(w.Grant("acme/shop", "grace", "write"))
	w.ok(w.Grant("acme/shop", "rita", "read"))
	grace, rita := w.AddUser("grace").Token, w.AddUser("rita").Token
	app := w.token(w.installationID(), nil)
	dir := t.TempDir() + "/shop"
	w.mustGit(".", "clone", "--quiet", w.cloneURL(grace), dir)
	if got := w.mustGit(dir, "rev-parse", "HEAD"); got != first {
		t.Errorf("cloned %s", got)
	}
	w.mustGit(dir, "commit", "--quiet", "--allow-empty", "-m", "by hand")
	w.mustGit(dir, "push", "--quiet", "origin", "HEAD:main", "HEAD:refs/heads/topic/one", "HEAD:refs/tags/v1")
	sha := w.mustGit(dir, "rev-parse", "HEAD")
	w.Look(func(v *github.View) {
		if v.Ref("acme/shop", "refs/heads/main") != sha || v.Ref("acme/shop", "refs/tags/v1") != sha {
			t.Error("the push is not seen at once")
		}
	})
	w.quiet()
	var pushed []string
	for _, h := range w.inbox.got {
		if h.event == "push" {
			pushed = append(pushed, h.payload["ref"].(string))
		}
	}
	if got := strings.Join(pushed[1:], " "); got != "refs/heads/main refs/heads/topic/one refs/tags/v1" {
		t.Errorf("told of pushes to %s", got)
	}
	last, _ := w.inbox.last("push")
	if last.payload["pusher"].(map[string]any)["name"] != "grace" {
		t.Errorf("pushed by %v", last.payload["pusher"])
	}
	if commits := last.payload["head_commit"].(map[string]any)["message"]; commits != "by hand" {
		t.Errorf("the head commit says %v", commits)
	}

	w.mustGit(dir, "commit", "--quiet", "--allow-empty", "-m", "more")
	for name, c := range map[string]struct {
		url  string
		args []string
		want string
	}{
		"a reader pushes":            {w.cloneURL(rita), []string{"push", "--quiet"}, "403"},
		"an App with contents:read":  {w.cloneURL(app), []string{"push", "--quiet"}, "403"},
		"a wrong token":              {w.cloneURL("ghp_wrong"), []string{"ls-remote"}, "Authentication failed"},
		"a stranger":                 {w.cloneURL(w.AddUser("stranger").Token), []string{"ls-remote"}, "not found"},
		"nobody":                     {w.URL() + "/acme/shop.git", []string{"ls-remote"}, "could not read Username"},
		"a push to a pull's own ref": {w.cloneURL(grace), []string{"push", "--quiet"}, "deny updating a hidden ref"},
	} {
		args := append(c.args, c.url)
		if c.args[0] == "push" {
			args = append(args, "HEAD:main")
			if strings.Contains(name, "pull's own") {
				args[len(args)-1] = "HEAD:refs/pull/1/head"
			}
		}
		if out, err := w.git(dir, args...); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	w.mustGit(dir, "ls-remote", w.cloneURL(app))
	w.mustGit(dir, "push", "--quiet", "origin", ":topic/one")
	w.quiet()
	if names := w.inbox.names(); names[len(names)-2] != "delete" {
		t.Errorf("deleting a branch told %v", names[len(names)-2:])
	}
	w.must(w.CreateRepo("acme", "open", false))
	w.mustGit(dir, "ls-remote", w.URL()+"/acme/open.git")
	w.ok(w.Rename("acme/shop", "store", "ada"))
	w.mustGit(dir, "ls-remote", w.cloneURL(grace))
}

func TestABigPushArrives(t *testing.T) {
	w, _, _ := ready(t)
	w.ok(w.Grant("acme/shop", "grace", "write"))
	dir := t.TempDir() + "/shop"
	w.mustGit(".", "clone", "--quiet", w.cloneURL(w.AddUser("grace").Token), dir)
	noise := make([]byte, 3<<20) // beyond git's post buffer, so that it sends chunks
	for i := range noise {
		noise[i] = byte(i*i>>3 ^ i*7)
	}
	writeFile(t, dir+"/noise", noise)
	w.mustGit(dir, "add", "noise")
	w.mustGit(dir, "commit", "--quiet", "-m", "noise")
	w.mustGit(dir, "-c", "core.compression=0", "push", "--quiet", "origin", "HEAD:main")
	w.Look(func(v *github.View) {
		if v.Ref("acme/shop", "refs/heads/main") != w.mustGit(dir, "rev-parse", "HEAD") {
			t.Error("the push did not arrive")
		}
	})
}
