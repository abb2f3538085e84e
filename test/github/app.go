package github

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// App is a registered GitHub App.
type App struct {
	ID            int64
	Slug, Name    string
	Owner         string
	ClientID      string
	ClientSecret  string
	PEM           string // of the first private key
	WebhookSecret string
	HookURL       string
	HookActive    bool
	Permissions   map[string]string
	Events        []string
	SetupURL      string
	URL           string

	hookID        int64
	keys          []*rsa.PrivateKey
	bot           *User
	owner         *User
	made          time.Time
	installations []*Installation
	queue         *queue
	deliveries    []*Delivery // newest last
}

// Installation is an App installed for an account.
type Installation struct {
	ID          int64
	AppSlug     string
	Account     User
	Selection   string // "all" or "selected"
	Permissions map[string]string
	Events      []string
	SuspendedAt time.Time

	app         *App
	account     *User
	repos       map[int64]bool // when selected
	made        time.Time
	suspendedBy *User
}

func (i *Installation) covers(r *Repo) bool {
	return !r.deleted && strings.EqualFold(r.Owner, i.Account.Login) && (i.Selection == "all" || i.repos[r.ID])
}

// register makes the App of a checked manifest.
func (s *Server) register(owner *User, m Manifest) (*App, error) {
	key, err := s.opt.NewKey()
	if err != nil {
		return nil, fmt.Errorf("github: make a key for %s: %w", m.Name, err)
	}
	slug := slugOf(m.Name)
	a := &App{ID: s.next(), Slug: slug, Name: m.Name, Owner: owner.Login, ClientID: "Iv23li" + randomText(14), ClientSecret: strings.ToLower(randomText(40)),
		WebhookSecret: strings.ToLower(randomText(40)), Permissions: map[string]string{"metadata": "read"}, SetupURL: m.SetupURL, URL: m.URL,
		keys: []*rsa.PrivateKey{key}, owner: owner, made: s.now(), hookID: s.next()}
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}); err != nil {
		return nil, fmt.Errorf("github: write the key of %s: %w", m.Name, err)
	}
	a.PEM = text.String()
	for name, level := range m.DefaultPermissions {
		a.Permissions[name] = level
	}
	a.Events = append([]string{}, m.DefaultEvents...)
	// Whoever may write checks hears of them, asked for or not.
	if a.Permissions["checks"] == "write" {
		for _, e := range []string{"check_run", "check_suite"} {
			if !slices.Contains(a.Events, e) {
				a.Events = append(a.Events, e)
			}
		}
	}
	slices.Sort(a.Events)
	if m.HookAttributes != nil {
		a.HookURL = m.HookAttributes.URL
		a.HookActive = m.HookAttributes.Active == nil || *m.HookAttributes.Active
	}
	a.bot = s.account(slug+"[bot]", "Bot")
	s.apps = append(s.apps, a)
	s.startQueue(a)
	if a.HookActive {
		s.deliver(a, nil, nil, "ping", "", s.newGUID(), obj{"zen": "Keep it logically awesome.", "hook_id": a.hookID, "hook": obj{
			"type": "App", "id": a.hookID, "name": "web", "active": true, "events": a.Events, "app_id": a.ID,
			"config":     obj{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": a.HookURL},
			"updated_at": stamp(a.made), "created_at": stamp(a.made), "deliveries_url": s.api("/app/hook/deliveries"),
		}})
	}
	s.changed.Broadcast()
	return a, nil
}

// AppSlugs are the names of all Apps, in the order in which they were registered.
func (s *Server) AppSlugs() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		all = append(all, a.Slug)
	}
	return all
}

// SetHook points an App's webhook elsewhere, as its owner may on the settings page. An empty secret takes it away.
func (s *Server) SetHook(slug, url, secret string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.app(slug)
	if a == nil {
		return fmt.Errorf("github: there is no App %q", slug)
	}
	a.HookURL, a.HookActive, a.WebhookSecret = url, url != "", secret
	s.changed.Broadcast()
	return nil
}

// AddKey gives the App a second private key, as one does to rotate, and
// returns it as PEM.
func (s *Server) AddKey(slug string) (string, error) {
	key, err := s.opt.NewKey()
	if err != nil {
		return "", fmt.Errorf("github: make a key for %s: %w", slug, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.app(slug)
	if a == nil {
		return "", fmt.Errorf("github: there is no App %q", slug)
	}
	a.keys = append(a.keys, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})), nil
}

// DropKey takes the App's oldest key away; what it signed is refused then.
func (s *Server) DropKey(slug string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.app(slug); a != nil && len(a.keys) > 0 {
		a.keys = a.keys[1:]
	}
}

func (s *Server) app(slug string) *App {
	for _, a := range s.apps {
		if a.Slug == slug {
			return a
		}
	}
	return nil
}

// renderApp is an App as the world sees it.
func (s *Server) renderApp(a *App) obj {
	external := a.URL
	if external == "" {
		external = s.html("/apps/%s", a.Slug)
	}
	return obj{"id": a.ID, "slug": a.Slug, "client_id": a.ClientID, "node_id": nodeID("A", a.ID), "owner": s.renderUser(a.owner), "name": a.Name,
		"description": "", "external_url": external, "html_url": s.html("/apps/%s", a.Slug), "created_at": stamp(a.made), "updated_at": stamp(a.made),
		"permissions": a.Permissions, "events": a.Events}
}

func (c *call) getApp() answer {
	o := c.s.renderApp(c.who.app)
	o["installations_count"] = len(c.who.app.installations)
	return ok(o)
}

func (c *call) getAppBySlug() answer {
	a := c.s.app(c.param["app_slug"])
	if a == nil {
		return notFound()
	}
	return ok(c.s.renderApp(a))
}

func (c *call) hookConfig() answer {
	a := c.who.app
	o := obj{"content_type": "json", "insecure_ssl": "0", "url": a.HookURL}
	if a.WebhookSecret != "" {
		o["secret"] = "********"
	}
	return ok(o)
}

// setHookConfig also switches a hook on that had no address before.
func (c *call) setHookConfig() answer {
	a := c.who.app
	if x := c.types("url:string secret:string content_type:string"); x != nil {
		return *x
	}
	if c.has("url") {
		if !absolute(c.text("url")) {
			return invalid(fieldError{"Hook", "url", "invalid", "url is not a valid URL"})
		}
		a.HookURL, a.HookActive = c.text("url"), true
	}
	if c.has("secret") {
		a.WebhookSecret = c.text("secret")
	}
	return c.hookConfig()
}
