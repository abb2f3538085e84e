package github_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestListsArePagedByLinks(t *testing.T) {
	w, _, gh := ready(t)
	n, err := w.OpenIssue("acme/shop", "ada", "Much to say", "")
	w.ok(err)
	for i := range 250 {
		w.must(w.Comment("acme/shop", n, "ada", fmt.Sprint("comment ", i)))
	}
	opt := &gogithub.IssueListCommentsOptions{ListOptions: gogithub.ListOptions{PerPage: 100}}
	var all []*gogithub.IssueComment
	var pages []int
	for {
		some, res, err := gh.Issues.ListComments(context.Background(), "acme", "shop", n, opt)
		w.ok(err)
		all, pages = append(all, some...), append(pages, len(some))
		if res.NextPage == 0 {
			if res.LastPage != 0 || res.FirstPage != 1 || res.PrevPage != 2 {
				t.Errorf("the last page says last=%d first=%d prev=%d", res.LastPage, res.FirstPage, res.PrevPage)
			}
			break
		}
		if res.LastPage != 3 {
			t.Errorf("page %d says that %d is last", opt.Page, res.LastPage)
		}
		opt.Page = res.NextPage
	}
	if fmt.Sprint(pages) != "[100 100 50]" || all[249].GetBody() != "comment 249" {
		t.Errorf("pages of %v, the last is %q", pages, all[249].GetBody())
	}
	some, _, err := gh.Issues.ListComments(context.Background(), "acme", "shop", n, &gogithub.IssueListCommentsOptions{ListOptions: gogithub.ListOptions{Page: 99}})
	if err != nil || len(some) != 0 {
		t.Errorf("a page beyond the end has %d: %v", len(some), err)
	}
}

func TestAnETagSavesTheAnswerAndTheLimit(t *testing.T) {
	w, _, _ := ready(t)
	token := w.token(w.installationID(), nil)
	_, header, _ := w.api(token, "GET", "/repos/acme/shop", "")
	before := header.Get("X-RateLimit-Remaining")
	status, header, body := w.api(token, "GET", "/repos/acme/shop", "", "If-None-Match", header.Get("ETag"))
	if status != http.StatusNotModified || body != nil || header.Get("ETag") == "" {
		t.Fatalf("answered %d with %v", status, body)
	}
	_, header, _ = w.api(token, "GET", "/rate_limit", "")
	if got := header.Get("X-RateLimit-Remaining"); got != before {
		t.Errorf("a 304 cost: %s left, before %s", got, before)
	}
	etag := header.Get("ETag")
	if status, _, _ := w.api(w.token(w.installationID(), nil), "GET", "/repos/acme/shop", "", "If-None-Match", etag); status != http.StatusOK {
		t.Errorf("another token's ETag answered %d", status)
	}
}

func TestEveryAnswerHasGitHubsHeaders(t *testing.T) {
	w, _, _ := ready(t)
	_, h, _ := w.api(w.token(w.installationID(), nil), "GET", "/repos/acme/shop", "", "X-GitHub-Api-Version", "2022-11-28")
	for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Used", "X-RateLimit-Resource", "X-GitHub-Request-Id", "Date", "ETag",
		"X-GitHub-Media-Type", "X-GitHub-Api-Version-Selected"} {
		if h.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil || !at.Equal(w.clock.now()) {
		t.Errorf("the date is %s", h.Get("Date"))
	}
	for version, want := range map[string]int{"2026-03-10": 200, "2020-01-01": 410, "tomorrow": 400} {
		if got, _, _ := w.api("", "GET", "/meta", "", "X-GitHub-Api-Version", version); got != want {
			t.Errorf("version %s answered %d", version, got)
		}
	}
	if got, _, body := w.api("", "GET", "/meta", "", "User-Agent", ""); got != http.StatusForbidden || !strings.Contains(body["message"].(string), "User-Agent") {
		t.Errorf("without a user agent answered %d", got)
	}
	if got, _, body := w.api("", "GET", "/no/such/thing", ""); got != http.StatusNotFound || body["documentation_url"] == "" {
		t.Errorf("an unknown path answered %d %v", got, body)
	}
	if got, _, body := w.api(w.token(w.installationID(), nil), "POST", "/repos/acme/shop/check-runs", "{"); got != http.StatusBadRequest || body["message"] != "Problems parsing JSON" {
		t.Errorf("broken JSON answered %d %v", got, body)
	}
}

