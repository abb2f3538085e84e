package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	jwt "github.com/golang-jwt/jwt/v4"
	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	apiMargin = 5 * time.Minute  // a token is renewed this long before it ends
	gitMargin = 15 * time.Minute // a clone that begins now can be that slow
)

// Token is a token for git: it reads one repository, and nothing else.
type Token struct {
	Value   Secret
	Expires time.Time
}

// Token is a token that can read repo's contents and nothing else. It is good for a quarter of an hour at least, and
// shared by all who ask for the same repository, until the last of them releases it. holder is who asks: a run. Repeating
// is free.
func (in *Installation) Token(ctx context.Context, repo pipeline.Repo, holder string) (Token, error) {
	if err := checkRepo(repo); err != nil {
		return Token{}, err
	}
	s := in.scope(repo.ID)
	s.hold(holder)
	value, expires, err := s.token(ctx, "")
	if err != nil {
		return Token{}, fmt.Errorf("github: get a token that reads %s: %w", repo.Slug(), judge(ctx, err, false))
	}
	return Token{Value: NewSecret(value), Expires: expires}, nil
}

// Release says that holder needs the repository's token no more. When nobody else does, the token is revoked, and the next
// Token is a new one. Without a token, or with one that has ended by itself, no call is made. After an error the token
// is still owed its end: RevokeLeft tries again. It may be repeated.
func (in *Installation) Release(ctx context.Context, repo pipeline.Repo, holder string) error {
	if err := checkRepo(repo); err != nil {
		return err
	}
	left, err := in.scope(repo.ID).release(ctx, holder)
	if err == nil && left.value != "" {
		err = in.revoke(ctx, left)
	}
	return said(ctx, err, false, "revoke a token of", repo.Slug())
}

// RevokeLeft ends the tokens whose end could not be told to GitHub when it was due.
func (in *Installation) RevokeLeft(ctx context.Context) error {
	in.mu.Lock()
	left := in.left
	in.left = nil
	in.mu.Unlock()
	var all []error
	for _, l := range left {
		all = append(all, said(ctx, in.revoke(ctx, l), false, "revoke a token of installation", in.id))
	}
	return errors.Join(all...)
}

// ending is a token that nobody needs any more.
type ending struct {
	value   string
	expires time.Time
}

func (in *Installation) revoke(ctx context.Context, l ending) error {
	if !in.app.now().Before(l.expires) {
		return nil
	}
	_, err := in.client.Apps.RevokeInstallationToken(context.WithValue(withRoute(ctx, "token"), tokenKey{}, l.value))
	var answer *gh.ErrorResponse
	if err == nil || errors.As(err, &answer) && (answer.Response.StatusCode == http.StatusUnauthorized || answer.Response.StatusCode == http.StatusNotFound) {
		return nil // it has ended
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.left = append(in.left, l)
	return err
}

// scope is the one token of a repository.
func (in *Installation) scope(repo int64) *source {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.scopes[repo]
	if s == nil {
		s = newSource(in.app.now, gitMargin, func(ctx context.Context) (string, time.Time, error) {
			return in.mint(ctx, &gh.InstallationTokenOptions{
				RepositoryIDs: []int64{repo},
				Permissions:   &gh.InstallationPermissions{Contents: gh.String("read")},
			})
		})
		in.scopes[repo] = s
	}
	return s
}

// mint asks for a new token. GitHub keeps the older ones; repeating only costs a call.
func (in *Installation) mint(ctx context.Context, scope *gh.InstallationTokenOptions) (string, time.Time, error) {
	token, _, err := in.asApp.Apps.CreateInstallationToken(withRoute(ctx, "token"), in.id, scope)
	var answer *gh.ErrorResponse
	switch {
	case err == nil && token.GetToken() != "" && token.ExpiresAt != nil:
		in.app.log.Debug("GitHub gave a token", "installation", in.id, "expires", token.GetExpiresAt().Time)
		return token.GetToken(), token.GetExpiresAt().Time, nil
	case err == nil:
		return "", time.Time{}, &Unavailable{Err: errors.New("GitHub's answer holds no token")}
	case notFound(err):
		return "", time.Time{}, &goneError{reason: "the App is not installed there"}
	case errors.As(err, &answer) && answer.Response.StatusCode == http.StatusUnprocessableEntity && scope != nil:
		return "", time.Time{}, &goneError{reason: "the repository is not one that the App may read: " + tidy(answer.Message)}
	case errors.As(err, &answer) && answer.Response.StatusCode == http.StatusUnauthorized && strings.Contains(answer.Message, "must generate a public key"):
		return "", time.Time{}, &Unavailable{Status: http.StatusUnauthorized, Err: errors.New("GitHub does not know the App's new key yet")}
	}
	err = judge(ctx, err, false)
	var unavailable *Unavailable
	if errors.As(err, &unavailable) { // a token that was made and not heard of harms nobody
		err = &Unavailable{Status: unavailable.Status, Err: unavailable.Err}
	}
	return "", time.Time{}, err
}

// source keeps one token until shortly before it ends. ghinstallation's own would make everyone wait for the first
// caller's request, whatever their contexts say, and would go on using a token that GitHub has revoked.
type source struct {
	turn   chan struct{} // full while someone looks or asks
	now    func() time.Time
	margin time.Duration
	mint   func(context.Context) (value string, expires time.Time, err error)

	value          string
	expires, renew time.Time

	mu      sync.Mutex
	holders map[string]bool // who needs the token
}

func newSource(now func() time.Time, margin time.Duration, mint func(context.Context) (string, time.Time, error)) *source {
	return &source{turn: make(chan struct{}, 1), now: now, margin: margin, mint: mint, holders: map[string]bool{}}
}

// token is the kept token, or a new one. refused is a token that GitHub no longer takes; it is not given again.
func (s *source) token(ctx context.Context, refused string) (string, time.Time, error) {
	if err := s.take(ctx); err != nil {
		return "", time.Time{}, err
	}
	defer func() { <-s.turn }()
	now := s.now()
	if s.value != "" && s.value != refused && now.Before(s.renew) {
		return s.value, s.expires, nil
	}
	s.value = ""
	value, expires, err := s.mint(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	life := expires.Sub(now)
	s.value, s.expires, s.renew = value, expires, now.Add(max(life-s.margin, life/2))
	return s.value, s.expires, nil
}

func (s *source) hold(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders[holder] = true
}

// release takes a holder away. After the last one the token is forgotten, and given back so that it can be revoked. Who
// comes to hold it meanwhile waits for the turn, and gets a new one.
func (s *source) release(ctx context.Context, holder string) (ending, error) {
	if err := s.take(ctx); err != nil {
		return ending{}, err
	}
	defer func() { <-s.turn }()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.holders, holder)
	if len(s.holders) > 0 {
		return ending{}, nil
	}
	left := ending{s.value, s.expires}
	s.value = ""
	return left, nil
}

func (s *source) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Unavailable{Err: ctx.Err()}
	}
}

