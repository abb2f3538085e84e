package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
)

// heard is a delivery as the receiver of octokit took it.
type heard struct{ ID, Name, Action, Sender string }

// receiver is octokit's own receiver of webhooks, and what it says.
type receiver struct {
	t    *testing.T
	url  string
	said *bufio.Reader
	end  func()
}

func receive(t *testing.T) (r *receiver, secretIs func(string)) {
	t.Helper()
	cmd := node(t, "receive")
	in := must(cmd.StdinPipe())(t)
	out := must(cmd.StdoutPipe())(t)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r = &receiver{t: t, said: bufio.NewReader(out)}
	ended := false
	r.end = func() {
		if ended {
			return
		}
		ended = true
		_ = in.Close() // it stops by this
		_, _ = io.Copy(io.Discard, r.said)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the receiver did not end well: %v\n%s", err, complaints.String())
		}
	}
	t.Cleanup(r.end)
	return r, func(secret string) {
		t.Helper()
		must(io.WriteString(in, secret+"\n"))(t)
		r.url = strings.TrimSpace(r.line())
	}
}

func (r *receiver) line() string {
	r.t.Helper()
	return must(r.said.ReadString('\n'))(r.t)
}

// post sends a delivery by hand, and gives the status of the answer.
func post(t *testing.T, url, event, guid string, body []byte, headers map[string]string) int {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body)))(t)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-GitHub-Delivery", guid)
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res := must(http.DefaultClient.Do(req))(t)
	defer func() { _ = res.Body.Close() }() // only the status counts
	return res.StatusCode
}

func TestOctokitBelievesWhatTheLocalGitHubDelivers(t *testing.T) {
	r, secretIs := receive(t)
	w := open(t, "http://127.0.0.1:1/nobody")
	if err := w.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(w.Deliveries())
	secretIs(w.app.WebhookSecret)
	w.rehook(r.url)
	must(w.Comment(repo, int(w.pull.Number), "author", "/approve é 😀 \u2028 </script>"))(t)
	must(w.Commit(repo, "main", "author", "third", map[string]string{"a": "b\n"}))(t)
	if err := w.ClosePull(repo, w.pull.Number, "author"); err != nil {
		t.Fatal(err)
	}
	if err := w.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := w.Deliveries()[before:]
	var got []heard
	for _, d := range sent {
		if d.StatusCode != http.StatusOK {
			t.Errorf("%s was answered with %d", d.Event, d.StatusCode)
			continue
		}
		var h heard
		if err := json.Unmarshal([]byte(r.line()), &h); err != nil {
			t.Fatal(err)
		}
		if h.ID != d.GUID || h.Name != d.Event || h.Action != d.Action {
			t.Errorf("octokit took %+v for %s %s %s", h, d.Event, d.Action, d.GUID)
		}
		got = append(got, h)
	}
	for _, want := range []heard{{Name: "issue_comment", Action: "created"}, {Name: "push"}, {Name: "pull_request", Action: "closed"}} {
		if !slices.ContainsFunc(got, func(h heard) bool { return h.Name == want.Name && h.Action == want.Action && h.Sender == "author" }) {
			t.Errorf("octokit heard of no %s %s: %+v", want.Name, want.Action, got)
		}
	}
	// The same receiver refuses what is signed otherwise.
	last := sent[len(sent)-1]
	for why, headers := range map[string]map[string]string{
		"another secret": {"X-Hub-Signature-256": "sha256=" + github.Sign("another secret", last.Payload, sha256.New)},
		"only SHA-1":     {"X-Hub-Signature": "sha1=" + github.Sign(w.app.WebhookSecret, last.Payload, sha1.New)},
	} {
		if code := post(t, r.url, last.Event, "again", last.Payload, headers); code != http.StatusBadRequest {
			t.Errorf("%s: octokit answered with %d", why, code)
		}
	}
	r.end()
}

// rehook tells the App's hook another address, as the App itself may.
func (w *world) rehook(url string) {
	w.t.Helper()
	w.plays("rehook", map[string]any{"hook": url})
}

func TestTheWebhookDoorBelievesOctokitsSignature(t *testing.T) {
	w := open(t, "")
	w.silent = true
	log := must(os.Create(filepath.Join(t.TempDir(), "log")))(t) // unlike a buffer, it may be read while a last line is written
	secret := appgithub.NewSecret(w.app.WebhookSecret)
	a := must(app.New(t.Context(), app.Config{
		Listen: "127.0.0.1:0", PublicURL: "http://127.0.0.1:1", DataDir: t.TempDir(), GitHubURL: w.URL(), GitHubAPIURL: strings.TrimSuffix(w.APIURL(), "/"),
		AppID: w.app.ID, PrivateKey: appgithub.NewSecret(w.app.PEM), WebhookSecrets: []appgithub.Secret{secret}, Sandbox: "none", Workers: 1,
	}, slog.New(slog.NewTextHandler(log, nil))))(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	w.plays("sign", map[string]any{"door": "http://" + a.Addr() + "/webhooks/github"})
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for waiting := time.NewTimer(patience); !a.Resting(ctx); {
		select {
		case <-waiting.C:
			t.Fatal("the server never rests")
		case <-look.C:
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	said := string(must(os.ReadFile(log.Name()))(t))
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(said, "delivery decided"); n != 2 {
		t.Errorf("%d deliveries were decided, of two that were signed rightly:\n%s", n, said)
	}
}