func TestTheRateLimitIsPerInstallationAndHour(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	id := w.installationID()
	w.SetRateLimit(id, 5000, 2)
	for range 2 {
		_, _, err := gh.Repositories.Get(ctx, "acme", "shop")
		w.ok(err)
	}
	_, _, err := gh.Repositories.Get(ctx, "acme", "shop")
	limited, is := err.(*gogithub.RateLimitError)
	if !is || limited.Rate.Remaining != 0 || !limited.Rate.Reset.Time.Equal(w.clock.now().Add(time.Hour)) {
		t.Fatalf("go-github saw %v", err)
	}
	if _, _, err := w.asApp().Apps.Get(ctx, ""); err != nil {
		t.Errorf("the App itself: %v", err)
	}
	w.clock.advance(time.Hour)
	if _, _, err := w.installation(id, nil).Repositories.Get(ctx, "acme", "shop"); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	limits, _, err := w.installation(id, nil).RateLimit.Get(ctx)
	if err != nil || limits.Core.Limit != 5000 {
		t.Errorf("the limits: %v", err)
	}
}

func TestARenamedRepositoryIsRedirected(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	repo, _, err := gh.Repositories.Get(ctx, "acme", "shop")
	w.ok(err)
	w.ok(w.Rename("acme/shop", "store", "ada"))
	token := w.token(w.installationID(), nil)
	status, h, _ := w.api(token, "GET", "/repos/acme/shop/commits/main?per_page=3", "")
	want := w.APIURL() + "repositories/" + strconv.FormatInt(repo.GetID(), 10) + "/commits/main?per_page=3"
	if status != http.StatusMovedPermanently || h.Get("Location") != want {
		t.Errorf("reading answered %d to %s", status, h.Get("Location"))
	}
	if status, _, _ := w.api(token, "POST", "/repos/acme/shop/check-runs", `{}`); status != http.StatusTemporaryRedirect {
		t.Errorf("writing answered %d", status)
	}
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: sha})
	if err != nil || run.GetName() != "unit" {
		t.Errorf("through the redirect: %v", err)
	}
	if got, _, err := gh.Repositories.Get(ctx, "acme", "shop"); err != nil || got.GetName() != "store" {
		t.Errorf("the repository by its old name: %v", err)
	}
	if got, _, err := gh.Repositories.GetByID(ctx, repo.GetID()); err != nil || got.GetFullName() != "acme/store" {
		t.Errorf("the repository by its number: %v", err)
	}
	w.must(w.CreateRepo("acme", "shop", true))
	if status, _, _ := w.api(token, "GET", "/repos/acme/shop", ""); status != http.StatusOK {
		t.Errorf("once the old name is taken answered %d", status)
	}
	w.ok(w.DeleteRepo("acme/store", "ada"))
	if status, _, _ := w.api(token, "GET", "/repos/acme/store", ""); status != http.StatusNotFound {
		t.Errorf("once deleted answered %d", status)
	}
}

