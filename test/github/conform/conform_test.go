package conform_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github/conform"
)

// call sends one request through a Checker to a server that always answers
// the same, and returns what was found wrong.
func call(t *testing.T, k *conform.Checker, method, path, body string, status int, answer string) []string {
	t.Helper()
	before := len(k.Violations())
	server := httptest.NewServer(k.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})))
	defer server.Close()
	req, err := http.NewRequest(method, server.URL+"/api/v3"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	other := &conform.Checker{EveryRequest: k.EveryRequest}
	res, err := (&http.Client{Transport: other.Transport(nil)}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	found := k.Violations()[before:]
	if len(found) != len(other.Violations()) {
		t.Errorf("%s %s: the server's side found %d, the client's %d", method, path, len(found), len(other.Violations()))
	}
	return found
}

func TestWhatGitHubDoesNotDescribeIsFound(t *testing.T) {
	t.Parallel()
	k := &conform.Checker{}
	const reaction = `{"id":1,"node_id":"x","user":null,"content":"eyes","created_at":"2026-01-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		answer, want       string
	}{
		"a good call":              {"POST", "/repos/a/b/issues/comments/1/reactions", `{"content":"eyes"}`, 201, reaction, ""},
		"a value out of the list":  {"POST", "/repos/a/b/issues/comments/1/reactions", `{"content":"tada"}`, 201, reaction, "request:"},
		"a missing field":          {"POST", "/repos/a/b/issues/comments/1/reactions", `{"content":"eyes"}`, 201, `{"id":1}`, "answer:"},
		"a wrong type":             {"GET", "/repos/a/b/pulls/x", "", 200, "{}", "request:"},
		"an unknown operation":     {"GET", "/repos/a/b/nonsense", "", 200, "{}", "no such operation"},
		"an undeclared status":     {"GET", "/meta", "", 206, "{}", "no such status"},
		"an error without message": {"GET", "/repos/a/b/collaborators/c", "", 418, `{}`, "message"},
		"a ref with slashes":       {"GET", "/repos/a/b/git/ref/heads/x/y", "", 200, `{"ref":"refs/heads/x/y"}`, "answer:"},
		"a refused request":        {"POST", "/repos/a/b/issues/comments/1/reactions", `{}`, 422, `{"message":"m","documentation_url":"d"}`, ""},
		"a proxy's error":          {"GET", "/app", "", 502, "oops", ""},
	} {
		found := call(t, k, c.method, c.path, c.body, c.status, c.answer)
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: found %v", name, found)
		case c.want != "" && (len(found) == 0 || !strings.Contains(strings.Join(found, " "), c.want)):
			t.Errorf("%s: found %v, want %q", name, found, c.want)
		}
	}
	strict := &conform.Checker{EveryRequest: true}
	if found := call(t, strict, "POST", "/repos/a/b/issues/comments/1/reactions", `{}`, 422, `{"message":"m","documentation_url":"d"}`); len(found) != 1 {
		t.Errorf("counting every request found %v", found)
	}
	if k.Checked() != 10 {
		t.Errorf("looked at %d calls", k.Checked())
	}
}

func TestAPayloadThatGitHubWouldNotSendIsFound(t *testing.T) {
	t.Parallel()
	ping := map[string]any{"zen": "z", "hook_id": 1, "hook": map[string]any{}}
	for name, payload := range map[string]any{"half a ping": ping, "a push without commits": map[string]any{"ref": "refs/heads/main"}} {
		text, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		event := "push"
		if strings.Contains(name, "ping") {
			event = "ping"
		}
		if err := conform.Payload(event, text); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if err := conform.Payload("nonsense", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "no schema") {
		t.Errorf("an unknown event: %v", err)
	}
	if err := conform.Payload("push", []byte(`{`)); err == nil {
		t.Error("broken JSON passes")
	}
}
