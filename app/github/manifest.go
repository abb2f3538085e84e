package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Credentials are what GitHub gives once, when an App has been made from a manifest.
type Credentials struct {
	AppID         int64
	Slug          string
	HTMLURL       string // the App's page
	ClientID      string
	ClientSecret  Secret
	WebhookSecret Secret
	PEM           Secret
}

// ConvertManifest changes the code that GitHub sent the browser back with into the new App's credentials. A code is good
// once and for an hour: keep what it gives before doing anything else. It must not be repeated; after an error, the
// person makes the App anew. transport may be nil.
//
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
func ConvertManifest(ctx context.Context, apiURL string, transport http.RoundTripper, code string) (Credentials, error) {
	api, err := parseBase("API", apiURL)
	if err != nil {
		return Credentials{}, err
	}
	if !codeForm.MatchString(code) {
		return Credentials{}, errors.New("github: the code is not one of GitHub's; begin the set-up again")
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	a := &App{api: api, now: time.Now, observe: func(Call) {}}
	client := newClient(api, "conveyor", newGuard(a, 0, transport))
	made, _, err := client.Apps.CompleteAppManifest(withRoute(ctx, "manifest"), code)
	var answer *gh.ErrorResponse
	switch {
	case notFound(err) || errors.As(err, &answer) && answer.Response.StatusCode == http.StatusUnprocessableEntity:
		return Credentials{}, errors.New("github: the code has been used or is older than an hour; begin the set-up again")
	case err != nil:
		return Credentials{}, fmt.Errorf("github: make the App: %w", judge(ctx, err, true))
	}
	c := Credentials{
		AppID: made.GetID(), Slug: made.GetSlug(), HTMLURL: made.GetHTMLURL(), ClientID: made.GetClientID(),
		ClientSecret: NewSecret(made.GetClientSecret()), WebhookSecret: NewSecret(made.GetWebhookSecret()), PEM: NewSecret(made.GetPEM()),
	}
	if _, err := parseKey([]byte(c.PEM.Reveal())); err != nil || c.AppID <= 0 || !slugForm.MatchString(c.Slug) {
		return Credentials{}, errors.New("github: GitHub made the App, but its answer holds no usable key; delete the App on GitHub and begin the set-up again")
	}
	return c, nil
}
