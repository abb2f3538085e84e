package github_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestARedirectToAnotherHostCarriesNothing(t *testing.T) {
	t.Parallel()
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	t.Cleanup(stranger.Close)
	_, port, _ := net.SplitHostPort(stranger.Listener.Addr().String())
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{
			stranger.URL + "/api/v3/x", "http://localhost:" + port + "/api/v3/x", "//" + stranger.Listener.Addr().String() + "/api/v3/x",
			"/login", "/api/v3/../../login", "ftp://127.0.0.1/api/v3/x",
		} {
			s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/login") {
					strangers.Add(1)
				}
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			})
			in, ctx := s.installation(t), testContext(t)
			if _, err := in.Pull(ctx, shop, 3); err == nil {
				t.Errorf("%d to %s was followed by a read", status, to)
			}
			if _, _, err := in.UpsertCheck(ctx, shop, check()); err == nil {
				t.Errorf("%d to %s was followed by a write", status, to)
			}
		}
	}
	if n := strangers.Load(); n != 0 {
		t.Fatalf("%d requests reached a place outside the API", n)
	}
}

func TestARenamedRepositoryIsFollowedWithinTheAPI(t *testing.T) {
	t.Parallel()
	var bodies []string
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(r.URL.Path, "/repositories/501/") && r.Method == http.MethodPost:
			bodies = append(bodies, string(body))
			created(w, r)
		case strings.Contains(r.URL.Path, "/repositories/501/"):
			pull(w, r)
		case r.Method == http.MethodPost:
			bodies = append(bodies, string(body))
			w.Header().Set("Location", "/api/v3/repositories/501/check-runs")
			w.WriteHeader(http.StatusTemporaryRedirect)
		default:
			w.Header().Set("Location", "/api/v3/repositories/501/pulls/3")
			w.WriteHeader(http.StatusMovedPermanently)
		}
	})
	in, ctx := s.installation(t), testContext(t)
	if p, err := in.Pull(ctx, shop, 3); err != nil || p.Head != sha {
		t.Fatalf("read: %+v, %v", p, err)
	}
	if id, _, err := in.UpsertCheck(ctx, shop, check()); err != nil || id != 4711 {
		t.Fatalf("write: %d, %v", id, err)
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || len(bodies[0]) < 50 {
		t.Fatalf("the write was replayed as %q", bodies)
	}
}

func TestARedirectThatWouldDropAWriteIsRefused(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/api/v3/repositories/501/check-runs")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusMovedPermanently)
		}
	})
	_, _, err := s.installation(t).UpsertCheck(testContext(t), shop, check())
	var refused *github.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	if n := s.asked.Load(); n != 1 {
		t.Fatalf("%d requests", n)
	}
}

func TestAnEndlessRedirectEnds(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
	if _, err := s.installation(t).Pull(testContext(t), shop, 3); err == nil {
		t.Fatal("no error")
	}
	if n := s.asked.Load(); n > 5 {
		t.Fatalf("%d requests", n)
	}
}

func TestTroubleSaysWhetherAWriteMayHaveBeenDone(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"502": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>unicorn</html>")
		},
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"504": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) },
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"id":`)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>`) },
		"empty":   func(http.ResponseWriter, *http.Request) {},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 17 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t, answer)
			in, ctx := s.installation(t), testContext(t)
			_, _, err := in.UpsertCheck(ctx, shop, check())
			var u *github.Unavailable
			if !errors.As(err, &u) || !u.Unknown {
				t.Errorf("write: got %v, want *Unavailable with Unknown", err)
			}
			if name == "empty" {
				return
			}
			if _, err = in.Role(ctx, shop, "ada", 9); !errors.As(err, &u) || u.Unknown {
				t.Errorf("read: got %v, want *Unavailable without Unknown", err)
			}
		})
	}
}

