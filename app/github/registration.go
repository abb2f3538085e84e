package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// What the App may ask about itself, with its key alone. It changes nothing but for Redeliver. All of it may be repeated.

// Registration is the App as GitHub has it.
type Registration struct {
	ID          int64             `json:"id"`
	Slug        string            `json:"slug"`
	Name        string            `json:"name"`
	HTMLURL     string            `json:"html_url"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
}

// Clock is GitHub's time at an answer, in whole seconds, and ours before and after it.
type Clock struct{ Theirs, Before, After time.Time }

// Ahead is how far our clock is ahead of GitHub's at least; negative when it is behind. How long the answer took, and the
// second that GitHub does not tell, are given to us.
func (c Clock) Ahead() time.Duration {
	switch latest := c.Theirs.Add(time.Second); {
	case c.Before.After(latest):
		return c.Before.Sub(latest).Truncate(time.Second)
	case c.After.Before(c.Theirs):
		return c.After.Sub(c.Theirs).Truncate(time.Second)
	}
	return 0
}

// ErrNewKey says that GitHub does not know the App's key yet; for a new App that passes within a minute.
var ErrNewKey = errors.New("GitHub does not know the App's new key yet")

// Registered asks GitHub for the App that our key is of. The clock is told with every answer, with a refusal too; it is
// nil when there was none.
//
// https://docs.github.com/rest/apps/apps#get-the-authenticated-app
func (a *App) Registered(ctx context.Context) (r Registration, clock *Clock, err error) {
	before := a.now().UTC()
	resp, err := a.ask(ctx, "app", &r)
	if resp != nil {
		if theirs, bad := http.ParseTime(resp.Header.Get("Date")); bad == nil {
			clock = &Clock{Theirs: theirs.UTC(), Before: before, After: a.now().UTC()}
		}
	}
	if err != nil {
		return r, clock, err
	}
	if r.ID != a.id || !slugForm.MatchString(r.Slug) {
		return r, clock, errors.New("github: GitHub's answer is about another App")
	}
	return r, clock, nil
}

// Hook is where GitHub sends the App's webhooks.
type Hook struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type"`
	InsecureSSL any    `json:"insecure_ssl"` // "0", or the number
	Secret      string `json:"secret"`       // stars; empty when there is none
}

// Unproven reports whether GitHub does not look at our certificate.
func (h Hook) Unproven() bool { return fmt.Sprint(h.InsecureSSL) == "1" }

// Hook asks for the hook's settings. ErrGone means that the App has no hook.
func (a *App) Hook(ctx context.Context) (h Hook, err error) {
	_, err = a.ask(ctx, "app/hook/config", &h)
	return h, err
}

// Redeliver asks GitHub to send a delivery once more, with the same GUID: whoever has taken it knows it again.
func (a *App) Redeliver(ctx context.Context, attempt int64) error {
	ctx = withRoute(ctx, "self")
	c := a.itself
	req, err := c.NewRequest(http.MethodPost, fmt.Sprintf("app/hook/deliveries/%d/attempts", attempt), nil)
	if err == nil {
		_, err = c.Do(ctx, req, nil)
	}
	var accepted *gh.AcceptedError // the answer that is meant to come
	if errors.As(err, &accepted) {
		err = nil
	}
	return said(ctx, err, true, "send a delivery again, App", a.id)
}

// Place is an account that has installed the App.
type Place struct {
	ID          int64             `json:"id"`
	HTMLURL     string            `json:"html_url"`
	Selection   string            `json:"repository_selection"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
	SuspendedAt *time.Time        `json:"suspended_at"`
	Account     struct {
		Login string `json:"login"`
	} `json:"account"`
}

// Places are the accounts that have installed the App: a hundred at most, which is more than anyone reads.
func (a *App) Places(ctx context.Context) (all []Place, err error) {
	_, err = a.ask(ctx, "app/installations?per_page=100", &all)
	return all, err
}

// Place is one installation, as it is now.
func (a *App) Place(ctx context.Context, id int64) (p Place, err error) {
	_, err = a.ask(ctx, fmt.Sprintf("app/installations/%d", id), &p)
	return p, err
}

func (a *App) ask(ctx context.Context, path string, into any) (*gh.Response, error) {
	ctx = withRoute(ctx, "self")
	c := a.itself
	req, err := c.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, said(ctx, err, false, "ask for", path)
	}
	resp, err := c.Do(ctx, req, into)
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response.StatusCode == http.StatusUnauthorized && strings.Contains(answer.Message, "must generate a public key") {
		return resp, fmt.Errorf("github: %w", ErrNewKey)
	}
	path, _, _ = strings.Cut(path, "?")
	return resp, said(ctx, err, false, "ask for", path)
}

// AppExists reports whether GitHub shows an App of that slug to everyone. One that is private is not seen, so "no" is
// only likely. It needs no App of our own; transport may be nil.
func AppExists(ctx context.Context, apiURL string, transport http.RoundTripper, slug string) (bool, error) {
	api, err := parseBase("API", apiURL)
	if err != nil {
		return false, err
	}
	if !slugForm.MatchString(slug) {
		return false, nil
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	a := &App{api: api, now: time.Now, observe: func(Call) {}}
	_, _, err = newClient(api, "conveyor", newGuard(a, 0, transport)).Apps.Get(withRoute(ctx, "manifest"), slug)
	if notFound(err) {
		return false, nil
	}
	return err == nil, said(ctx, err, false, "look for an App named", slug)
}