func TestFilesCommitsAndRefsAreRead(t *testing.T) {
	w, first, gh := ready(t)
	ctx := context.Background()
	second := w.commit("release/1.0", "ada", map[string]string{"src/main.go": "package main\n", "README.md": github.Delete, "run.sh": "#!/bin/sh\n"})

	file, _, _, err := gh.Repositories.GetContents(ctx, "acme", "shop", "src/main.go", &gogithub.RepositoryContentGetOptions{Ref: "release/1.0"})
	w.ok(err)
	if text, _ := file.GetContent(); text != "package main\n" {
		t.Errorf("the file is %q", text)
	}
	_, dir, _, err := gh.Repositories.GetContents(ctx, "acme", "shop", "", &gogithub.RepositoryContentGetOptions{Ref: second})
	w.ok(err)
	if len(dir) != 2 || dir[1].GetType() != "dir" {
		t.Errorf("the root has %d entries", len(dir))
	}
	if _, _, res, _ := gh.Repositories.GetContents(ctx, "acme", "shop", "README.md", &gogithub.RepositoryContentGetOptions{Ref: second}); res.StatusCode != http.StatusNotFound {
		t.Errorf("a removed file answered %s", res.Status)
	}
	got, _, err := gh.Repositories.GetCommit(ctx, "acme", "shop", "release/1.0", nil)
	w.ok(err)
	if got.GetSHA() != second || len(got.Files) != 3 || got.GetAuthor().GetLogin() != "ada" || got.Parents[0].GetSHA() != first {
		t.Errorf("the commit is %s with %d files", got.GetSHA(), len(got.Files))
	}
	compared, _, err := gh.Repositories.CompareCommits(ctx, "acme", "shop", "main", "release/1.0", nil)
	w.ok(err)
	if compared.GetStatus() != "ahead" || compared.GetAheadBy() != 1 || len(compared.Files) != 3 {
		t.Errorf("compared: %s by %d", compared.GetStatus(), compared.GetAheadBy())
	}
	ref, _, err := gh.Git.GetRef(ctx, "acme", "shop", "heads/release/1.0")
	w.ok(err)
	if ref.GetObject().GetSHA() != second {
		t.Errorf("the ref is at %s", ref.GetObject().GetSHA())
	}
	branch, _, err := gh.Repositories.GetBranch(ctx, "acme", "shop", "release/1.0", 0)
	w.ok(err)
	branches, _, err := gh.Repositories.ListBranches(ctx, "acme", "shop", nil)
	w.ok(err)
	if branch.GetCommit().GetSHA() != second || len(branches) != 2 {
		t.Errorf("the branch is at %s, one of %d", branch.GetCommit().GetSHA(), len(branches))
	}
	tree, _, err := gh.Git.GetTree(ctx, "acme", "shop", second, true)
	w.ok(err)
	if len(tree.Entries) != 3 || tree.Entries[0].GetMode() != "100755" {
		t.Errorf("the tree has %d entries, the first of mode %s", len(tree.Entries), tree.Entries[0].GetMode())
	}
	if _, _, err := gh.Git.GetBlob(ctx, "acme", "shop", tree.Entries[0].GetSHA()); err != nil {
		t.Error(err)
	}
	if _, _, err := gh.Git.GetCommit(ctx, "acme", "shop", second); err != nil {
		t.Error(err)
	}
	list, _, err := gh.Repositories.ListCommits(ctx, "acme", "shop", &gogithub.CommitsListOptions{SHA: "release/1.0"})
	w.ok(err)
	if len(list) != 2 {
		t.Errorf("%d commits", len(list))
	}
	if _, res, _ := gh.Repositories.GetCommit(ctx, "acme", "shop", "nowhere", nil); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("an unknown ref answered %s", res.Status)
	}
	short, _, err := gh.Repositories.GetCommitSHA1(ctx, "acme", "shop", "main", "")
	if err != nil || short != first {
		t.Errorf("the SHA of main is %q: %v", short, err)
	}
}

func TestRefsAreMadeMovedAndDeletedByAWriter(t *testing.T) {
	w, first, _ := ready(t)
	w.ok(w.Grant("acme/shop", "wim", "write"))
	gh := w.with(w.AddUser("wim").Token)
	ctx := context.Background()
	second := w.commit("main", "ada", map[string]string{"a": "b"})
	_, _, err := gh.Git.CreateRef(ctx, "acme", "shop", &gogithub.Reference{Ref: gogithub.String("refs/heads/lock"), Object: &gogithub.GitObject{SHA: &first}})
	w.ok(err)
	if _, res, _ := gh.Git.CreateRef(ctx, "acme", "shop", &gogithub.Reference{Ref: gogithub.String("refs/heads/lock"), Object: &gogithub.GitObject{SHA: &first}}); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a second time answered %s", res.Status)
	}
	_, _, err = gh.Git.UpdateRef(ctx, "acme", "shop", &gogithub.Reference{Ref: gogithub.String("heads/lock"), Object: &gogithub.GitObject{SHA: &second}}, false)
	w.ok(err)
	if _, res, _ := gh.Git.UpdateRef(ctx, "acme", "shop", &gogithub.Reference{Ref: gogithub.String("heads/lock"), Object: &gogithub.GitObject{SHA: &first}}, false); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("backwards answered %s", res.Status)
	}
	_, err = gh.Git.DeleteRef(ctx, "acme", "shop", "heads/lock")
	w.ok(err)
	w.quiet()
	names := strings.Join(w.inbox.names(), " ")
	if !strings.Contains(names, "create push") || !strings.Contains(names, "delete push") {
		t.Errorf("heard %s", names)
	}
}

