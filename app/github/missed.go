package github

import (
	"context"
	"errors"
	"fmt"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Attempt is one attempt of GitHub to deliver a webhook to the App, as its own log shows it.
type Attempt struct {
	ID   int64 // of the attempt: a redelivery has another
	GUID string
	At   time.Time
	OK   bool // the App answered with 2xx in time

	Event      string
	Redelivery bool
	Code       int    // the App's answer, or what GitHub puts in its place
	Status     string // the same in GitHub's words
}

// Attempts lists attempts to deliver webhooks to the App, the newest first, a hundred at a time. The first page has an
// empty cursor; the last one gives an empty next. GitHub remembers them for three days. It may be repeated.
//
// https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook
func (a *App) Attempts(ctx context.Context, cursor string) (page []Attempt, next string, err error) {
	found, resp, err := a.itself.Apps.ListHookDeliveries(withRoute(ctx, "deliveries"), &gh.ListCursorOptions{PerPage: 100, Cursor: cursor})
	if err != nil {
		return nil, "", said(ctx, err, false, "list the webhooks that were sent to App", a.id)
	}
	for _, d := range found {
		page = append(page, Attempt{
			ID: d.GetID(), GUID: d.GetGUID(), At: d.GetDeliveredAt().UTC(), OK: d.GetStatusCode() >= 200 && d.GetStatusCode() < 300,
			Event: d.GetEvent(), Redelivery: d.GetRedelivery(), Code: d.GetStatusCode(), Status: d.GetStatus(),
		})
	}
	if resp.Cursor == cursor {
		return page, "", nil
	}
	return page, resp.Cursor, nil
}

// Payload is what an attempt carried: the event's name, and the body. GitHub keeps the body as a value, so its bytes may
// differ from those that were signed. It may be repeated.
//
// https://docs.github.com/rest/apps/webhooks#get-a-delivery-for-an-app-webhook
func (a *App) Payload(ctx context.Context, attempt int64) (event string, body []byte, err error) {
	found, _, err := a.itself.Apps.GetHookDelivery(withRoute(ctx, "deliveries"), attempt)
	if err == nil && (found.Request == nil || found.Request.RawPayload == nil || found.GetEvent() == "") {
		err = errors.New("GitHub's answer holds no payload")
	}
	if err != nil {
		return "", nil, said(ctx, err, false, "read the webhook", attempt)
	}
	return found.GetEvent(), *found.Request.RawPayload, nil
}

// Installed is where the App is installed and not suspended. It may be repeated.
//
// https://docs.github.com/rest/apps/apps#list-installations-for-the-authenticated-app
func (a *App) Installed(ctx context.Context) (ids []int64, err error) {
	o := &gh.ListOptions{PerPage: 100}
	for o.Page = 1; o.Page != 0; {
		found, resp, err := a.itself.Apps.ListInstallations(withRoute(ctx, "installations"), o)
		if err != nil {
			return nil, said(ctx, err, false, "list the installations of App", a.id)
		}
		for _, in := range found {
			if in.GetID() > 0 && in.SuspendedAt == nil {
				ids = append(ids, in.GetID())
			}
		}
		o.Page = resp.NextPage
	}
	return ids, nil
}

// String names an attempt for logs.
func (t Attempt) String() string { return fmt.Sprintf("%d (%s)", t.ID, t.GUID) }
