package github_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jwt "github.com/golang-jwt/jwt/v4"

	"github.com/conveyor-ci/conveyor/app/github"
)

func TestATokenIsUsedUntilFiveMinutesBeforeItsEnd(t *testing.T) {
	t.Parallel()
	s := newStub(t, pull)
	in, ctx := s.installation(t), testContext(t)
	for i, step := range []struct {
		move   time.Duration
		minted int64
	}{{0, 1}, {54 * time.Minute, 1}, {50 * time.Second, 1}, {20 * time.Second, 2}, {50 * time.Minute, 2}} {
		s.clock.move(step.move)
		if _, err := in.Pull(ctx, shop, 3); err != nil {
			t.Fatal(err)
		}
		if n := s.minted.Load(); n != step.minted {
			t.Fatalf("step %d: %d tokens, want %d", i, n, step.minted)
		}
	}
}

func TestATokenThatGitHubNoLongerTakesIsReplacedOnceAndTheWriteSentAgain(t *testing.T) {
	t.Parallel()
	var bodies []string
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if strings.Contains(r.Header.Get("Authorization"), "canary0001") {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"message":"Bad credentials"}`)
			return
		}
		created(w, r)
	})
	in, ctx := s.installation(t), testContext(t)
	if _, _, err := in.UpsertCheck(ctx, shop, check()); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || !strings.Contains(bodies[0], "head_sha") {
		t.Fatalf("sent %q", bodies)
	}
	if _, _, err := in.UpsertCheck(ctx, shop, check()); err != nil || s.minted.Load() != 2 || len(bodies) != 3 {
		t.Fatalf("%d tokens, %d requests, %v", s.minted.Load(), len(bodies), err)
	}
}

func TestAFreshTokenThatIsRefusedEndsAfterOneMore(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	_, err := s.installation(t).Pull(testContext(t), shop, 3)
	var u *github.Unavailable
	if !errors.As(err, &u) || s.minted.Load() != 2 || s.asked.Load() != 2 {
		t.Fatalf("%d tokens, %d requests, %v", s.minted.Load(), s.asked.Load(), err)
	}
}

func TestAnInstallationThatIsGoneSaysSo(t *testing.T) {
	t.Parallel()
	say := func(status int, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"message":%q}`, message)
		}
	}
	for name, c := range map[string]struct {
		mint, answer http.HandlerFunc
		words        string
	}{
		"uninstalled before":          {mint: say(404, "Not Found"), words: "not installed"},
		"suspended before":            {mint: say(403, "This installation has been suspended"), words: "suspended"},
		"suspended meanwhile":         {answer: say(403, "This installation has been suspended"), words: "suspended"},
		"the repository is gone":      {answer: say(404, "Not Found"), words: "404"},
		"the repository is forbidden": {answer: say(451, "Repository access blocked"), words: "451"},
		"issues are gone":             {answer: say(410, "Issues are disabled for this repo"), words: "disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t, c.answer)
			if c.mint != nil {
				s.setMint(c.mint)
			}
			_, err := s.installation(t).Pull(testContext(t), shop, 3)
			if !errors.Is(err, github.ErrGone) || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("got %v", err)
			}
		})
	}
	t.Run("uninstalled meanwhile", func(t *testing.T) {
		t.Parallel()
		s := newStub(t, pull)
		in, ctx := s.installation(t), testContext(t)
		if _, err := in.Pull(ctx, shop, 3); err != nil {
			t.Fatal(err)
		}
		s.setMint(say(404, "Not Found"))
		s.answer = say(401, "Bad credentials")
		if _, err := in.Pull(ctx, shop, 3); !errors.Is(err, github.ErrGone) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestAWriteWithoutATokenIsNotUnknown(t *testing.T) {
	t.Parallel()
	s := newStub(t, created)
	s.setMint(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	var calls []string
	in := s.app(t, func(c *github.Config) {
		c.Observe = func(call github.Call) {
			calls = append(calls, fmt.Sprintf("%s %s %d %s", call.Route, call.Method, call.Status, call.Outcome))
		}
	}).Installation(installation)
	_, _, err := in.UpsertCheck(testContext(t), shop, check())
	var u *github.Unavailable
	if !errors.As(err, &u) || u.Unknown || u.Status != http.StatusBadGateway {
		t.Fatalf("got %v", err)
	}
	if got := fmt.Sprint(calls); got != "[token POST 502 unavailable checks POST 0 held]" {
		t.Errorf("observed %s", got)
	}
}

func TestAWaitForATokenEndsWithTheWaitersOwnContext(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan struct{}), make(chan struct{})
	s := newStub(t, pull)
	s.setMint(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":"ghs_late","expires_at":%q}`, s.clock.now().Add(time.Hour).Format(time.RFC3339))
	})
	in, ctx := s.installation(t), testContext(t)
	first := make(chan error)
	go func() { _, err := in.Pull(ctx, shop, 3); first <- err }()
	<-arrived
	hurried, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := in.Pull(hurried, shop, 3); !errors.Is(err, context.Canceled) {
		t.Fatalf("the hurried one got %v", err)
	}
	waiting, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if _, err := in.Pull(waiting, shop, 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the waiting one got %v", err)
	}
	close(answer)
	if err := <-first; err != nil {
		t.Fatalf("the patient one got %v", err)
	}
}

func TestManyCallersOfTwoInstallationsNeedTwoTokens(t *testing.T) {
	t.Parallel()
	s := newStub(t, pull)
	app, ctx := s.app(t), testContext(t)
	for round := range int64(3) {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				if _, err := app.Installation(int64(1+i%2)).Pull(ctx, shop, 3); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := s.minted.Load(); n != 2*(round+1) {
			t.Fatalf("%d tokens after round %d", n, round+1)
		}
		s.clock.move(time.Hour)
	}
}

func TestTheAppsOwnTokenToleratesClocksAndIsNeverGoodForTenMinutes(t *testing.T) {
	t.Parallel()
	s := newStub(t, pull)
	var claims jwt.RegisteredClaims
	s.setMint(func(w http.ResponseWriter, r *http.Request) {
		parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
		_, err := parser.ParseWithClaims(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), &claims, func(*jwt.Token) (any, error) { return &key().PublicKey, nil })
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":"ghs_x","expires_at":%q}`, s.clock.now().Add(time.Hour).Format(time.RFC3339))
	})
	s.clock.move(123456789 * time.Nanosecond)
	if _, err := s.installation(t).Pull(testContext(t), shop, 3); err != nil {
		t.Fatal(err)
	}
	now := s.clock.now().Truncate(time.Second)
	if claims.Issuer != "77" || !claims.IssuedAt.Equal(now.Add(-time.Minute)) || claims.ExpiresAt.Sub(claims.IssuedAt.Time) > 9*time.Minute {
		t.Fatalf("%+v at %v", claims, now)
	}
}

