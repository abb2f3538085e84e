package github_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/test/github"
)

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSignaturesAreGitHubs(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ secret, body, sum256, sum1 string }{
		{"It's a Secret to Everybody", "Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "01dc10d0c83e72ed246219cdd91669667fe2ca59"},
		{"s", "", "64eca07cce67929c357d63d0a4aec207e774800403298914fc04e88ce02ac49f", "71d58ad26842efdab8a2d541818921d2066afebd"},
		{"sécret-🔑", `{"ref":"refs/heads/ünï-🚀"}`, "d6f04ae75e868ceb735330f792398ac98a0f8f126adf42e5f13640a5b33fc179", "3283f19397600b5dc4daca97d35e48698d1328eb"},
		{"k", "{\"a\":\"x\r\ny\"}", "aad0a632c9d104e683ae84183a7baa79d94e5b852b016a01122ecda0e229cae5", "1d"},
	} {
		if got := github.Sign(v.secret, []byte(v.body), sha256.New); got != v.sum256 {
			t.Errorf("%q: sha256 %s", v.body, got)
		}
		if got := github.Sign(v.secret, []byte(v.body), sha1.New); len(v.sum1) == 40 && got != v.sum1 {
			t.Errorf("%q: sha1 %s", v.body, got)
		}
	}
}

