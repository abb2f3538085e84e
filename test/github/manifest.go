//lint:file-ignore ST1005 these errors are the sentences that GitHub shows to people
package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Manifest is what an App is registered by.
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
type Manifest struct {
	Name               string            `json:"name"`
	URL                string            `json:"url"`
	HookAttributes     *Hook             `json:"hook_attributes"`
	RedirectURL        string            `json:"redirect_url"`
	CallbackURLs       []string          `json:"callback_urls"`
	SetupURL           string            `json:"setup_url"`
	Description        string            `json:"description"`
	Public             bool              `json:"public"`
	DefaultEvents      []string          `json:"default_events"`
	DefaultPermissions map[string]string `json:"default_permissions"`
	RequestOAuth       bool              `json:"request_oauth_on_install"`
	SetupOnUpdate      bool              `json:"setup_on_update"`
}

// Hook is where webhooks go. A secret is not part of it: GitHub makes one.
type Hook struct {
	URL    string `json:"url"`
	Active *bool  `json:"active"`
}

// manifestCode is good once, for an hour.
type manifestCode struct {
	app   *App
	until time.Time
}

// RegisterApp registers an App without a browser. The owner is a person or an
// organisation that exists.
func (s *Server) RegisterApp(owner string, m Manifest) (App, error) {
	if err := m.check(); err != nil {
		return App{}, fmt.Errorf("github: register %q: %w", m.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.registerFor(owner, m)
	if err != nil {
		return App{}, err
	}
	return *a, nil
}

func (s *Server) registerFor(owner string, m Manifest) (*App, error) {
	account := s.user(owner)
	if account == nil {
		return nil, fmt.Errorf("github: register %q: there is no account %q to own it", m.Name, owner)
	}
	if m.Name == "" {
		m.Name = fmt.Sprintf("App %d", s.seq)
	}
	if s.app(slugOf(m.Name)) != nil || s.user(slugOf(m.Name)) != nil {
		return nil, fmt.Errorf("github: register %q: Name is already taken", m.Name)
	}
	return s.register(account, m)
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

func slugOf(name string) string {
	return strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// parseManifest reads the JSON of the form as strictly as GitHub does.
func parseManifest(text string) (Manifest, error) {
	var m Manifest
	var loose struct {
		HookAttributes map[string]any `json:"hook_attributes"`
	}
	if err := json.Unmarshal([]byte(text), &loose); err != nil {
		return m, errors.New("Manifest is not valid JSON")
	}
	for key := range loose.HookAttributes {
		if key != "url" && key != "active" {
			return m, fmt.Errorf("Hook attributes unknown key %q", key)
		}
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, errors.New("Manifest has a field of the wrong type")
	}
	return m, m.check()
}

// check holds what GitHub refuses.
func (m Manifest) check() error {
	switch {
	case len(m.Name) > 34:
		return errors.New("Name is too long (maximum is 34 characters)")
	case !absolute(m.URL):
		return errors.New("Url must be a valid URL")
	case m.RedirectURL != "" && !absolute(m.RedirectURL):
		return errors.New("Redirect url must be a valid URL")
	case m.SetupURL != "" && !absolute(m.SetupURL):
		return errors.New("Setup url must be a valid URL")
	case m.HookAttributes != nil && !absolute(m.HookAttributes.URL):
		return errors.New("Hook attributes url must be a valid URL")
	case len(m.CallbackURLs) > 10:
		return errors.New("Callback urls are too many (maximum is 10)")
	}
	for _, name := range sortedKeys(m.DefaultPermissions) {
		if !slices.Contains(permissionNames, name) {
			return fmt.Errorf("Default permission records resource is not included in the list: %s", name)
		}
		if levels[m.DefaultPermissions[name]] == 0 {
			return fmt.Errorf("Default permission records action is not included in the list: %s", name)
		}
	}
	for _, e := range m.DefaultEvents {
		needed, known := eventNeeds[e]
		switch {
		case !known:
			return fmt.Errorf("Default events unsupported: %s", e)
		case !slices.ContainsFunc(needed, func(p string) bool { return p == "metadata" || m.DefaultPermissions[p] != "" }):
			return fmt.Errorf("Default events are not supported by permissions: %s", e)
		}
	}
	return nil
}

// serveManifest is the form that a browser sends to /settings/apps/new. Where
// GitHub shows a page to confirm the name, this one goes straight on.
func (s *Server) serveManifest(w http.ResponseWriter, r *http.Request, org string) {
	refuse := func(err error) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, "<!doctype html><title>Register a GitHub App</title><h1>Invalid GitHub App configuration</h1><p>%s</p>\n", html.EscapeString(err.Error()))
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	m, err := parseManifest(r.PostFormValue("manifest"))
	if err == nil && m.RedirectURL == "" {
		err = errors.New("Redirect url can't be blank")
	}
	if err != nil {
		refuse(err)
		return
	}
	s.mu.Lock()
	owner := org
	if owner == "" {
		owner = s.signedIn
	}
	a, err := s.registerFor(owner, m)
	code := strings.ToLower(randomText(40))
	if err == nil {
		s.codes[code] = &manifestCode{app: a, until: s.now().Add(time.Hour)}
	}
	s.mu.Unlock()
	if err != nil {
		refuse(err)
		return
	}
	to, _ := url.Parse(m.RedirectURL)
	q := to.Query()
	q.Set("code", code)
	if state := r.URL.Query().Get("state"); state != "" {
		q.Set("state", state)
	}
	to.RawQuery = q.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// convert is POST /app-manifests/{code}/conversions. It needs no credential:
// the code is one.
func (c *call) convert() answer {
	code := c.s.codes[c.param["code"]]
	delete(c.s.codes, c.param["code"])
	if code == nil || !c.s.now().Before(code.until) {
		return notFound()
	}
	o := c.s.renderApp(code.app)
	o["client_secret"], o["webhook_secret"], o["pem"] = code.app.ClientSecret, nil, code.app.PEM
	if code.app.HookURL != "" {
		o["webhook_secret"] = code.app.WebhookSecret
	}
	return created(o)
}