func TestATokenForGitReadsOneRepositoryAndIsShared(t *testing.T) {
	t.Parallel()
	var (
		mu     sync.Mutex
		asked  []string
		number atomic.Int64
	)
	revoked := make(chan string, 9)
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete || r.URL.Path != "/api/v3/installation/token" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		revoked <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusNoContent)
	})
	s.setMint(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		asked = append(asked, strings.TrimSpace(string(body)))
		mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":"ghs_git%d","expires_at":%q}`, number.Add(1), s.clock.now().Add(time.Hour).Format(time.RFC3339))
	})
	in, ctx := s.installation(t), testContext(t)
	other := shop
	other.ID, other.Name = 502, "blog"
	token := func(want string) {
		t.Helper()
		got, err := in.Token(ctx, shop, "run/1")
		if err != nil || got.Value.Reveal() != want || got.Expires.Sub(s.clock.now()) < 15*time.Minute {
			t.Fatalf("got %q until %v, %v; want %q", got.Value.Reveal(), got.Expires, err, want)
		}
	}
	token("ghs_git1")
	token("ghs_git1")
	if got, err := in.Token(ctx, other, "run/1"); err != nil || got.Value.Reveal() != "ghs_git2" {
		t.Fatalf("%v, %v", got, err)
	}
	s.clock.move(46 * time.Minute)
	token("ghs_git3")
	if err := in.Release(ctx, shop, "run/1"); err != nil || <-revoked != "Bearer ghs_git3" {
		t.Fatal(err)
	}
	if err := in.Release(ctx, shop, "run/1"); err != nil || len(revoked) != 0 {
		t.Fatalf("revoked twice: %v", err)
	}
	token("ghs_git4")
	for i, body := range asked {
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		want := "map[permissions:map[contents:read] repository_ids:[501]]"
		if i == 1 {
			want = "map[permissions:map[contents:read] repository_ids:[502]]"
		}
		if fmt.Sprint(got) != want {
			t.Errorf("asked for %v, want %s", got, want)
		}
	}
}

