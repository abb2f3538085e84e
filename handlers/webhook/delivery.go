package webhook

import (
	"fmt"
	"net/http"
	"regexp"
	"time"
)

// Delivery is a webhook as it was received.
type Delivery struct {
	Source     string    `json:"source"` // "app/123" or "hook/45": two hooks may be told of one event under one GUID
	GUID       string    `json:"guid"`
	Event      string    `json:"event"`
	Body       []byte    `json:"body,omitempty"` // as signed, byte for byte
	ReceivedAt time.Time `json:"received_at"`
	Swept      bool      `json:"swept,omitempty"` // GitHub never sent it: it tells what was found by looking, and has no sender
}

// Stream names the delivery for ever: a redelivery has the same name.
func (d Delivery) Stream() string { return "delivery/" + d.Source + "/" + d.GUID }

// AppSource is the source of an App's own deliveries.
func AppSource(app int64) string { return fmt.Sprintf("app/%d", app) }

// Problem says why a delivery that did not come through the door could not be one.
func (d Delivery) Problem() string {
	switch {
	case !eventForm.MatchString(d.Event):
		return "its event has no event's name"
	case !guidForm.MatchString(d.GUID):
		return "its GUID has no GUID's form"
	case !wellFormed(d.Body):
		return "its body is not a JSON object"
	}
	return ""
}

var (
	eventForm = regexp.MustCompile(`^[a-z_]{1,64}$`)
	guidForm  = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)
	idForm    = regexp.MustCompile(`^[0-9]{1,20}$`)
)

// delivery reads the headers. GUIDs are opaque, and unique only within a hook or App.
// https://docs.github.com/webhooks/webhook-events-and-payloads#delivery-headers
func delivery(h http.Header) (d Delivery, problem string) {
	d.Event, d.GUID = only(h, "X-Github-Event"), only(h, "X-Github-Delivery")
	if !eventForm.MatchString(d.Event) {
		return d, "X-GitHub-Event is missing or not an event's name."
	}
	if !guidForm.MatchString(d.GUID) {
		return d, "X-GitHub-Delivery is missing or not a delivery's id."
	}
	app, hook := only(h, "X-Github-Hook-Installation-Target-Id"), only(h, "X-Github-Hook-Id")
	switch {
	case only(h, "X-Github-Hook-Installation-Target-Type") == "integration" && idForm.MatchString(app):
		d.Source = "app/" + app
	case idForm.MatchString(hook):
		d.Source = "hook/" + hook
	default:
		return d, "Neither the App's id nor X-GitHub-Hook-ID is given, so the delivery could not be told from another hook's."
	}
	return d, ""
}

// only is the value of a header that stands there exactly once. key is in canonical form.
func only(h http.Header, key string) string {
	if v := h[key]; len(v) == 1 {
		return v[0]
	}
	return ""
}
