// Package webhook hears GitHub: it proves that a request is GitHub's, makes it durable, answers, and later translates it
// into what the house works with.
//
// It never calls GitHub, and never works inside of a request. Until the signature is proven, nothing of a request is
// parsed, logged or kept. Start reading at Handler, then Translate, which is pure.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// MaxBody is how large a delivery may be, in bytes: GitHub sends none that is larger.
// https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap
const MaxBody = 25 << 20

// minSecret is how short a secret may be, in bytes.
const minSecret = 16

// ErrSeen is what Accept answers for a delivery that is durable already.
var ErrSeen = errors.New("webhook: this delivery has been taken already")

// Delivery is a webhook as it was received.
type Delivery struct {
	Source     string    `json:"source"` // "app/123" or "hook/45": two hooks may share a GUID
	GUID       string    `json:"guid"`
	Event      string    `json:"event"`
	Body       []byte    `json:"body,omitempty"`
	ReceivedAt time.Time `json:"received_at"`
}

// Stream names the delivery for ever: a redelivery has the same name.
func (d Delivery) Stream() string { return "delivery/" + d.Source + "/" + d.GUID }

// Options of the handler.
type Options struct {
	Secrets []string                              // one or, while it is changed, two
	Accept  func(context.Context, Delivery) error // returns when the delivery is durable; ErrSeen when it was already
	Log     *slog.Logger
	Metrics func(code int) // told of each answer; may be nil
	Now     func() time.Time
}

// Handler answers POSTs of GitHub's webhooks. 202 means: it is durable and will be worked on. 503 means: it is not.
func Handler(o Options) (gin.HandlerFunc, error) {
	if len(o.Secrets) < 1 || len(o.Secrets) > 2 {
		return nil, fmt.Errorf("webhook: %d secrets; one is needed, and at most two are in force while one replaces the other", len(o.Secrets))
	}
	for _, s := range o.Secrets {
		if len(s) < minSecret {
			return nil, fmt.Errorf("webhook: a secret of %d bytes is too short; %d random ones are the least", len(s), minSecret)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = func(int) {}
	}
	h := &intake{o: o, bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	return h.serve, nil
}

type intake struct {
	o      Options
	bodies sync.Pool
}

func (h *intake) serve(c *gin.Context) {
	code, say := h.take(c)
	if code == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	h.o.Metrics(code)
	c.String(code, "%s\n", say)
}

// take decides the answer. The order matters: size, signature, form, and only then the durable write.
func (h *intake) take(c *gin.Context) (int, string) {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, "The hook's content type must be application/json."
	}
	body := h.bodies.Get().(*bytes.Buffer)
	body.Reset()
	defer func() {
		if body.Cap() <= 1<<20 {
			h.bodies.Put(body)
		}
	}()
	if _, err := body.ReadFrom(http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody)); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return http.StatusRequestEntityTooLarge, "The payload is larger than GitHub's own limit."
		}
		return http.StatusBadRequest, "The body could not be read."
	}
	if !h.signed(c.Request.Header.Values("X-Hub-Signature-256"), body.Bytes()) {
		return http.StatusUnauthorized, "The signature is missing or wrong. Compare the hook's secret with the server's."
	}
	d, problem := delivery(c.Request.Header)
	if problem != "" {
		return http.StatusBadRequest, problem
	}
	if !json.Valid(body.Bytes()) {
		return http.StatusBadRequest, "The body is not JSON."
	}
	d.Body, d.ReceivedAt = body.Bytes(), h.o.Now().UTC()
	switch err := h.o.Accept(c.Request.Context(), d); {
	case errors.Is(err, ErrSeen):
		return http.StatusAccepted, "This delivery is known."
	case err != nil:
		h.o.Log.Error("a delivery could not be made durable", "delivery", d.GUID, "event", d.Event, "err", err)
		return http.StatusServiceUnavailable, "The delivery could not be stored. Redeliver it later."
	}
	return http.StatusAccepted, "Taken."
}

// signed proves that the body is GitHub's. Only SHA-256 counts, and only one header of it; each secret in force is
// tried in constant time. go-github's own check accepts SHA-1, and anything at all on an empty secret.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
func (h *intake) signed(headers []string, body []byte) bool {
	if len(headers) != 1 {
		return false
	}
	digits, ok := strings.CutPrefix(headers[0], "sha256=")
	if !ok || len(digits) != 2*sha256.Size || strings.ToLower(digits) != digits {
		return false
	}
	claimed, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	good := false
	for _, secret := range h.o.Secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), claimed) {
			good = true
		}
	}
	return good
}

var (
	eventForm = regexp.MustCompile(`^[a-z_]{1,64}$`)
	guidForm  = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)
	idForm    = regexp.MustCompile(`^[0-9]{1,20}$`)
)

// delivery reads the headers. GUIDs are opaque, and unique only within a hook or App.
func delivery(h http.Header) (d Delivery, problem string) {
	d.Event, d.GUID = h.Get("X-GitHub-Event"), h.Get("X-GitHub-Delivery")
	if !eventForm.MatchString(d.Event) {
		return d, "X-GitHub-Event is missing or not an event's name."
	}
	if !guidForm.MatchString(d.GUID) {
		return d, "X-GitHub-Delivery is missing or not a delivery's id."
	}
	switch id, hook := h.Get("X-GitHub-Hook-Installation-Target-ID"), h.Get("X-GitHub-Hook-ID"); {
	case h.Get("X-GitHub-Hook-Installation-Target-Type") == "integration" && idForm.MatchString(id):
		d.Source = "app/" + id
	case idForm.MatchString(hook):
		d.Source = "hook/" + hook
	default:
		return d, "Neither X-GitHub-Hook-ID nor the App's id is given, so the delivery could not be told from another's."
	}
	return d, ""
}
