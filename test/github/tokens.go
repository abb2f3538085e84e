package github

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// identity is who makes a call: nobody, an App by JWT, an installation, or a
// user.
type identity struct {
	kind         string // "anonymous", "app", "installation", "user"
	app          *App
	installation *Installation
	user         *User

	// Of an installation token only.
	token       string
	permissions map[string]string
	repos       map[int64]bool // nil means all of the installation's
	expires     time.Time
}

// name is how the ledger and the limits call the caller.
func (i *identity) name() string {
	switch i.kind {
	case "app":
		return fmt.Sprintf("app %d", i.app.ID)
	case "installation":
		return fmt.Sprintf("installation %d", i.installation.ID)
	case "user":
		return "user " + i.user.Login
	}
	return "anonymous"
}

// actor is the user that what the call does is shown under.
func (i *identity) actor() *User {
	if i.kind == "installation" || i.kind == "app" {
		return i.app.bot
	}
	return i.user
}

// EndTokens ends all tokens of an installation at this moment, as their hour does.
func (s *Server) EndTokens(installation int64) (ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range s.tokens {
		if who.kind == "installation" && who.installation.ID == installation && s.now().Before(who.expires) {
			who.expires = s.now()
			ended++
		}
	}
	return ended
}

const badCredentials = "Bad credentials"

// authenticate finds out who calls. A wrong credential is 401, none is the
// anonymous caller.
func (s *Server) authenticate(c *call) *answer {
	c.who = &identity{kind: "anonymous"}
	if c.r.Header.Get("Authorization") == "" {
		return nil
	}
	who, a := s.credential(bearer(c.r))
	if a == nil {
		c.who = who
	}
	return a
}

func (s *Server) credential(secret string) (*identity, *answer) {
	refuse := func(status int, format string, args ...any) (*identity, *answer) {
		a := fail(status, format, args...)
		return nil, &a
	}
	if who, ok := s.tokens[secret]; ok {
		if who.kind == "installation" && !s.now().Before(who.expires) {
			return refuse(http.StatusUnauthorized, badCredentials)
		}
		if who.kind == "installation" && !who.installation.SuspendedAt.IsZero() {
			return refuse(http.StatusForbidden, "This installation has been suspended")
		}
		return who, nil
	}
	if strings.Count(secret, ".") == 2 && !strings.HasPrefix(secret, "gh") {
		return s.checkJWT(secret)
	}
	return refuse(http.StatusUnauthorized, badCredentials)
}

// checkJWT checks an App's JWT for real, with GitHub's words for each mistake.
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
func (s *Server) checkJWT(text string) (*identity, *answer) {
	refuse := func(status int, format string, args ...any) (*identity, *answer) {
		a := fail(status, format, args...)
		return nil, &a
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithJSONNumber(), jwt.WithoutClaimsValidation())
	claims := jwt.MapClaims{}
	if _, _, err := parser.ParseUnverified(text, claims); err != nil {
		return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	issuer := fmt.Sprint(claims["iss"])
	var app *App
	for _, a := range s.apps {
		if issuer == strconv.FormatInt(a.ID, 10) || issuer == a.ClientID {
			app = a
		}
	}
	if app == nil {
		return refuse(http.StatusNotFound, "Integration not found")
	}
	valid := false
	for _, key := range app.keys {
		if _, err := parser.ParseWithClaims(text, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }); err == nil {
			valid = true
		}
	}
	if !valid {
		return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	now := s.now()
	at, okAt := number(claims["iat"])
	if !okAt || time.Unix(at, 0).After(now) {
		return refuse(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	until, okUntil := number(claims["exp"])
	switch {
	case !okUntil || !time.Unix(until, 0).After(now):
		return refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case time.Unix(until, 0).After(now.Add(10 * time.Minute)):
		return refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	}
	return &identity{kind: "app", app: app}, nil
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// installationSecret makes a token of today's form, ghs_<app>_<JWT>: some 520
// characters and dots, which breaks narrow columns and careless redaction.
func installationSecret(app int64) string {
	raw := make([]byte, 256)
	_, _ = rand.Read(raw)
	part := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf("ghs_%d_%s.%s.%s", app, part([]byte(`{"alg":"ES256","typ":"JWT"}`)), part(raw), part(raw[:86]))
}

// createToken is POST /app/installations/{id}/access_tokens.
func (c *call) createToken() answer {
	inst := c.s.installation(c.who.app, c.id("installation_id"))
	if inst == nil {
		return notFound()
	}
	if !inst.SuspendedAt.IsZero() {
		return fail(http.StatusForbidden, "This installation has been suspended")
	}
	if a := c.types("repositories:array repository_ids:array permissions:object"); a != nil {
		return *a
	}
	who := &identity{kind: "installation", app: c.who.app, installation: inst, permissions: inst.Permissions}
	who.token, who.expires = installationSecret(c.who.app.ID), c.s.now().Add(time.Hour)
	if c.r.Header.Get("X-GitHub-Stateless-S2S-Token") == "disabled" {
		who.token = "ghs_" + randomText(36) // the form of before 2026, still to be had
	}
	chosen := []*Repo{}
	pick := func(repo *Repo) bool {
		if repo == nil || !inst.covers(repo) {
			return false
		}
		if who.repos == nil {
			who.repos = map[int64]bool{}
		}
		if !who.repos[repo.ID] {
			chosen = append(chosen, repo)
		}
		who.repos[repo.ID] = true
		return true
	}
	const noRepository = "There is at least one repository that does not exist or is not accessible to the parent installation."
	names, _ := words(c.body["repositories"])
	for _, name := range names {
		repo, _ := c.s.lookup(inst.Account.Login, name)
		if !pick(repo) {
			return fail(http.StatusUnprocessableEntity, noRepository)
		}
	}
	ids, _ := c.body["repository_ids"].([]any)
	for _, v := range ids {
		id, _ := number(v)
		if !pick(c.s.repoByID(id)) {
			return fail(http.StatusUnprocessableEntity, noRepository)
		}
	}
	if len(names)+len(ids) > 500 {
		return fail(http.StatusUnprocessableEntity, "Too many repositories: at most 500 may be named.")
	}
	if asked, given := c.body["permissions"].(map[string]any); given {
		who.permissions = map[string]string{}
		for name, v := range asked {
			level, _ := v.(string)
			if levels[level] == 0 || !allows(inst.Permissions, name, level) {
				return fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
			who.permissions[name] = level
		}
		who.permissions["metadata"] = "read" // every token has it
	}
	c.s.tokens[who.token] = who
	out := obj{"token": who.token, "expires_at": stamp(who.expires), "permissions": who.permissions, "repository_selection": inst.Selection}
	if who.repos != nil {
		out["repository_selection"] = "selected"
		list := []any{}
		for _, repo := range chosen {
			list = append(list, c.s.renderRepo(repo))
		}
		out["repositories"] = list
	}
	return created(out)
}

// revokeToken is DELETE /installation/token.
func (c *call) revokeToken() answer {
	delete(c.s.tokens, c.who.token)
	return noContent()
}