// bearer puts the installation's token on a request; when GitHub does not take it (revoked, or the permissions changed),
// a new one is tried, once. A 401 means that nothing was done, so that a write can be sent again.
type bearer struct {
	source *source
	next   http.RoundTripper
}

func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if given, ok := ctx.Value(tokenKey{}).(string); ok {
		return b.next.RoundTrip(bearing(req, given))
	}
	token, _, err := b.source.token(ctx, "")
	if err != nil {
		return nil, unsent{err}
	}
	resp, err := b.next.RoundTrip(bearing(req, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized || (req.Body != nil && req.GetBody == nil) {
		return resp, err
	}
	resp.Body.Close()
	if token, _, err = b.source.token(ctx, token); err != nil {
		return nil, unsent{err}
	}
	again := bearing(req, token)
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, unsent{err}
		}
	}
	resp, err = b.next.RoundTrip(again)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		resp.Body.Close() // the App is installed, or there would be no token: GitHub has not yet heard of it everywhere
		return nil, unsent{&Unavailable{Status: http.StatusUnauthorized, Err: errors.New("GitHub does not take the token it has just given")}}
	}
	return resp, err
}

func bearing(req *http.Request, token string) *http.Request {
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+token)
	return out
}

// asApp signs requests as the App itself. ghinstallation's transport changes the request that it is given, which a
// RoundTripper must not.
type asApp struct{ *ghinstallation.AppsTransport }

func newAsApp(a *App) asApp {
	t := ghinstallation.NewAppsTransportFromPrivateKey(a.base, a.id, a.key)
	ghinstallation.WithSigner(signer{a})(t)
	return asApp{t}
}

func (t asApp) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.AppsTransport.RoundTrip(req.Clone(req.Context()))
}

// signer signs with times of our own: GitHub admits ten minutes at most, and clocks differ. Issued a minute ago and good
// for eight more, a token is taken when this machine's clock is one minute fast or eight slow.
type signer struct{ app *App }

func (s signer) Sign(jwt.Claims) (string, error) {
	now := s.app.now().Truncate(time.Second) // GitHub takes whole seconds only
	return ghinstallation.NewRSASigner(jwt.SigningMethodRS256, s.app.key).Sign(jwt.RegisteredClaims{
		IssuedAt:  jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(8 * time.Minute)),
		Issuer:    strconv.FormatInt(s.app.id, 10),
	})
}
