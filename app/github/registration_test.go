package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
)

func TestTheClockIsToldWithARefusalToo(t *testing.T) {
	t.Parallel()
	for words, newKey := range map[string]bool{"Integration must generate a public key": true, "A JSON web token could not be decoded": false} {
		s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"message":%q}`, words)
		})
		_, clock, err := s.app(t).Registered(testContext(t))
		var refused *github.Refused
		if clock == nil || errors.Is(err, github.ErrNewKey) != newKey || errors.As(err, &refused) == newKey {
			t.Errorf("%s: %v, %v", words, clock, err)
		}
	}
}

func TestAClockIsWrongOnlyByWhatIsSure(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) time.Time {
		return time.Date(2041, 3, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
	}
	for _, c := range []struct {
		theirs, before, after float64
		want                  time.Duration
	}{
		{10, 10, 10.5, 0}, {10, 10.9, 11.2, 0}, {10, 2, 30, 0}, {10, 71, 72, time.Minute}, {70, 9, 10, -time.Minute},
	} {
		if got := (github.Clock{Theirs: at(c.theirs), Before: at(c.before), After: at(c.after)}).Ahead(); got != c.want {
			t.Errorf("%v: %s ahead", c, got)
		}
	}
}

func TestAnAnswerAboutAnotherAppIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":78,"slug":"other"}`) })
	if _, _, err := s.app(t).Registered(testContext(t)); err == nil {
		t.Error("it was believed")
	}
}

func TestWhetherANameIsTakenIsAskedWithoutAKey(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v3/apps/shop" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked %s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		fmt.Fprint(w, `{"id":1,"slug":"shop"}`)
	})
	for code, want := range map[int]bool{200: true, 404: false} {
		status = code
		if got, err := github.AppExists(testContext(t), s.URL+"/api/v3", nil, "shop"); err != nil || got != want {
			t.Errorf("%d: %v %v", code, got, err)
		}
	}
	status = 502
	var away *github.Unavailable
	if _, err := github.AppExists(testContext(t), s.URL+"/api/v3", nil, "shop"); !errors.As(err, &away) {
		t.Errorf("502: %v", err)
	}
	if got, err := github.AppExists(testContext(t), s.URL+"/api/v3", nil, "../meta"); got || err != nil {
		t.Error("a name that leads elsewhere was asked for")
	}
}

func TestABranchThatWouldLeadElsewhereIsNotAskedFor(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/api/v3/repos/acme/shop/branches/a%2Fb%3Fc":
			fmt.Fprintf(w, `{"commit":{"sha":%q},"protection":{"required_status_checks":{"contexts":["old","new"],"checks":[{"context":"new","app_id":-1}]}}}`, sha)
		case "/api/v3/repos/acme/shop/rules/branches/a%2Fb%3Fc":
			w.WriteHeader(http.StatusNotFound) // a server without rulesets
		default:
			t.Errorf("asked %s", r.URL.EscapedPath())
		}
	})
	b, err := s.installation(t).Branch(testContext(t), shop, "a/b?c")
	if err != nil || b.Commit != sha || len(b.Required) != 2 || b.Required[0].App != 0 || b.Required[1].Name != "old" {
		t.Errorf("%+v %v", b, err)
	}
	for _, name := range []string{"", "..", "../../x"} {
		if _, err := s.installation(t).Branch(testContext(t), shop, name); err == nil {
			t.Errorf("%q was asked for", name)
		}
	}
}
