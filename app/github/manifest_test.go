package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app/github"
)

func TestAManifestsCodeGivesCredentials(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v3/app-manifests/c0de/conversions" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked %s %s with %q", r.Method, r.URL.Path, r.Header.Get("Authorization"))
		}
		pem, _ := json.Marshal(string(keyPEM()))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":77,"slug":"conveyor","client_id":"Iv1.x","client_secret":"cs","webhook_secret":"ws","pem":%s,"html_url":"https://x/apps/conveyor"}`, pem)
	})
	c, err := github.ConvertManifest(testContext(t), s.URL+"/api/v3", nil, "c0de")
	if err != nil || c.AppID != 77 || c.Slug != "conveyor" || c.WebhookSecret.Reveal() != "ws" || c.ClientSecret.Reveal() != "cs" || c.PEM.Reveal() != string(keyPEM()) {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestABadCodeIsExplainedAndNeverShown(t *testing.T) {
	t.Parallel()
	for status, words := range map[int]string{404: "older than an hour", 422: "has been used", 301: "", 500: "", 201: "no usable key"} {
		s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"id":77,"slug":"conveyor","pem":"none","message":"Not Found"}`)
		})
		_, err := github.ConvertManifest(testContext(t), s.URL+"/api/v3", nil, "secretc0de")
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "secretc0de") {
			t.Errorf("%d: got %v", status, err)
		}
		var u *github.Unavailable
		if status == 500 && (!errors.As(err, &u) || !u.Unknown) {
			t.Errorf("%d: got %v", status, err)
		}
	}
	s := newStub(t, created)
	for _, code := range []string{"", "../../x", "a/b", "a%2fb", "a?b", strings.Repeat("a", 300)} {
		if _, err := github.ConvertManifest(testContext(t), s.URL, nil, code); err == nil {
			t.Errorf("code %q was tried", code)
		}
	}
	if s.asked.Load() != 0 {
		t.Error("a bad code was sent")
	}
}
