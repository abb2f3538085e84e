package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// byHand sends a delivery as GitHub would, and returns the answer's status.
func (h *house) byHand(d github.Delivery) int {
	h.t.Helper()
	req := must(http.NewRequest(http.MethodPost, h.config.PublicURL+"/webhooks/github", bytes.NewReader(d.Payload)))(h.t)
	for k, v := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-GitHub-Hook-ID": "1",
		"X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(h.config.AppID), "X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-Hub-Signature-256": "sha256=" + github.Sign(h.config.WebhookSecrets[0].Reveal(), d.Payload, sha256.New),
	} {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // only the status counts
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// dropped waits for a delivery of an event that did not arrive.
func (h *house) dropped(event string) (d github.Delivery) {
	h.t.Helper()
	h.wait("the lost "+event, func(v *github.View) bool {
		for _, d = range v.Deliveries() {
			if d.Event == event && d.StatusCode == http.StatusBadGateway {
				return true
			}
		}
		return false
	})
	return d
}

// runsOf counts the journal's runs of a stopped server.
func (h *house) runsOf() int {
	h.t.Helper()
	j := h.journal()
	defer func() { _ = j.Close() }() // it was only read
	return len(h.records(j, "run/"))
}

func TestFiveOfEachWebhookDoWhatOneDoes(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.InjectHook(github.HookFault{Duplicates: 4})
	h.journey()
	h.onceEach()
	if n := h.runsOf(); n != 1 {
		t.Errorf("%d runs came of one push", n)
	}
}

func TestTheSameDeliveryAtTheSameMomentIsOneRun(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.InjectHook(github.HookFault{Event: "push", Drop: true})
	sha := h.push("main", "author", "first", plan("true"))
	d := h.dropped("push")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if code := h.byHand(d); code != http.StatusAccepted {
				t.Errorf("answered with %d", code)
			}
		})
	}
	all.Wait()
	h.concluded(sha, "conveyor / test")
	h.ends()
	if n := h.runsOf(); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestALostWebhookCountsWhenItIsDeliveredAgainAndOnlyOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	lost := h.gh.InjectHook(github.HookFault{Event: "push", Drop: true})
	sha := h.push("main", "author", "first", plan("true"))
	d := h.dropped("push")
	lost()
	for range 3 {
		if err := h.gh.Redeliver(d.ID); err != nil {
			t.Fatal(err)
		}
	}
	h.concluded(sha, "conveyor / test")
	h.ends()
	if n := h.runsOf(); n != 1 {
		t.Errorf("%d runs", n)
	}
	h.gh.Look(func(v *github.View) {
		for _, again := range v.Deliveries() {
			if again.Redelivery && (again.GUID != d.GUID || again.StatusCode != http.StatusAccepted) {
				t.Errorf("the redelivery %s was answered with %d", again.GUID, again.StatusCode)
			}
		}
	})
}

func TestAPullRequestThatWasClosedBeforeItsLastPushIsHeardStaysClosed(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", withSites("one"))
	pull := h.pull("change", withSites("two"))
	h.deployed("preview/pr-1", pull.HeadSHA)
	h.gh.InjectHook(github.HookFault{Event: "pull_request.synchronize", Behind: 1, Times: 1})
	late := h.push("change", "author", "late", map[string]string{"page.html": "three"})
	if err := h.gh.ClosePull(repo, pull.Number, "author"); err != nil {
		t.Fatal(err)
	}
	h.wait("the end of the preview", func(v *github.View) bool { return last(v, "preview/pr-1").State() == "inactive" })
	h.ends()
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deployments(repo, "preview/pr-1") {
			if d.SHA == late {
				t.Errorf("what was pushed before the close was deployed after it")
			}
		}
	})
	if _, err := os.Stat(h.site("preview/pr-1")); !os.IsNotExist(err) {
		t.Errorf("the preview is still there: %v", err)
	}
}