func TestAnAnswerThatDoesNotComeEndsWithTheCallersContext(t *testing.T) {
	t.Parallel()
	arrived, ctx := make(chan struct{}), testContext(t)
	s := newStub(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	call, cancel := context.WithCancel(ctx)
	go func() { <-arrived; cancel() }()
	_, _, err := s.installation(t).UpsertCheck(call, shop, check())
	var u *github.Unavailable
	if !errors.As(err, &u) || !u.Unknown || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestAWriteThatNeverLeftIsNotUnknown(t *testing.T) {
	t.Parallel()
	s := newStub(t, pull)
	in := s.app(t, func(c *github.Config) { c.Transport = &http.Transport{DisableKeepAlives: true} }).Installation(installation)
	ctx := testContext(t)
	if _, err := in.Pull(ctx, shop, 3); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, _, err := in.UpsertCheck(ctx, shop, check())
	var u *github.Unavailable
	if !errors.As(err, &u) || u.Unknown {
		t.Fatalf("got %#v", err)
	}
	s.clock.move(time.Hour) // and without a token
	if _, _, err = in.UpsertCheck(ctx, shop, check()); !errors.As(err, &u) || u.Unknown {
		t.Fatalf("got %#v", err)
	}
}

// held is a GitHub that answers nothing until it is let go.
type held struct {
	mu            sync.Mutex
	reads, writes int
	letGo         chan struct{}
}

func (h *held) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"token":"ghs_x","expires_at":"2099-01-01T00:00:00Z","id":4711,"base":{"repo":{"id":501}},"head":{"sha":"` + string(sha) + `"}}`
	if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
		count := &h.reads
		if r.Method == http.MethodPost {
			count = &h.writes
		}
		h.add(count, 1)
		<-h.letGo
		h.add(count, -1)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (h *held) add(count *int, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*count += n
}

func TestWritesGoOneByOneAndReadsTwentyAtATime(t *testing.T) {
	t.Parallel()
	pem := keyPEM() // outside of the bubble, as others wait for it
	synctest.Test(t, func(t *testing.T) {
		h := &held{letGo: make(chan struct{})}
		app, err := github.New(github.Config{APIURL: "https://api.github.com", WebURL: "https://github.com", AppID: appID, PrivateKey: pem, Transport: h})
		if err != nil {
			t.Fatal(err)
		}
		in, ctx := app.Installation(installation), t.Context()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, _, err := in.UpsertCheck(ctx, shop, check()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for range 30 {
			all.Go(func() {
				if _, err := in.Pull(ctx, shop, 3); err != nil {
					t.Error(err)
				}
			})
		}
		for left := 35; left > 0; {
			synctest.Wait()
			if h.writes > 1 || h.reads+h.writes > 20 || left == 35 && h.reads+h.writes != 20 {
				t.Errorf("%d reads and %d writes at once with %d left", h.reads, h.writes, left)
			}
			h.letGo <- struct{}{}
			left--
		}
		all.Wait()
	})
}

func TestEveryRequestSaysWhichVersionAndWhichRun(t *testing.T) {
	t.Parallel()
	s := newStub(t, pull)
	if _, err := s.installation(t).Pull(github.WithRun(testContext(t), "run/501/guid\r\nX-Evil: 1"), shop, 3); err != nil {
		t.Fatal(err)
	}
	h := *s.last.Load()
	if h.Get("X-Github-Api-Version") != "2022-11-28" || h.Get("X-Conveyor-Run") != "run/501/guidX-Evil: 1" || h.Get("X-Evil") != "" || h.Get("User-Agent") != "conveyor" {
		t.Fatalf("sent %v", h)
	}
}

func TestNothingOutsideIsAskedForBadNames(t *testing.T) {
	t.Parallel()
	s := newStub(t, created)
	in, ctx := s.installation(t), testContext(t)
	for _, bad := range []pipeline.Repo{
		{ID: 1, Owner: "..", Name: "shop"}, {ID: 1, Owner: "acme", Name: ".."}, {ID: 1, Owner: "acme", Name: "."},
		{ID: 1, Owner: "acme/..", Name: "shop"}, {ID: 1, Owner: "acme", Name: "%2e%2e"}, {ID: 1, Owner: "acme", Name: "a?b"},
		{ID: 1, Owner: "acme", Name: "a#b"}, {ID: 1, Owner: "acme", Name: "a b"}, {ID: 1, Owner: "", Name: "shop"},
		{ID: 1, Owner: "acme", Name: ""}, {Owner: "acme", Name: "shop"}, {ID: 1, Owner: "acme", Name: "ѕhop"},
	} {
		_, _, e1 := in.UpsertCheck(ctx, bad, check())
		_, e2 := in.UpsertDeployment(ctx, bad, github.Deployment{Name: "d", Environment: "e", Commit: sha})
		_, e3 := in.UpsertComment(ctx, bad, 1, github.Comment{Marker: "m"})
		_, e4 := in.Role(ctx, bad, "ada", 9)
		_, e5 := in.Pull(ctx, bad, 1)
		_, e6 := in.Token(ctx, bad, "run/1")
		for i, err := range []error{e1, e2, e3, e4, e5, e6, in.React(ctx, bad, 1, "eyes"), in.SetDeploymentState(ctx, bad, 1, github.State{State: "success"})} {
			if err == nil {
				t.Errorf("%q was asked for by call %d", bad.Slug(), i+1)
			}
		}
	}
	for _, login := range []string{"", "..", "a/b", "a%2fb", "ada?x", "[bot]", "ada[bot]x", "ada\n", "аda"} {
		if _, err := in.Role(ctx, shop, login, 9); err == nil {
			t.Errorf("login %q was asked for", login)
		}
		if _, err := in.TeamMember(ctx, "acme", "release", login, 9); err == nil {
			t.Errorf("login %q was asked for", login)
		}
	}
	if _, err := in.TeamMember(ctx, "acme", "../../x", "ada", 9); err == nil {
		t.Error("a team outside was asked for")
	}
	if _, err := in.Role(ctx, shop, "ada", 0); err == nil {
		t.Error("a user without a number was asked for")
	}
	if n := s.asked.Load() + s.minted.Load(); n != 0 {
		t.Fatalf("%d requests were sent", n)
	}
}

func TestAConfigurationThatCannotWorkIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	good := github.Config{APIURL: "https://api.github.com", WebURL: "https://github.com", AppID: 1, PrivateKey: keyPEM()}
	if _, err := github.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*github.Config){
		"no App":         func(c *github.Config) { c.AppID = 0 },
		"no key":         func(c *github.Config) { c.PrivateKey = nil },
		"a broken key":   func(c *github.Config) { c.PrivateKey = keyPEM()[:300] },
		"no address":     func(c *github.Config) { c.APIURL = "" },
		"plain http":     func(c *github.Config) { c.APIURL = "http://github.example.com/api/v3" },
		"a password":     func(c *github.Config) { c.APIURL = "https://a:b@github.example.com/api/v3" },
		"a query":        func(c *github.Config) { c.WebURL = "https://github.example.com/?x" },
		"another scheme": func(c *github.Config) { c.WebURL = "file:///etc" },
	} {
		c := good
		change(&c)
		if _, err := github.New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