func TestADeliveryHasGitHubsHeadersAndItsOwnApp(t *testing.T) {
	w, _, _ := ready(t)
	w.quiet()
	h, _ := w.inbox.last("push")
	for name, want := range map[string]string{"Content-Type": "application/json", "X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(w.app.ID), "X-Hub-Signature": "sha1=" + github.Sign(w.app.WebhookSecret, h.raw, sha1.New),
		"X-Hub-Signature-256": sha256Sign(w.app.WebhookSecret, h.raw)} {
		if got := h.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(h.header.Get("User-Agent"), "GitHub-Hookshot/") || len(h.header.Get("X-GitHub-Delivery")) != 36 || h.header.Get("X-GitHub-Hook-ID") == "" {
		t.Errorf("headers %v", h.header)
	}
	if got := h.payload["installation"].(map[string]any)["id"]; fmt.Sprint(got) != fmt.Sprint(float64(w.installationID())) {
		t.Errorf("for installation %v", got)
	}
}

func TestTwoAppsHearOneEventUnderOneGUID(t *testing.T) {
	w, _, _ := ready(t)
	m := manifest(w.inbox.URL)
	m.Name, m.DefaultEvents = "Quiet one", []string{"push"}
	other, err := w.RegisterApp("acme", m)
	w.ok(err)
	w.must(w.InstallApp(other.Slug, "acme", "shop"))
	w.must(w.OpenIssue("acme/shop", "ada", "unheard", ""))
	w.must(w.Comment("acme/shop", 1, "ada", "heard by one"))
	w.commit("main", "ada", map[string]string{"x": "y"})
	w.quiet()
	pushes, comments := map[string]int{}, 0
	for _, h := range w.inbox.got {
		switch h.name() {
		case "push":
			pushes[h.header.Get("X-GitHub-Delivery")]++
		case "issue_comment.created":
			comments++
		case "issues.opened":
			t.Error("nobody subscribed to issues")
		}
	}
	counts := []int{}
	for _, n := range pushes {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	if !slices.Equal(counts, []int{1, 2}) || comments != 1 {
		t.Errorf("pushes by GUID %v, comments %d", counts, comments)
	}
}

func TestAFailedDeliveryIsListedAndSentAgain(t *testing.T) {
	w, _, _ := ready(t)
	w.quiet()
	ctx := context.Background()
	broken := true
	w.inbox.answer = func(heard) int {
		if broken {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	w.commit("main", "ada", map[string]string{"x": "y"})
	w.quiet()
	heardOnce := len(w.inbox.names())
	app := w.asApp()
	list, _, err := app.Apps.ListHookDeliveries(ctx, nil)
	w.ok(err)
	if *list[0].StatusCode != 500 || list[0].GetStatus() != "Invalid HTTP Response: 500" {
		t.Fatalf("the newest delivery came to %s", list[0].GetStatus())
	}
	broken = false
	for _, d := range list {
		if d.GetStatus() == "OK" {
			continue
		}
		full, _, err := app.Apps.GetHookDelivery(ctx, d.GetID())
		w.ok(err)
		if full.Request.Headers["X-Github-Delivery"] != d.GetGUID() || full.Response == nil {
			t.Errorf("the delivery shows %v", full.Request.Headers)
		}
		if _, _, err := app.Apps.RedeliverHookDelivery(ctx, d.GetID()); err != nil {
			if _, accepted := err.(*gogithub.AcceptedError); !accepted {
				t.Fatal(err)
			}
		}
		w.quiet()
		again, _, err := w.asApp().Apps.ListHookDeliveries(ctx, &gogithub.ListCursorOptions{PerPage: 1})
		w.ok(err)
		if again[0].GetGUID() != d.GetGUID() || again[0].GetID() == d.GetID() || !again[0].GetRedelivery() || again[0].GetStatus() != "OK" {
			t.Errorf("sent again as %s (was %s), redelivery %v, %s", again[0].GetGUID(), d.GetGUID(), again[0].GetRedelivery(), again[0].GetStatus())
		}
	}
	if got := len(w.inbox.names()); got != heardOnce+2 {
		t.Errorf("heard %d more", got-heardOnce)
	}
	w.clock.advance(73 * time.Hour)
	if list, _, err := w.asApp().Apps.ListHookDeliveries(ctx, nil); err != nil || len(list) != 0 {
		t.Errorf("after three days %d are listed: %v", len(list), err)
	}
}

func TestDeliveriesArePagedByCursor(t *testing.T) {
	w, _, _ := ready(t)
	for i := range 12 {
		w.commit("main", "ada", map[string]string{"n": fmt.Sprint(i)})
	}
	w.quiet()
	app := w.asApp()
	seen := map[int64]bool{}
	opt := &gogithub.ListCursorOptions{PerPage: 10}
	pages := 0
	for {
		list, res, err := app.Apps.ListHookDeliveries(context.Background(), opt)
		w.ok(err)
		pages++
		for _, d := range list {
			seen[d.GetID()] = true
		}
		if res.Cursor == "" {
			break
		}
		opt.Cursor = res.Cursor
	}
	if want := len(w.Deliveries()); len(seen) != want || pages != (want+9)/10 {
		t.Errorf("%d of %d deliveries on %d pages", len(seen), want, pages)
	}
}

func TestASlowReceiverIsCutOff(t *testing.T) {
	stop := make(chan struct{})
	w, _, _ := ready(t, func(o *github.Options) { o.WebhookTimeout = 50 * time.Millisecond })
	w.quiet()
	w.inbox.answer = func(heard) int { <-stop; return 200 }
	w.commit("main", "ada", map[string]string{"x": "y"})
	w.quiet()
	close(stop)
	all := w.Deliveries()
	if last := all[len(all)-1]; last.Status != "timed out" || last.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("it came to %s (%d)", last.Status, last.StatusCode)
	}
}

func TestWaitingNeedsNoSleepAndEndsWithItsContext(t *testing.T) {
	w, sha, gh := ready(t)
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	go func() {
		done <- w.Wait(ctx, func(v *github.View) bool {
			run, ok := v.CheckRun("acme/shop", sha, "unit")
			return ok && run.Conclusion == "success"
		})
	}()
	_, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: sha, Conclusion: gogithub.String("success")})
	w.ok(err)
	w.ok(<-done)
	gone, give := context.WithCancel(ctx)
	give()
	if err := w.Wait(gone, func(*github.View) bool { return false }); err == nil {
		t.Error("it waits for ever")
	}
}

func TestCallsAreCountedByRun(t *testing.T) {
	w, _, _ := ready(t)
	token := w.token(w.installationID(), nil)
	for range 3 {
		w.api(token, "GET", "/repos/acme/shop", "", "X-Conveyor-Run", "run-1")
	}
	calls := w.Calls()
	last := calls[len(calls)-1]
	if last.Route != "/repos/{owner}/{repo}" || last.Run != "run-1" || last.Status != 200 || !strings.HasPrefix(last.Caller, "installation ") {
		t.Errorf("the last call is %+v", last)
	}
	if got := w.Ledger().Calls["run-1"]; got != 3 {
		t.Errorf("%d calls", got)
	}
}

func TestThePagesShowChecksDeploymentsAndCommentsWithoutTrustingThem(t *testing.T) {
	w, _, gh := ready(t)
	ctx := context.Background()
	head := w.commit("topic", "ada", map[string]string{"a": "1"})
	w.must(w.OpenPull("acme/shop", "ada", "<script>title</script>", "topic", "main"))
	none := []string{}
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit tests", HeadSHA: head, Conclusion: gogithub.String("failure"),
		DetailsURL: gogithub.String("https://conveyor.example/runs/1"), Actions: []*gogithub.CheckRunAction{{Label: "Try again", Description: "d", Identifier: "again"}}})
	w.ok(err)
	_, _, err = gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: &head, Environment: gogithub.String("preview-7"), AutoMerge: gogithub.Bool(false), RequiredContexts: &none})
	w.ok(err)
	w.must(w.Comment("acme/shop", 1, "ada", "<img src=x onerror=alert(1)>"))
	read := func(path string) string {
		res, err := http.Get(w.URL() + path)
		w.ok(err)
		defer res.Body.Close()
		b := make([]byte, 1<<16)
		n, _ := res.Body.Read(b)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s answered %s", path, res.Status)
		}
		return string(b[:n])
	}
	page := read("/acme/shop/pull/1")
	for _, want := range []string{"unit tests", "failure", "https://conveyor.example/runs/1", "Try again", "preview-7", "&lt;img src=x", "&lt;script&gt;title"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the pull request lacks %q", want)
		}
	}
	if !strings.Contains(read("/acme/shop/commit/"+head), "unit tests") || !strings.Contains(read("/acme/shop"), "/acme/shop/pull/1") || !strings.Contains(read(fmt.Sprint("/acme/shop/runs/", run.GetID())), "unit tests") ||
		!strings.Contains(read("/apps/"+w.app.Slug), "Install Conveyor") {
		t.Error("a page lacks what it is for")
	}
	press := func(origin string) int {
		req, err := http.NewRequest("POST", w.URL()+"/acme/shop/pull/1/comment", strings.NewReader("body=hello&as=ada"))
		w.ok(err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", origin)
		res, err := http.DefaultTransport.RoundTrip(req)
		w.ok(err)
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := press("https://evil.example"); got != http.StatusForbidden {
		t.Errorf("a form of another site answered %d", got)
	}
	if got := press(w.URL()); got != http.StatusSeeOther {
		t.Errorf("the page's own form answered %d", got)
	}
	w.Look(func(v *github.View) {
		if got := v.Comments("acme/shop", 1); len(got) != 2 || got[1].Body != "hello" {
			t.Errorf("%d comments", len(got))
		}
	})
}