func TestStatusesAreCombinedByTheNewestOfEachContext(t *testing.T) {
	w, sha, _ := ready(t)
	gh := w.with(w.AddUser("ada").Token)
	ctx := context.Background()
	for _, s := range []struct{ context, state string }{{"lint", "failure"}, {"lint", "success"}, {"unit", "pending"}} {
		_, _, err := gh.Repositories.CreateStatus(ctx, "acme", "shop", sha, &gogithub.RepoStatus{State: &s.state, Context: &s.context})
		w.ok(err)
	}
	combined, _, err := gh.Repositories.GetCombinedStatus(ctx, "acme", "shop", "main", nil)
	w.ok(err)
	if combined.GetState() != "pending" || combined.GetTotalCount() != 2 {
		t.Errorf("%s of %d", combined.GetState(), combined.GetTotalCount())
	}
	all, _, err := gh.Repositories.ListStatuses(ctx, "acme", "shop", "main", nil)
	w.ok(err)
	if len(all) != 3 {
		t.Errorf("%d statuses", len(all))
	}
	w.quiet()
}

func TestAComplaintComesInGitHubsForm(t *testing.T) {
	w, _, gh := ready(t)
	n, err := w.OpenIssue("acme/shop", "ada", "An issue", "")
	w.ok(err)
	ctx := context.Background()
	_, _, err = gh.Issues.CreateComment(ctx, "acme", "shop", n, &gogithub.IssueComment{Body: gogithub.String(strings.Repeat("ü", 65537))})
	complaint, is := err.(*gogithub.ErrorResponse)
	if !is || complaint.Message != "Validation Failed" || len(complaint.Errors) != 1 || !strings.Contains(complaint.Errors[0].Message, "too long (maximum is 65536") {
		t.Errorf("a long comment: %v", err)
	}
	_, _, err = gh.Issues.CreateComment(ctx, "acme", "shop", n, &gogithub.IssueComment{Body: gogithub.String(strings.Repeat("ü", 65536))})
	w.ok(err)
	_, _, err = gh.Issues.CreateComment(ctx, "acme", "shop", n, &gogithub.IssueComment{})
	complaint, is = err.(*gogithub.ErrorResponse)
	if !is || complaint.Message != "Invalid request.\n\n\"body\" wasn't supplied." {
		t.Errorf("no body: %v", err)
	}
	if _, res, _ := gh.Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", 1, "eyes"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a reaction to nothing answered %s", res.Status)
	}
}

func TestLabelsAndReactionsComeAndGo(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	n, err := w.OpenIssue("acme/shop", "ada", "An issue", "")
	w.ok(err)
	_, _, err = gh.Issues.AddLabelsToIssue(ctx, "acme", "shop", n, []string{"deploy:staging", "bug"})
	w.ok(err)
	_, err = gh.Issues.RemoveLabelForIssue(ctx, "acme", "shop", n, "bug")
	w.ok(err)
	labels, _, err := gh.Issues.ListLabelsByIssue(ctx, "acme", "shop", n, nil)
	w.ok(err)
	if len(labels) != 1 || labels[0].GetName() != "deploy:staging" {
		t.Errorf("%d labels", len(labels))
	}
	k, err := w.Comment("acme/shop", n, "ada", "hello")
	w.ok(err)
	x, _, err := gh.Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", k.ID, "rocket")
	w.ok(err)
	_, err = gh.Reactions.DeleteIssueCommentReaction(ctx, "acme", "shop", k.ID, x.GetID())
	w.ok(err)
	list, _, err := gh.Reactions.ListIssueCommentReactions(ctx, "acme", "shop", k.ID, nil)
	w.ok(err)
	if len(list) != 0 {
		t.Errorf("%d reactions are left", len(list))
	}
	w.ok(w.EditComment("acme/shop", k.ID, "ada", "hello again"))
	w.ok(w.DeleteComment("acme/shop", k.ID, "ada"))
	if _, res, _ := gh.Issues.GetComment(ctx, "acme", "shop", k.ID); res.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted comment answered %s", res.Status)
	}
	issue, _, err := gh.Issues.Get(ctx, "acme", "shop", n)
	w.ok(err)
	if issue.IsPullRequest() {
		t.Error("an issue is a pull request")
	}
	w.quiet()
	edited, _ := w.inbox.last("issue_comment.edited")
	if from := edited.payload["changes"].(map[string]any)["body"].(map[string]any)["from"]; from != "hello" {
		t.Errorf("edited from %v", from)
	}
}