func TestACommentOnAPullRequestThatNoWebhookToldOfIsUnderstood(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]github.HookFault{
		"it comes first":    {Event: "pull_request.opened", Behind: 1},
		"it alone arrives":  {Event: "pull_request.opened", Lose: true},
		"it comes with two": {Event: "issue_comment.created", Duplicates: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			first := h.push("main", "author", "first", withSites("one"))
			h.deployed("staging", first)
			h.gh.InjectHook(f)
			pull := must(h.gh.OpenPull(repo, "author", "talk", h.topic(first), "main"))(t)
			h.comment(pull, "maintainer", "/approve production@"+first[:10])
			h.deployed("production", first)
			h.ends()
			h.onceEach()
		})
	}
}

func TestInWhicheverOrderAStoryIsHeardItEndsTheSame(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := open(t, func(h *house) { h.github.Seed = seed })
			slug := h.at.AppSlug
			h.gh.HoldHooks(slug)
			h.push("main", "author", "first", withSites("one"))
			pull := h.pull("change", withSites("two"))
			h.push("change", "author", "more", map[string]string{"page.html": "three"})
			h.comment(pull, "maintainer", "/help")
			second := h.push("main", "maintainer", "second", map[string]string{"page.html": "four"})
			h.push("change", "author", "most", map[string]string{"page.html": "five"})
			if err := h.gh.ClosePull(repo, pull.Number, "author"); err != nil {
				t.Fatal(err)
			}
			h.gh.ReleaseHooks(slug, true)
			h.deployed("staging", second)
			h.ends()
			h.onceEach()
			h.serves("staging", "four")
			if _, err := os.Stat(h.site("preview/pr-1")); !os.IsNotExist(err) {
				t.Errorf("the preview of a closed pull request is there: %v", err)
			}
			h.gh.Look(func(v *github.View) {
				if d := last(v, "preview/pr-1"); d.ID != 0 && d.State() != "inactive" {
					t.Errorf("GitHub shows the preview as %s", d.State())
				}
				if d := last(v, "staging"); d.SHA != second || d.State() != "success" {
					t.Errorf("staging ended with %s of %s", d.State(), d.SHA)
				}
			})
		})
	}
}

func TestAnInstallationThatIsNotOursIsIgnoredWithAReason(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.InjectHook(github.HookFault{Event: "push", Drop: true})
	h.push("main", "author", "first", plan("true"))
	d := h.dropped("push")
	ours := fmt.Sprintf(`"installation":{"id":%d`, h.at.ID)
	if !bytes.Contains(d.Payload, []byte(ours)) {
		t.Fatalf("the payload names its installation otherwise: %.300s", d.Payload)
	}
	d.Payload = bytes.ReplaceAll(d.Payload, []byte(ours), []byte(`"installation":{"id":424242`))
	if code := h.byHand(d); code != http.StatusAccepted {
		t.Fatalf("answered with %d", code)
	}
	h.ends()
	if what, why := h.decision(d.GUID); what != "ignored" || !strings.Contains(why, "not installed") {
		t.Errorf("decided: %s, %s", what, why)
	}
	if n := h.runsOf(); n != 0 {
		t.Errorf("%d runs", n)
	}
}

func TestAWebhookWithAWrongSignatureLeavesNoTrace(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.gh.InjectHook(github.HookFault{Event: "push", Drop: true})
	h.push("main", "author", "first", plan("true"))
	d := h.dropped("push")
	secrets := h.config.WebhookSecrets
	h.config.WebhookSecrets = nil
	h.config.WebhookSecrets = append(h.config.WebhookSecrets, h.config.PrivateKey) // any other
	if code := h.byHand(d); code != http.StatusUnauthorized {
		t.Errorf("answered with %d", code)
	}
	h.config.WebhookSecrets = secrets
	h.ends()
	if _, why := h.decision(d.GUID); why != "there is no such delivery" {
		t.Errorf("it was kept: %s", why)
	}
}