func TestATokenThatEndedByItselfIsAsGoodAsRevoked(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	in, ctx := s.installation(t), testContext(t)
	if _, err := in.Token(ctx, shop, "run/1"); err != nil {
		t.Fatal(err)
	}
	if err := in.Release(ctx, shop, "run/1"); err != nil || s.minted.Load() != 1 {
		t.Fatalf("%v, %d tokens", err, s.minted.Load())
	}
}

func TestATokenIsRevokedWhenTheLastRunThatNeedsItEnds(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	in, ctx := s.installation(t), testContext(t)
	for _, run := range []string{"run/1", "run/2", "run/2"} {
		if _, err := in.Token(ctx, shop, run); err != nil {
			t.Fatal(err)
		}
	}
	for i, run := range []string{"run/1", "run/1", "run/3", "run/2", "run/2"} {
		if err := in.Release(ctx, shop, run); err != nil {
			t.Fatal(err)
		}
		if revoked := s.asked.Load(); revoked != int64(i/3) {
			t.Fatalf("after release %d, %d tokens are revoked", i+1, revoked)
		}
		if i == 4 && s.minted.Load() != 1 {
			t.Fatalf("%d tokens were made", s.minted.Load())
		}
	}
}

func TestARevocationThatCouldNotBeToldIsToldLater(t *testing.T) {
	t.Parallel()
	down := true
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	app, ctx := s.app(t), testContext(t)
	in := app.Installation(installation)
	if _, err := in.Token(ctx, shop, "run/1"); err != nil {
		t.Fatal(err)
	}
	if err := in.Release(ctx, shop, "run/1"); err == nil {
		t.Fatal("no error")
	}
	if err := app.RevokeLeft(ctx); err == nil {
		t.Fatal("GitHub is still down")
	}
	down = false
	if err := app.RevokeLeft(ctx); err != nil || s.asked.Load() != 3 || !strings.Contains(s.last.Load().Get("Authorization"), "canary0001") {
		t.Fatalf("%v, %d requests", err, s.asked.Load())
	}
	if err := app.RevokeLeft(ctx); err != nil || s.asked.Load() != 3 {
		t.Fatalf("revoked again: %v", err)
	}
}

func TestATokenOfAnEndedHourIsAskedForAnewAndNotRevoked(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	in, ctx := s.installation(t), testContext(t)
	first, err := in.Token(ctx, shop, "run/1")
	if err != nil {
		t.Fatal(err)
	}
	s.clock.move(3 * time.Hour)
	second, err := in.Token(ctx, shop, "run/1")
	if err != nil || first.Value.Reveal() == second.Value.Reveal() || second.Expires.Sub(s.clock.now()) < 15*time.Minute {
		t.Fatalf("after three hours the token is good until %v, %v", second.Expires, err)
	}
	s.clock.move(3 * time.Hour)
	if err := in.Release(ctx, shop, "run/1"); err != nil || s.asked.Load() != 0 {
		t.Fatalf("%v, %d requests for a token that has ended", err, s.asked.Load())
	}
}
